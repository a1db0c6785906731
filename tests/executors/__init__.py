"""Every executor against a cluster: a real one, or one that answers as its documentation says."""

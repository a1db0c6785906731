"""Jobs on a Ray cluster, through the REST interface of Ray Jobs."""

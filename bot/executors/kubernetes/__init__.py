"""Jobs on Kubernetes: each a Job object that bears the name of its fire."""

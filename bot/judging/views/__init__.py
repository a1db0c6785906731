"""State -> views: what a run, its findings and its incidents come to, in finished strings."""

"""Fine-tunes and scores text recommenders, one job file at a time."""

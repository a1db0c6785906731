"""What a run leaves, and what is asked of it later."""

"""What the services' searches have in common."""

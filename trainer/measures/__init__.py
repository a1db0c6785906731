"""What is measured of a model's answers, and how far to trust it."""

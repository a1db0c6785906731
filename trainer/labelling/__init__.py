"""Labels: which to ask for, reading them back, which to look at again, and those that a model gives itself."""

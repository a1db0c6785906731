"""View and template become text."""

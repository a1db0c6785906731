"""The markup that people write in each service, rendered as HTML that is safe to show."""

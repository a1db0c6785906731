"""The loop of `herald serve`, what goes on beside it, and its end."""

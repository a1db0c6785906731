"""Where jobs run: one folder an executor, and what they share."""

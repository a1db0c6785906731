"""Looks at every connection, permission and name that a configuration leans on, and says what to do about it."""

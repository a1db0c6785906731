"""One module a service; they never import one another."""

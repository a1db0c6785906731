"""One folder a service; they never import one another. What several of them share stands beside the folders."""

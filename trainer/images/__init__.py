"""Pictures of products: read within bounds, turned into vectors by a frozen tower."""

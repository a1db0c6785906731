"""A dead man's switch: whoever is asked for an address as long as Herald is well."""

"""A mail server that delivers nothing: it takes letters as a relay on one's own machine does, and shows them."""

"""One pass over a pipeline: when it is due, which runs are new, and what is done with them."""

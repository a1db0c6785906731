"""Services that keep everything in memory: what a dry run and unit tests talk to."""

"""Smaller and faster models made of a tuned one, measured beside it, and the gate between them and serving."""

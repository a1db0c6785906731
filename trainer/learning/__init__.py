"""What a fit does: losses, batches, the training loop."""

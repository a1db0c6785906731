"""What the trainer can learn: one module a task."""

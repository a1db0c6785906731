"""Where a run tells how it goes: MLflow, TensorBoard, the terminal."""

"""MLflow: runs, their metrics and their artifacts; read, never written, but for a job's own run."""

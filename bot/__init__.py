"""Watches experiments in MLflow and tells the people who plan the work."""

__version__ = "0.1.0"

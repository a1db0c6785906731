"""Confluence, Cloud and Data Center, as a wiki."""

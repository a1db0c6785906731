"""The stand-in for Confluence, Cloud and Data Center."""

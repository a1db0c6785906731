"""The stand-in for Jira, Cloud and Data Center."""

"""Confluence's older interface: what is left of it on Cloud, and all of Data Center."""

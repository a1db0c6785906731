"""Version 2 of Confluence Cloud's interface."""

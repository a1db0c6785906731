"""Slack as a chat: the Web API."""

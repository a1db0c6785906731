"""The stand-in for Slack: the Web API, incoming webhooks, file uploads."""

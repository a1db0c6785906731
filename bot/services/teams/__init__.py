"""Microsoft Teams as a chat, by a webhook of its Workflows app."""

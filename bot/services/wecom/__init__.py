"""WeCom as a chat, by the webhook of a group's robot."""

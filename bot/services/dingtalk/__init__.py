"""DingTalk as a chat: an app's cards, which are edited, or a group's webhook, which posts."""

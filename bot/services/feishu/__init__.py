"""Feishu (Lark outside of China) as a chat: an app's bot, whose cards are edited, or a group's webhook, which posts."""

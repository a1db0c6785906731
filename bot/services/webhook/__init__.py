"""Incoming webhooks of Slack, Mattermost and Rocket.Chat as a chat."""

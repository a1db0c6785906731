"""What people answer, read back: a round over each tracker and chat, and what every answer changes."""

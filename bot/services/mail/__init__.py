"""Mail as a chat: what is posted goes out by SMTP, and what an incident says is one thread."""

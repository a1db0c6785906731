"""From the outbox to the services: who is asked what and when, and what becomes of doubtful ends."""

"""Herald's own state: one database, written in three kinds of transaction (fire, run, delivery)."""

from bot.store.database import Database

__all__ = ["Database"]

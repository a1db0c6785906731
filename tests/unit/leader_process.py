"""A process that leads and writes what it leads in, again and again: `python -m tests.unit.leader_process URL`."""

import sys
import time
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import text

from bot.errors import StateError
from bot.serve.leading import Leading
from bot.store import Database, leadership, postgres
from bot.store.owners import Owner

MADE = "CREATE TABLE led (number SERIAL PRIMARY KEY, holder TEXT, epoch INTEGER, stood INTEGER)"
WRITE = "INSERT INTO led (holder, epoch, stood) SELECT :holder, :epoch, epoch FROM leadership"
LEASE = timedelta(seconds=1)


def shorten() -> None:
    leadership.LEASE = LEASE
    postgres._PAUSED_SECONDS = 1


def main(url: str) -> None:
    shorten()
    state = Database(url)
    leading = Leading(state, Owner.begin(None))

    def write() -> None:
        with state.begin() as tx:
            tx.execute(text(WRITE), {"holder": leading.owner.name, "epoch": leading.epoch})
            time.sleep(0.1)  # where it is paused most likely: in the midst of a transaction

    while True:
        leading.keep()
        with suppress(StateError):  # the server ended the session of one that was paused
            leading.lead(write)
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])

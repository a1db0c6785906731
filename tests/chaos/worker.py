"""One Herald that delivers until nothing is owed, or until it kills itself."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import update

import bot.services.confluence.wiki
import bot.services.jira.tracker
import bot.services.slack.chat
import bot.services.trello.tracker
import bot.services.webhook.chat
from bot.app import Surroundings, make_herald, make_services
from bot.config.models import Config
from bot.delivery import carrier
from bot.delivery.admission import Admission
from bot.domain.backoff import Backoff
from bot.store import Database, claims, tables
from tests.memory_runs import MemoryRunStore

# Before a Herald is forked, so that it starts at once.
LOADED = (
    bot.services.confluence.wiki,
    bot.services.jira.tracker,
    bot.services.slack.chat,
    bot.services.trello.tracker,
    bot.services.webhook.chat,
)
STEPS = ("claimed", "settled", "marking-sent", "marked-sent", "performed", "recording", "recorded")
SOON = 0.06  # seconds
WORKERS = 3
BACKOFF = Backoff(first=0.05, longest=0.5, shortest_asked=0.02, longest_asked=1.0, longest_hold=0.3)


@dataclass(frozen=True)
class Order:
    """What one Herald is to do, and when it dies."""

    url: str
    config: Config
    folder: Path
    seed: int
    in_flight: timedelta
    after: int | None  # claims until its death; None: it lives
    step: str | None  # at the next step of this name; None: at any moment
    mutation: str | None = None


class Doom:
    """Counts claims, and kills the process at its step or moment."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._random = random.Random(order.seed)
        self._claims = 0
        self._lock = threading.Lock()

    def __call__(self, step: str) -> None:
        if self._order.after is None:
            return
        with self._lock:
            self._claims += step == "delivery.claimed"
            due = self._claims >= self._order.after
        if not due:
            return
        if self._order.step is None:
            threading.Timer(self._random.uniform(0, SOON), kill).start()
            self._order = replace(self._order, after=None)
        elif step == f"delivery.{self._order.step}":
            kill()
        elif self._claims > self._order.after + 2 * WORKERS:
            kill()  # that step is not to be had


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def deliver(order: Order) -> None:
    """Deliver what is owed; ends the process, with 1 and a traceback where something broke."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        MUTATIONS[order.mutation]()
        database = Database(order.url)
        around = Surroundings(on_step=Doom(order), in_flight=order.in_flight)
        services = make_services(order.config)
        herald = make_herald(
            order.config, order.folder, around=around, services=services, run_store=MemoryRunStore(), database=database
        )
        dispatcher = replace(
            herald.dispatcher,
            workers=WORKERS,
            admission=Admission(at_once=WORKERS - 1),
            backoff=BACKOFF,
        )
        dispatcher.drain(timedelta(minutes=10))
    except BaseException:  # noqa: BLE001  whoever reads the run must see it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def forget_the_search() -> None:
    """Take out looking for what an earlier request may have done."""
    carrier.settle = lambda _attempt: None


def forget_the_lease() -> None:
    """Let everybody claim what somebody else is at work on."""
    claim: Callable[..., Any] = claims.claim_next

    def claim_without_lease(tx: Any, *args: Any) -> Any:
        owed = claim(tx, *args)
        if owed is not None:
            where = tables.outbox.c.seq == owed.seq
            tx.execute(update(tables.outbox).where(where).values(owner=None, leased_until=None))
        return owed

    def held(owed: Any, _owner: str) -> tuple[Any, ...]:
        return (tables.outbox.c.seq == owed.seq,)

    claims.claim_next = claim_without_lease
    claims._held = held


MUTATIONS: dict[str | None, Callable[[], None]] = {
    None: lambda: None,
    "search": forget_the_search,
    "lease": forget_the_lease,
}

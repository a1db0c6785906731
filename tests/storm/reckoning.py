"""What must stand, by an undisturbed Herald's judgement of the same runs, and what does."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.app import Herald, make_herald
from bot.config.file import load_config
from bot.delivery.admission import Admission
from bot.domain.fires import FireState
from bot.sandbox import RunningSandbox, Service, serve
from bot.store import Database, fires, outbox, tables
from bot.store.owed import EffectState
from bot.store.tables import runs
from tests.chaos.world import HOOKED, ONCE, SEED, Score, Seen, _all_text
from tests.storm.house import JOB, House, secrets

_RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")
_TICKET = re.compile(r"\b[A-Z]+-\d+\b|#\d+\b")
_ADDRESS = re.compile(r"https?://[^\s|>\"]+")
_LASTED = re.compile(r" It lasted [^.]*\.")
_PATIENCE = timedelta(minutes=10)


@contextmanager
def environment(values: Mapping[str, str]) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Witness:
    """A single Herald whom nobody disturbs, with a state and services of its own; it watches the same MLflow."""

    def __init__(self, house: House, folder: Path, tracking_uri: str, stack: ExitStack) -> None:
        self._house = house
        self._kept = folder / "services.db"
        self._box: RunningSandbox = stack.enter_context(serve(self._kept, seed=SEED))
        path = house.write(folder, self._box, tracking_uri)
        with environment(secrets(self._box, f"sqlite:///{folder / 'state.db'}")):
            self._herald: Herald = make_herald(load_config(path), folder)

    def look(self) -> None:
        """Judge what is there, and owe what it calls for."""
        for name in self._house.names:
            self._herald.cycle(name).run(datetime.now(UTC))

    def tell(self) -> Seen:
        """Deliver what is owed, and return what stands then."""
        dispatcher = replace(self._herald.dispatcher, workers=4, admission=Admission(at_once=4))
        told = dispatcher.drain(_PATIENCE)
        assert told.failures == [], told.failures[:5]
        with self._herald.database.begin() as tx:
            assert outbox.outstanding(tx) == []
        return Seen(self._kept)

    def close(self) -> None:
        self._herald.database.close()


@dataclass
class Outbox:
    """How deliveries stand in the state of the two that were disturbed."""

    judged: int = 0
    delivered: int = 0
    pending: int = 0
    given_up: int = 0  # messages to the webhook that is told at most once
    parked: list[str] = field(default_factory=list)


def read_outbox(database: Database) -> Outbox:
    columns = (tables.outbox.c.state, tables.outbox.c.service, tables.outbox.c.effect_id, tables.outbox.c.error)
    with database.begin() as tx:
        judged = tx.scalar(select(func.count()).select_from(runs).where(runs.c.pipeline != JOB)) or 0
        rows = tx.execute(select(*columns)).all()
    told = Outbox(judged)
    for row in rows:
        told.delivered += row.state == EffectState.DELIVERED
        told.pending += row.state == EffectState.PENDING
        if row.state == EffectState.PARKED:
            if row.service == "hook_once":
                told.given_up += 1
            else:
                told.parked.append(f"{row.effect_id}: {row.error}")
    return told


def reckon(expected: Seen, found: Seen, score: Score) -> None:
    """Count what stands twice, what is missing, and what nobody owed."""
    _strays("ticket", expected.tickets, found.tickets, score)
    for marker, tickets in expected.tickets.items():
        if marker.endswith("-0-1"):
            there = found.tickets.get(marker, [])
            score.once(f"ticket {marker}", len(there))
            for ticket in there[:1]:
                _compare_ticket(marker, tickets[0], ticket, score)
    _pages(expected, found, score)
    _messages(expected, found, score)
    _hooks(expected, found, score)


def count_jobs(database: Database, starts: Path, score: Score) -> int:
    """Count jobs that were started twice, fires that are called lost, and runs that were not judged; return the fires."""
    started = Counter(starts.read_text().split() if starts.exists() else ())
    with database.begin() as tx:
        recorded = fires.of_pipeline(tx, JOB)
        judged = set(tx.scalars(select(runs.c.fire_id).where(runs.c.pipeline == JOB)))
    score.duplicates += [
        f"job of fire {name}, started once more" for name, times in started.items() for _ in range(times - 1)
    ]
    for fire in recorded:
        is_well = fire.state in (FireState.DUE, FireState.ENDED)
        score.holds(f"fire {fire.fire_id}, which is called {fire.state}", true=is_well)
        score.holds(f"verdict on fire {fire.fire_id}", true=fire.state is not FireState.ENDED or fire.fire_id in judged)
    return len(recorded)


def _strays(what: str, expected: Iterable[Any], found: Iterable[Any], score: Score) -> None:
    score.duplicates += [f"{what} that nobody owed: {each}" for each in set(found) - set(expected)]


def _each_once(what: str, expected: Counter[Any], found: Counter[Any], score: Score) -> None:
    _strays(what, expected, found, score)
    for each, number in expected.items():
        score.losses += [f"{what} {each}"] * max(number - found[each], 0)
        score.duplicates += [f"{what} {each}"] * max(found[each] - number, 0)


def _compare_ticket(marker: str, expected: Any, found: Any, score: Score) -> None:
    _each_once(f"comment on {marker}", Counter(expected.marks), Counter(found.marks), score)
    order = [mark for mark in dict.fromkeys(found.marks) if mark in expected.marks]
    score.holds(f"order of comments on {marker}", true=order == [m for m in expected.marks if m in found.marks])
    _each_once(f"file on {marker}", expected.files, found.files, score)
    _each_once(f"link on {marker}", Counter(link=expected.links), Counter(link=found.links), score)
    score.holds(f"end of {marker}", true=expected.is_done == found.is_done)


def _pages(expected: Seen, found: Seen, score: Score) -> None:
    _each_once("page", expected.page_counts, found.page_counts, score)
    _each_once("file", _of_pages(expected), _of_pages(found), score)
    for key, page in expected.pages.items():
        there = found.pages.get(key)
        if there is not None:
            labels = expected.labels[page["id"]], found.labels[there["id"]]
            score.holds(f"labels of {key}", true=labels[0] == labels[1])
            score.holds(f"runs on {key}", true=_run_ids(page["body"]) == _run_ids(there["body"]))


def _of_pages(seen: Seen) -> Counter[Any]:
    return Counter({key: n for key, n in seen.page_files.items() if key[0].startswith("confluence")})


def _messages(expected: Seen, found: Seen, score: Score) -> None:
    _strays("message", expected.by_mark, found.by_mark, score)
    for mark, messages in expected.by_mark.items():
        there = found.by_mark.get(mark, [])
        score.once(f"message {mark}", len(there))
        for message in there[:1]:
            score.holds(f"last words of {mark}", true=_words(messages[0]) == _words(message))
            ours, theirs = messages[0]["ts"], message["ts"]
            _each_once(f"reply to {mark}", _below(expected.replies, ours), _below(found.replies, theirs), score)
            _each_once(f"picture below {mark}", _below(expected.shown, ours), _below(found.shown, theirs), score)


def _below(things: Counter[tuple[str, str]], ts: str) -> Counter[str]:
    return Counter({name: number for (place, name), number in things.items() if place == ts})


def _words(message: Any) -> str:
    """Return what a message says, without what is each service's own, keys and addresses, and how long it lasted."""
    said = _ADDRESS.sub("ADDRESS", _LASTED.sub("", _all_text(message)))
    return _TICKET.sub("TICKET", said)


def _hooks(expected: Seen, found: Seen, score: Score) -> None:
    for name, channel in HOOKED.items():
        ours, theirs = (_told(seen.hooked.get(channel, [])) for seen in (expected, found))
        _strays(name, ours, theirs, score)
        for each, number in ours.items():
            if channel == ONCE:
                score.duplicates += [f"{name} {each}"] * max(theirs[each] - number, 0)
                score.unheard += max(number - theirs[each], 0)
            else:
                score.losses += [f"{name} {each}"] * max(number - theirs[each], 0)
                score.repeated += max(theirs[each] - number, 0)


def _told(texts: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(_run_ids(text)) for text in texts)


def _run_ids(text: str) -> list[str]:
    return _RUN_ID.findall(text)


def quiet_lag(box: RunningSandbox, seconds: float) -> None:
    for service in (Service.JIRA_CLOUD, Service.JIRA_DATACENTER, Service.CONFLUENCE_CLOUD):
        box.change(service, search_lag=seconds)
    box.change(Service.CONFLUENCE_DATACENTER, search_lag=seconds)
    box.change(Service.TRELLO, search_lag=0.0)

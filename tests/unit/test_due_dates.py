"""A due date of an experiment's ticket that the schedule can no longer meet is said in the digest, read once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.due_dates import last_moment, next_result
from bot.domain.fires import Fire, FireState
from bot.domain.objects import Bound
from bot.domain.tasks import task_of
from bot.errors import RetryableError
from bot.ports import TicketDraft
from bot.reports.digest import compose_digest, preview
from bot.reports.digest_owing import owe_due_digest
from bot.reports.due_dates import find_missed
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.store import fires, objects
from bot.store.objects import KnownObject
from bot.text.locales import read_locale

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHT = datetime(2026, 11, 25, 3, tzinfo=UTC)


def fire(number: int, state: FireState = FireState.ENDED, hours: float = 1) -> Fire:
    begun = NOON - 100 * HOUR + number * HOUR
    ended = begun + hours * HOUR if state.is_over else None
    return Fire(f"f{number}", "search", begun, number, state=state, started_at=begun, ended_at=ended)


@pytest.mark.parametrize(
    ("known", "next_due", "comes"),
    [
        ((), None, None),
        ((), NIGHT, NIGHT),
        ((fire(1), fire(2, hours=3), fire(3, hours=9)), NIGHT, NIGHT + 3 * HOUR),
        ((fire(1, hours=3), fire(2, FireState.FAILED, hours=0)), NIGHT, NIGHT + 3 * HOUR),
        ((fire(1, hours=5), fire(99, FireState.DUE)), NIGHT, NOON + 4 * HOUR),
        ((fire(1, hours=1), fire(2, FireState.DUE)), NIGHT, NOON),
        ((), NOON - HOUR, NOON),
    ],
    ids=["none", "no job before", "as most took", "a failure says nothing", "one runs", "one runs long", "overdue"],
)
def test_the_next_result_comes_when_the_next_job_will_have_run(known, next_due, comes):
    assert next_result(known, next_due, NOON) == comes


def test_a_day_ends_where_the_team_is_and_a_moment_is_a_moment():
    shanghai = ZoneInfo("Asia/Shanghai")
    assert datetime(2026, 12, 10, 15, 59, tzinfo=UTC) < last_moment(date(2026, 12, 10), shanghai)
    assert last_moment(date(2026, 12, 10), shanghai) < datetime(2026, 12, 10, 16, tzinfo=UTC)
    assert last_moment(NOON, shanghai) == NOON


@pytest.fixture
def tracker() -> MemoryTracker:
    tracker = MemoryTracker(project="SR")
    tracker.create("theirs", TicketDraft("Try the new encoder", ""))
    return tracker


@pytest.fixture
def herald(sqlite_database, tmp_path, tracker) -> Herald:
    config = Config(
        tracker={"jira": {"url": "https://example.com", "token": "none", "project": "SR"}},
        chat={"slack": {"kind": "slack", "token": "none"}},
        pipeline={
            "search": {
                "title": "Search",
                "experiment": "search",
                "tracker": "jira",
                "ticket": "SR-1",
                "metrics": {"ndcg": {}},
                "schedule": {"cron": "0 3 * * *"},
                "job": {"command": ["true"]},
            }
        },
        digest={"chat": "slack", "channel": "C1", "schedule": {"every": "1h"}},
    )
    around = Surroundings(clock=lambda: NOON)
    services = Services({"jira": tracker}, {}, {"slack": MemoryChat()})
    return make_herald(config, tmp_path, around=around, services=services, database=sqlite_database)


def said(herald: Herald, locale: str = "en") -> str:
    return preview(herald, compose_digest(herald, locale=read_locale(locale), missed=find_missed(herald)))


def test_the_digest_says_that_the_next_result_comes_after_the_day_that_the_ticket_is_due(herald, tracker):
    assert "SR-1 is due" not in said(herald)
    tracker.tickets["SR-1"].due = date(2026, 11, 24)
    assert "SR-1 is due on 24 Nov, and Search has its next result on Wed 25 Nov, 03:00 at the earliest." in " ".join(
        said(herald).split()
    )
    assert "SR-1 的截止日期为 11月24日" in said(herald, "zh")
    tracker.tickets["SR-1"].due = date(2026, 11, 25)
    assert "SR-1 is due" not in said(herald)


def test_a_job_that_takes_too_long_misses_the_day_that_its_start_would_meet(herald, tracker):
    tracker.tickets["SR-1"].due = NIGHT + HOUR
    assert find_missed(herald) == ()
    with herald.database.begin() as tx:
        recorded = fires.record(tx, "search", NOON - 30 * HOUR)
        ended = {"state": FireState.ENDED, "started_at": NOON - 30 * HOUR, "ended_at": NOON - 28 * HOUR}
        fires.save(tx, replace(recorded, **ended))
    (missed,) = find_missed(herald)
    assert (missed.ticket, missed.comes) == ("SR-1", NIGHT + 2 * HOUR)


def test_nothing_is_asked_of_a_ticket_that_has_its_result(herald, tracker):
    tracker.tickets["SR-1"].due = date(2026, 11, 24)
    task = task_of("jira", "SR-1")
    with herald.database.begin() as tx:
        objects.know(tx, KnownObject(task, Bound("SR-1", "", "SR-1"), "", NOON))
    assert find_missed(herald) == ()
    assert tracker.faults.calls["due"] == 0


def test_a_tracker_that_cannot_be_asked_holds_no_digest_up(herald, tracker):
    tracker.tickets["SR-1"].due = date(2026, 11, 24)
    tracker.faults.fail_next("due", RetryableError("down", doubtful=False))
    assert "SR-1 is due" not in said(herald)
    owe_due_digest(herald)

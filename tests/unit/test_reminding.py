"""An incident that nobody has answered is reminded once, and then named in the digest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Turn, Watch, speak
from bot.domain.reminding import remind
from bot.domain.rules import Person
from bot.reports.digest import compose_digest, preview
from bot.text.locales import read_locale
from tests.unit.cycle_bench import EAGER, GOOD, Bench

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEI = Person("5b10a", "Wei")
OPEN = Incident("0123456789ab", Kind.REGRESSED, SeriesKey("search"), IncidentState.OPEN, "run5", NOON, told_at=NOON)


def test_it_is_reminded_once_until_people_are_told_of_it_anew():
    step = remind(OPEN, 7 * DAY, NOON + 7 * DAY)
    assert step is not None
    assert (step.turn, step.incident.reminded_at) == (Turn.REMINDED, NOON + 7 * DAY)
    assert remind(step.incident, 7 * DAY, NOON + 70 * DAY) is None
    repeated = speak(step.incident, Turn.REPEATED, NOON + 8 * DAY).incident
    assert remind(repeated, 7 * DAY, NOON + 70 * DAY) is None
    anew = speak(step.incident, Turn.RETURNED, NOON + 8 * DAY).incident
    assert remind(anew, 7 * DAY, NOON + 14 * DAY) is None
    assert remind(anew, 7 * DAY, NOON + 15 * DAY) is not None


@pytest.mark.parametrize(
    "quiet",
    [
        replace(OPEN, state=IncidentState.CANDIDATE, told_at=None),
        replace(OPEN, state=IncidentState.RESOLVED),
        replace(OPEN, is_hushed=True),
        replace(OPEN, watch=Watch(NOON, 3)),
    ],
    ids=["a candidate", "over", "hushed", "watched"],
)
def test_what_needs_no_answer_is_not_reminded(quiet):
    assert remind(quiet, 7 * DAY, NOON + 70 * DAY) is None
    assert remind(OPEN, timedelta(0), NOON + 70 * DAY) is None


@pytest.fixture
def fallen(sqlite_url, tmp_path):
    bench = Bench(tmp_path, sqlite_url, {**EAGER, "tickets": {"comment_every": "90d", "escalate_to": "Maria Keller"}})
    bench.tickets.people.assignable.add(WEI.account)
    bench.run()
    bench.outcomes([*GOOD, 0.60, 0.61])
    yield bench
    bench.database.close()


def listen(bench, later):
    bench.now += later
    bench.herald.cycle("search").listen()
    bench.herald.dispatcher.drain()
    return [body for _, body in bench.ticket.comments]


def test_the_ticket_is_reminded_and_the_digest_names_what_waits(fallen):
    assert listen(fallen, 6 * DAY) == []
    (comment,) = listen(fallen, DAY)
    assert "Nobody has answered here for 7" in comment
    assert "Maria Keller is asked to see to it." in comment
    assert listen(fallen, 30 * DAY) == [comment]
    said = preview(fallen.herald, compose_digest(fallen.herald))
    assert "Nobody has answered for 37" in said


def test_whoever_says_anything_in_the_ticket_has_answered(fallen):
    fallen.now += timedelta(minutes=1)
    fallen.tracker.say(fallen.ticket.key, WEI, "Looking into it.")
    fallen.herald.triage.run()
    assert listen(fallen, 8 * DAY) == []


def test_the_digest_names_what_lapses_within_a_week_and_who_asked(fallen):
    fallen.now += timedelta(minutes=1)
    fallen.tracker.say(fallen.ticket.key, WEI, "/herald noise 10d a new index is being built")
    fallen.herald.triage.run()
    assert "asked for it" not in preview(fallen.herald, compose_digest(fallen.herald))
    fallen.now += 5 * DAY
    said = preview(fallen.herald, compose_digest(fallen.herald))
    assert "This ends on " in said
    assert "Noise, ndcg of search. Wei asked for it." in said.replace("\n    ", " ")


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("mute 10d a new index is being built", "Muted until 4 Dec, as Wei asked."),
        ("mute 2d a new index is being built", "Muted until "),
        ("fixed the index is whole again", "Wei says that it is fixed; the next runs will show."),
    ],
)
def test_what_somebody_keeps_quiet_or_has_fixed_needs_nobody_and_the_digest_says_by_whose_word(fallen, said, word):
    fallen.now += timedelta(minutes=1)
    fallen.tracker.say(fallen.ticket.key, WEI, f"/herald {said}")
    fallen.herald.triage.run()
    told = " ".join(preview(fallen.herald, compose_digest(fallen.herald)).split())
    assert "Needs you" not in told
    assert told.index("Watching") < told.index("ndcg of search fell") < told.index(word)
    assert "This ends on" not in told, "the line says so itself"
    in_chinese = preview(fallen.herald, compose_digest(fallen.herald, locale=read_locale("zh")))
    assert ("Wei 表示已修复" if said.startswith("fixed") else "由 Wei 提出") in in_chinese
    assert "需要处理" not in in_chinese

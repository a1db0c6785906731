"""What every tracker promises."""

from __future__ import annotations

import pytest

from bot.domain.capabilities import TicketState
from bot.errors import PermanentError, RetryableError
from bot.ports import Attachment, RemoteLink, TicketDraft
from tests.contract.benches import TrackerBench

MARKER = "herald-team-4f1a-0-1"
DRAFT = TicketDraft("Ranking quality fell", "h3. What\nIt fell.", labels=("ranking",))
FILE = Attachment("history-1f2e3d.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
HOSTILE = "{code} [~admin] !x.png! |a|b| ----\n# 1\n* \u202eabc\u202c 🙂 \\ {noformat} %s ${x} <b>&amp;"


def opened(bench: TrackerBench, marker: str = MARKER) -> str:
    return bench.tracker.create(marker, DRAFT).key


def test_a_ticket_is_created_found_and_read(tracker_bench: TrackerBench):
    made = tracker_bench.tracker.create(MARKER, DRAFT)
    assert made.state is TicketState.TODO
    assert made.url
    assert tracker_bench.tracker.find(MARKER) == made
    assert tracker_bench.tracker.read(made.key) == made
    seen = tracker_bench.see(made.key)
    assert (seen.title, seen.body, seen.labels) == (DRAFT.title, DRAFT.body, {MARKER, "ranking"})
    assert tracker_bench.count_writes() in (1, None)


def test_it_is_said_by_when_a_ticket_is_to_be_done_until_it_is(tracker_bench: TrackerBench):
    key = opened(tracker_bench)
    assert tracker_bench.tracker.due(key) is None
    tracker_bench.give_due(key, "2026-12-10")
    due = tracker_bench.tracker.due(key)
    assert due is not None
    assert f"{due:%Y-%m-%d}" == "2026-12-10"
    tracker_bench.tracker.move(key, TicketState.DONE)
    assert tracker_bench.tracker.due(key) is None
    with pytest.raises(PermanentError):
        tracker_bench.tracker.due(tracker_bench.missing)


def test_what_was_not_created_is_not_found(tracker_bench: TrackerBench):
    opened(tracker_bench)
    assert tracker_bench.tracker.find("herald-team-4f1a-0-2") is None
    assert tracker_bench.tracker.read(tracker_bench.missing) is None


def test_of_two_tickets_with_one_marker_the_oldest_is_found(tracker_bench: TrackerBench):
    first = opened(tracker_bench)
    second = opened(tracker_bench)
    assert first != second
    found = tracker_bench.tracker.find(MARKER)
    assert found is not None
    assert found.key == first


def test_of_two_tickets_with_one_marker_the_open_one_is_found(tracker_bench: TrackerBench):
    first, second = opened(tracker_bench), opened(tracker_bench)
    tracker_bench.tracker.move(first, TicketState.DONE)
    found = tracker_bench.tracker.find(MARKER)
    assert found is not None
    assert found.key == second


def test_a_ticket_that_people_closed_is_found(tracker_bench: TrackerBench):
    key = opened(tracker_bench)
    tracker_bench.tracker.move(key, TicketState.DONE)
    assert not tracker_bench.tracker.is_duplicate(key)
    found = tracker_bench.tracker.find(MARKER)
    assert found is not None
    assert found.key == key


def test_a_ticket_that_was_closed_as_repeating_another_is_not_found(tracker_bench: TrackerBench):
    original = tracker_bench.tracker.create("herald-team-4f1a-0-9", DRAFT)
    key = opened(tracker_bench)
    tracker_bench.tracker.close_duplicate(key, original)
    assert tracker_bench.tracker.is_duplicate(key)
    assert not tracker_bench.tracker.is_duplicate(original.key)
    assert tracker_bench.tracker.find(MARKER) is None
    tracker_bench.tracker.move(key, TicketState.TODO)
    found = tracker_bench.tracker.find(MARKER)
    assert found is not None
    assert found.key == key


def test_a_comment_is_found_by_its_mark(tracker_bench: TrackerBench):
    key = opened(tracker_bench)
    assert not tracker_bench.tracker.has_comment(key, "run-2")
    tracker_bench.tracker.comment(key, "run-2", "Still so.")
    assert tracker_bench.tracker.has_comment(key, "run-2")
    assert not tracker_bench.tracker.has_comment(key, "run-3")
    assert tracker_bench.see(key).comments == ["Still so."]
    assert tracker_bench.count_writes() in (2, None)


@pytest.mark.parametrize("state", [TicketState.DOING, TicketState.DONE])
def test_a_ticket_moves_to_a_state_and_stays_there(tracker_bench: TrackerBench, state: TicketState):
    key = opened(tracker_bench)
    tracker_bench.tracker.move(key, state)
    tracker_bench.tracker.move(key, state)
    found = tracker_bench.tracker.read(key)
    assert found is not None
    assert found.state is state
    assert tracker_bench.count_writes() in (2, None)


def test_a_ticket_can_be_taken_up_again(tracker_bench: TrackerBench):
    key = opened(tracker_bench)
    tracker_bench.tracker.move(key, TicketState.DONE)
    tracker_bench.tracker.move(key, TicketState.TODO)
    found = tracker_bench.tracker.find(MARKER)
    assert found is not None
    assert found.state is TicketState.TODO


def test_a_link_of_the_same_identity_is_replaced(tracker_bench: TrackerBench):
    key = opened(tracker_bench)
    tracker_bench.tracker.link(key, RemoteLink("herald-report", "https://wiki/1", "Report 1"))
    tracker_bench.tracker.link(key, RemoteLink("herald-report", "https://wiki/2", "Report 2"))
    tracker_bench.tracker.link(key, RemoteLink("herald-run", "https://mlflow/2", "Run 2"))
    assert tracker_bench.see(key).links == {"https://wiki/2": "Report 2", "https://mlflow/2": "Run 2"}
    assert tracker_bench.count_writes() in (3 + tracker_bench.replacing_a_link, None)


def test_a_file_is_attached_once(tracker_bench: TrackerBench):
    key = opened(tracker_bench)
    tracker_bench.tracker.attach(key, FILE)
    tracker_bench.tracker.attach(key, FILE)
    assert tracker_bench.see(key).files == [FILE.filename]
    assert tracker_bench.count_writes() in (2, None)


def test_hostile_text_passes_through(tracker_bench: TrackerBench):
    made = tracker_bench.tracker.create(MARKER, TicketDraft("[~admin] {code} 🙂 <b>", HOSTILE))
    tracker_bench.tracker.comment(made.key, "m", HOSTILE)
    seen = tracker_bench.see(made.key)
    assert (seen.title, seen.body, seen.comments) == ("[~admin] {code} 🙂 <b>", HOSTILE, [HOSTILE])


@pytest.mark.parametrize("committed", [True, False])
def test_a_create_that_breaks_off_is_doubtful_and_the_marker_tells(tracker_bench: TrackerBench, committed: bool):
    tracker_bench.fail_next("create", committed=committed)
    with pytest.raises(RetryableError) as caught:
        opened(tracker_bench)
    assert caught.value.doubtful
    assert (tracker_bench.tracker.find(MARKER) is not None) is committed
    assert tracker_bench.count_writes() in (1, None)


@pytest.mark.parametrize("committed", [True, False])
def test_a_comment_that_breaks_off_is_doubtful_and_its_mark_tells(tracker_bench: TrackerBench, committed: bool):
    key = opened(tracker_bench)
    tracker_bench.fail_next("comment", committed=committed)
    with pytest.raises(RetryableError) as caught:
        tracker_bench.tracker.comment(key, "run-2", "Still so.")
    assert caught.value.doubtful
    assert tracker_bench.tracker.has_comment(key, "run-2") is committed


@pytest.mark.parametrize("committed", [True, False])
def test_what_is_repeated_after_breaking_off_is_there_once(tracker_bench: TrackerBench, committed: bool):
    key = opened(tracker_bench)
    link = RemoteLink("herald-report", "https://wiki/1", "Report")
    acts = {
        "move": lambda: tracker_bench.tracker.move(key, TicketState.DONE),
        "link": lambda: tracker_bench.tracker.link(key, link),
        "attach": lambda: tracker_bench.tracker.attach(key, FILE),
    }
    for method, act in acts.items():
        tracker_bench.fail_next(method, committed=committed)
        with pytest.raises(RetryableError):
            act()
        act()
    seen, read = tracker_bench.see(key), tracker_bench.tracker.read(key)
    assert read is not None
    assert read.state is TicketState.DONE
    assert (seen.links, seen.files) == ({link.url: link.title}, [FILE.filename])


@pytest.mark.parametrize(
    "act",
    [
        lambda tracker, key: tracker.comment(key, "m", "x"),
        lambda tracker, key: tracker.has_comment(key, "m"),
        lambda tracker, key: tracker.move(key, TicketState.DONE),
        lambda tracker, key: tracker.link(key, RemoteLink("i", "https://x", "x")),
        lambda tracker, key: tracker.attach(key, FILE),
    ],
    ids=["comment", "has_comment", "move", "link", "attach"],
)
def test_a_ticket_that_is_not_there_takes_nothing(tracker_bench: TrackerBench, act):
    with pytest.raises(PermanentError) as caught:
        act(tracker_bench.tracker, tracker_bench.missing)
    assert caught.value.status == 404

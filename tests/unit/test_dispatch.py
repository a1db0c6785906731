"""Delivering what is owed: once, in order, and with every doubtful end settled before anything is sent again."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.delivery.dispatcher import IN_FLIGHT, LEASE
from bot.delivery.drain_report import DrainReport
from bot.delivery.services import Services
from bot.domain.capabilities import ChatCapabilities, TicketState
from bot.domain.effects import (
    AttachText,
    AttachToPage,
    AttachToTicket,
    Effect,
    OpenTicket,
    PublishArchive,
    TellChannel,
)
from bot.domain.views import (
    ArchivePageView,
    FactRow,
    OpenIncidentRow,
    PipelinePageView,
    Tone,
    View,
)
from bot.errors import PermanentError, RetryableError, TemplateError
from bot.runtime.deadline import seconds_left
from bot.services.memory.chat import MemoryChat
from bot.store import Database, claims, incidents, objects, outbox, tables
from bot.store.owed import EffectState
from tests.unit.delivery_bench import (
    LAG,
    PARENT,
    Bench,
    attach,
    publish_page,
    update_section,
)
from tests.unit.state_samples import (
    INCIDENT,
    MESSAGE,
    MINUTE,
    NOON,
    PAGE,
    SECOND,
    TICKET,
    VERDICT,
    comment,
    incident,
    label,
    link,
    message_view,
    open_ticket,
    resolve,
    tell,
    ticket_view,
)


@pytest.fixture
def bench(sqlite_database) -> Bench:
    return Bench(sqlite_database)


def whole_text() -> tuple[Effect, View]:
    return AttachText(TICKET, "opened", INCIDENT, needs=(TICKET,)), ticket_view()


def long_ticket() -> tuple[Effect, View]:
    effect, view = open_ticket()
    rows = tuple(FactRow(f"parameter {number}", "1", "2", changed=True) for number in range(150))
    return effect, replace(view, facts=rows)


def dropped(committed_words="The connection was dropped.") -> RetryableError:
    return RetryableError(committed_words, doubtful=True)


def busy(retry_after: float | None = None) -> RetryableError:
    return RetryableError("503 Service Unavailable", doubtful=False, retry_after=retry_after)


# ---- each effect once


def test_everything_an_incident_calls_for_is_delivered_once_each(bench):
    bench.owe(
        update_section(),
        publish_page(),
        label(),
        attach(AttachToPage, PAGE),
        open_ticket(report=PAGE),
        attach(AttachToTicket, TICKET),
        link(),
        tell("run5/filed", ticket=TICKET, report=PAGE),
    )
    bench.owe(comment("run6/repeated"), comment("run7/resolved"), resolve("run7/resolved"))
    report = bench.drain()
    assert (report.delivered, report.failures) == (11, [])
    assert bench.owed == []
    ticket = bench.ticket
    assert ticket.marker == TICKET.name
    assert [mark for mark, _ in ticket.comments] == ["mark-run6/repeated", "mark-run7/resolved"]
    assert list(ticket.attachments) == ["history-1.png"]
    assert [each.url for each in ticket.links.values()] == ["memory://wiki/2"]
    assert ticket.state is TicketState.DONE
    parent, page = bench.wiki.pages.values()
    assert (parent.draft.title, page.draft.title) == (PARENT.name, PAGE.name)
    assert page.labels == ["herald", TICKET.name]
    assert list(page.attachments) == ["history-1.png"]
    assert len(bench.chat.messages) == 1


def test_news_of_a_message_that_broke_once_it_was_posted_edits_that_one(bench):
    bench.chat.faults.fail_next("post", KeyError("id"), committed=True)  # an answer that nobody foresaw
    bench.owe(tell("run5/filed"))
    bench.drain()
    bench.owe(tell("run6/repeated"))
    bench.drain()
    (message,) = bench.chat.messages
    assert len(message.edits) == 1


def test_draining_again_sends_nothing(bench):
    bench.owe(open_ticket(), comment("a"), tell("a"))
    bench.drain()
    calls = [Counter(each.faults.calls) for each in (bench.tracker, bench.chat)]
    assert bench.drain().delivered == 0
    assert [each.faults.calls for each in (bench.tracker, bench.chat)] == calls


def test_a_ticket_carries_what_the_pipelines_configuration_says(bench):
    bench.owe(open_ticket())
    bench.drain()
    draft = bench.ticket.draft
    assert (draft.priority, draft.assignee, draft.components) == ("High", "account-7", ("ranking",))
    assert bench.ticket.labels == (TICKET.name, "herald-test", "model-quality")


def test_a_page_that_is_kept_up_to_date_is_found_again_and_only_its_section_changes(bench):
    bench.owe(update_section("run5"))
    bench.drain()
    bench.owe(update_section("run6"))
    bench.drain()
    assert len(bench.wiki.pages) == 1


def test_a_page_goes_below_the_page_of_its_year_and_that_below_the_page_of_its_pipeline(bench):
    effect, view = publish_page()
    archive = replace(PARENT, name="Search 2026 (Herald test)")
    year = ArchivePageView(archive.name, "Search", "2026", {"pipeline": PARENT})
    bench.owe(
        update_section(),
        (PublishArchive(archive, "year", needs=(PARENT,)), year),
        (replace(effect, needs=(archive,)), replace(view, links={"archive": archive})),
    )
    bench.drain()
    parent, of_year, page = bench.wiki.pages.values()
    assert (page.draft.parent_id, of_year.draft.parent_id) == (of_year.page_id, parent.page_id)


# ---- failing, and trying again


def test_what_a_busy_service_refuses_is_tried_again_later(bench):
    bench.tracker.faults.fail_next("create", busy())
    bench.owe(open_ticket())
    report = bench.drain()
    assert report.failures == ["503 Service Unavailable"]
    assert bench.drain().delivered == 0, "not before its time"
    bench.clock.now += 2 * SECOND
    assert bench.drain().delivered == 1
    assert bench.tracker.faults.calls["find"] == 0, "nothing was doubtful"


def test_pauses_double_and_stay_below_ten_minutes(bench):
    waits = []
    bench.owe(open_ticket())
    for _ in range(12):
        bench.tracker.faults.fail_next("create", busy())
        bench.drain()
        with bench.database.begin() as tx:
            due = claims.next_due(tx)
        waits.append((due - bench.clock()).total_seconds())
        bench.clock.now = due
    longest = [min(2.0 * 2**tries, 600.0) for tries in range(12)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))


def test_a_service_that_says_when_to_come_back_is_left_alone_until_then(bench):
    bench.tracker.faults.fail_next("create", busy(retry_after=90))
    bench.owe(open_ticket())
    bench.drain()
    bench.clock.now += 89 * SECOND
    assert bench.drain().delivered == 0
    bench.clock.now += 1 * SECOND
    assert bench.drain().delivered == 1


def test_a_patient_drain_waits_for_the_next_try(bench):
    bench.tracker.faults.fail_next("create", busy())
    bench.owe(open_ticket())
    report = bench.drain(MINUTE)
    assert report.delivered == 1
    assert 1 <= sum(bench.clock.pauses) <= 2.1


def test_a_drain_waits_no_longer_than_its_patience(bench):
    bench.tracker.faults.fail_next("create", busy(retry_after=3600))
    bench.owe(open_ticket())
    bench.drain(MINUTE)
    assert bench.clock() < NOON + MINUTE


def test_a_patient_drain_does_not_wait_for_what_is_parked(bench):
    bench.tracker.faults.fail_next("create", PermanentError("The project does not exist."))
    bench.owe(open_ticket(), comment("a"), link(), attach(AttachToTicket, TICKET))
    bench.drain(MINUTE)
    assert bench.clock.pauses == []


@pytest.mark.parametrize(
    "error", [PermanentError("Field 'priority' cannot be set."), TemplateError("ticket.wiki.j2: 'x'")]
)
def test_what_cannot_succeed_is_parked_with_the_words_of_the_refusal(bench, error):
    bench.tracker.faults.fail_next("create", error)
    bench.owe(open_ticket(), tell("a"))
    report = bench.drain()
    assert bench.parked == [("open_ticket", str(error))]
    assert report.failures == [str(error)]
    assert report.delivered == 1, "the message does not wait"
    bench.clock.now += timedelta(days=1)
    assert bench.drain().delivered == 0


def test_what_was_parked_is_delivered_once_a_person_has_mended_the_cause(bench):
    bench.tracker.faults.fail_next("create", PermanentError("Field 'priority' cannot be set."))
    bench.owe(open_ticket(), comment("a"))
    bench.drain()
    bench.retry(1)
    assert bench.drain().delivered == 2
    assert [mark for mark, _ in bench.ticket.comments] == ["mark-a"]


def test_comments_on_a_ticket_that_was_cancelled_are_parked_saying_so(bench):
    bench.tracker.faults.fail_next("create", PermanentError("no"))
    bench.owe(open_ticket(), comment("a"))
    bench.drain()
    with bench.database.begin() as tx:
        outbox.set_state(tx, 1, EffectState.CANCELLED, NOON)
    bench.drain()
    words = f"{TICKET}: was never made, because what should have made it was cancelled"
    assert bench.parked == [("comment_ticket", words)]


def test_what_is_owed_to_a_service_that_left_the_configuration_is_parked_saying_so(bench):
    bench.owe(open_ticket())
    bench.dispatcher(services=Services({}, {}, {})).drain()
    words = "jira: is no longer in the configuration; add it again, or cancel what is owed to it"
    assert bench.parked == [("open_ticket", words)]


def test_one_service_that_is_down_holds_up_no_other(bench):
    bench.tracker.faults.fail_next("create", busy())
    bench.owe(open_ticket(), publish_page(), tell("a", ticket=TICKET))
    assert bench.drain().delivered == 2


# ---- doubtful ends


def later(bench, moment=LAG + SECOND):
    bench.clock.now += moment


def test_a_ticket_that_was_created_before_the_connection_dropped_is_found_and_not_created_again(bench):
    bench.tracker.faults.fail_next("create", dropped(), committed=True)
    bench.owe(open_ticket(), comment("a"))
    bench.drain()
    later(bench)
    bench.drain()
    assert bench.tracker.faults.calls["create"] == 1
    assert [mark for mark, _ in bench.ticket.comments] == ["mark-a"]


def test_a_ticket_that_was_not_created_is_created_once_the_search_would_surely_show_it(bench):
    bench.tracker.faults.fail_next("create", dropped())
    bench.owe(open_ticket())
    bench.drain()
    later(bench, IN_FLIGHT + LAG - SECOND)
    bench.drain()
    assert bench.tracker.faults.calls["create"] == 1, (
        "while it may arrive or not be shown yet, not found proves nothing"
    )
    later(bench, 2 * SECOND)
    assert bench.drain().delivered == 1
    assert bench.tracker.faults.calls["create"] == 2
    assert len(bench.tracker.tickets) == 1


def test_a_doubt_outlives_a_search_that_fails(bench):
    bench.tracker.faults.fail_next("create", dropped(), committed=True)
    bench.tracker.faults.fail_next("find", busy())
    bench.owe(open_ticket())
    for _ in range(3):
        bench.drain()
        later(bench)
    assert bench.owed == []
    assert bench.tracker.faults.calls["create"] == 1


def test_a_doubt_outlives_being_parked_while_nobody_may_search(bench):
    bench.tracker.faults.fail_next("create", dropped(), committed=True)
    bench.tracker.faults.fail_next("find", PermanentError("401 Unauthorized"))
    bench.owe(open_ticket())
    bench.drain()
    later(bench)
    bench.drain()
    assert bench.parked == [("open_ticket", "401 Unauthorized")]
    bench.retry(1)
    assert bench.drain().delivered == 1
    assert bench.tracker.faults.calls["create"] == 1


@pytest.mark.parametrize("committed", [True, False])
def test_a_comment_whose_end_is_unknown_is_said_once(bench, committed):
    bench.tracker.faults.fail_next("comment", dropped(), committed=committed)
    bench.owe(open_ticket(), comment("a"), comment("b"))
    bench.drain()
    later(bench)
    bench.drain()
    assert [mark for mark, _ in bench.ticket.comments] == ["mark-a", "mark-b"]


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize(
    ("method", "effect"),
    [
        ("move", resolve("a")),
        ("link", link()),
        ("attach", attach(AttachToTicket, TICKET)),
        ("attach", whole_text()),
    ],
)
def test_a_change_that_may_be_repeated_is_repeated(bench, method, effect, committed):
    bench.owe(publish_page(), open_ticket())
    bench.drain()
    bench.tracker.faults.fail_next(method, dropped(), committed=committed)
    bench.owe(effect)
    bench.drain()
    later(bench)
    assert bench.drain().delivered == 1
    assert len(bench.ticket.links) + len(bench.ticket.attachments) + (bench.ticket.state is TicketState.DONE) == 1


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("method", ["create", "label", "attach", "replace_section"])
def test_a_page_whose_end_is_unknown_is_there_once(bench, method, committed):
    bench.wiki.faults.fail_next(method, dropped(), committed=committed)
    bench.owe(update_section(), publish_page(), label(), attach(AttachToPage, PAGE))
    for _ in range(3):
        bench.drain()
        later(bench)
    assert bench.owed == []
    assert sorted(page.draft.title for page in bench.wiki.pages.values()) == sorted([PARENT.name, PAGE.name])
    page = next(page for page in bench.wiki.pages.values() if page.draft.title == PAGE.name)
    assert page.labels == ["herald", TICKET.name]
    assert list(page.attachments) == ["history-1.png"]


@pytest.mark.parametrize("committed", [True, False])
def test_a_message_whose_end_is_unknown_is_posted_once(bench, committed):
    bench.chat.faults.fail_next("post", dropped(), committed=committed)
    bench.owe(tell("a"))
    bench.drain()
    later(bench)
    assert bench.drain().delivered == 1
    assert len(bench.chat.messages) == 1


def test_a_message_found_after_a_doubtful_end_is_brought_up_to_date(bench):
    bench.chat.faults.fail_next("post", dropped(), committed=True)
    bench.owe(tell("a", ticket=TICKET))
    bench.drain()
    bench.owe(open_ticket())
    later(bench)
    bench.drain()
    bench.drain()
    assert "MEM-1" in bench.message.text


@pytest.mark.parametrize("committed", [True, False])
def test_a_webhook_posts_at_most_once_and_leaves_the_doubt_to_a_person(sqlite_database, committed):
    bench = Bench(sqlite_database, chat=MemoryChat(ChatCapabilities()))
    bench.chat.faults.fail_next("post", dropped(), committed=committed)
    bench.owe(tell("a"))
    bench.drain()
    later(bench)
    bench.drain()
    assert bench.chat.faults.calls["post"] == 1
    ((kind, words),) = bench.parked
    assert kind == "tell_channel"
    assert words.startswith("slack: the message may or may not have been posted, and a webhook cannot be asked")
    bench.retry(1)
    assert bench.drain().delivered == 1, "a person decided"
    assert bench.chat.faults.calls["post"] == 2


def test_a_webhook_is_posted_to_again_when_there_is_news(sqlite_database):
    bench = Bench(sqlite_database, chat=MemoryChat(ChatCapabilities()))
    bench.owe(tell("a"), tell("b"))
    bench.drain()
    assert len(bench.chat.messages) == 2


# ---- what was cut


def test_trap_20_a_ticket_that_was_cut_has_its_whole_text_attached(bench):
    bench.owe(long_ticket())
    bench.drain()
    assert "and 50 more" in bench.ticket.draft.body
    [(name, file)] = bench.ticket.attachments.items()
    assert name.startswith("whole-text-")
    assert (file.media_type, file.content.decode().count("parameter ")) == ("text/markdown", 150)


def test_a_ticket_that_has_room_for_everything_has_no_file_of_its_text(bench):
    bench.owe(open_ticket())
    bench.drain()
    assert bench.ticket.attachments == {}
    assert bench.owed == []


def test_a_cut_ticket_found_after_a_doubtful_end_gets_its_whole_text_too(bench):
    bench.tracker.faults.fail_next("create", dropped(), committed=True)
    bench.owe(long_ticket())
    bench.drain()
    later(bench)
    bench.drain()
    assert len(bench.ticket.attachments) == 1


def long_comment() -> tuple[Effect, View]:
    effect, view = comment("a")
    rows = tuple(replace(view.rows[0], plain=f"metric {number}") for number in range(150))
    return effect, replace(view, rows=rows)


@pytest.mark.parametrize("broken", [False, True])
def test_a_comment_that_was_cut_has_its_whole_text_attached(bench, broken):
    bench.owe(open_ticket())
    bench.drain()
    if broken:
        bench.tracker.faults.fail_next("comment", dropped(), committed=True)
    bench.owe(long_comment())
    bench.drain()
    later(bench)
    bench.drain()
    [(_, body)] = bench.ticket.comments
    [(name, file)] = bench.ticket.attachments.items()
    assert "metric 149" not in body
    assert name.startswith("whole-text-")
    assert "metric 149" in file.content.decode()


# ---- references to other services


def test_a_link_waits_for_its_page_and_comments_do_not(bench):
    bench.wiki.faults.fail_next("create", busy(retry_after=60))
    bench.owe(publish_page(), open_ticket(), link(), comment("a"))
    bench.drain()
    assert [mark for mark, _ in bench.ticket.comments] == ["mark-a"]
    assert bench.ticket.links == {}
    bench.clock.now += 2 * MINUTE
    bench.drain()
    assert list(bench.ticket.links) == [f"herald={PAGE.name}"]


def test_a_ticket_waits_a_moment_for_the_report_that_it_names(bench):
    bench.owe(open_ticket(report=PAGE), publish_page())
    bench.drain()
    assert "Report: " in bench.ticket.draft.body
    assert "pending" not in bench.ticket.draft.body


def test_a_ticket_does_not_wait_for_a_report_that_cannot_be_made_now(bench):
    bench.wiki.faults.fail_next("create", busy(retry_after=60))
    bench.owe(publish_page(), open_ticket(report=PAGE))
    bench.drain()
    assert "eport" not in bench.ticket.draft.body, "a ticket is not edited: what it called pending would be so for ever"


def test_a_message_says_that_the_ticket_is_pending_and_is_mended_by_an_edit(bench):
    bench.tracker.faults.fail_next("create", busy(retry_after=60))
    bench.owe(open_ticket(), tell("a", ticket=TICKET))
    bench.drain()
    assert "MEM-1" not in bench.message.text
    assert "pending" in bench.message.text
    bench.clock.now += 2 * MINUTE
    bench.drain()
    assert "MEM-1" in bench.message.text
    assert "pending" not in bench.message.text
    assert len(bench.message.edits) == 1


def section(cause: str, *, shows_ticket: bool = True) -> tuple[Effect, PipelinePageView]:
    """Return a section that names the ticket itself, as where the wiki cannot list the tracker's tickets."""
    effect, view = update_section(cause)
    row = OpenIncidentRow(VERDICT, "noon", "Search team", "", TICKET.name)
    return effect, replace(view, incidents=(row,), links={TICKET.name: TICKET}) if shows_ticket else view


def test_a_section_shows_a_ticket_once_it_is_there(bench):
    bench.tracker.faults.fail_next("create", busy(retry_after=60))
    bench.owe(section("run5"), open_ticket())
    bench.drain()
    [page] = bench.wiki.pages.values()
    assert "Ticket pending" in page.storage
    bench.clock.now += 2 * MINUTE
    bench.drain()
    assert "MEM-1" in page.storage
    assert "pending" not in page.storage
    assert bench.owed == []


def test_a_section_that_a_later_one_has_replaced_is_not_brought_back(bench):
    bench.tracker.faults.fail_next("create", busy(retry_after=60))
    bench.owe(section("run5"), open_ticket(), section("run6", shows_ticket=False))
    bench.drain()
    bench.clock.now += 2 * MINUTE
    bench.drain()
    [page] = bench.wiki.pages.values()
    assert "No incident is open" in page.storage


def test_a_message_is_mended_for_a_page_too(bench):
    bench.wiki.faults.fail_next("create", busy(retry_after=60))
    bench.owe(publish_page(), tell("a", report=PAGE))
    bench.drain()
    assert "Report pending" in bench.message.text
    bench.clock.now += 2 * MINUTE
    bench.drain()
    assert f"Report: {PAGE.name}" in bench.message.text


def test_a_mend_never_brings_back_an_older_text(bench):
    bench.tracker.faults.fail_next("create", busy(retry_after=60))
    newer = replace(message_view(ticket=TICKET), tone=Tone.GOOD)
    bench.owe(open_ticket(), tell("a", ticket=TICKET))
    bench.drain()
    bench.owe((TellChannel(MESSAGE, "b", INCIDENT), newer))
    bench.chat.faults.fail_next("edit", busy(retry_after=120))
    bench.clock.now += 3 * MINUTE
    for _ in range(3):
        bench.drain()
        bench.clock.now += 3 * MINUTE
    assert "tone: good" in bench.message.text
    assert "MEM-1" in bench.message.text


def test_a_webhook_message_is_never_mended(sqlite_database):
    bench = Bench(sqlite_database, chat=MemoryChat(ChatCapabilities()))
    bench.tracker.faults.fail_next("create", busy(retry_after=60))
    bench.owe(open_ticket(), tell("a", ticket=TICKET))
    bench.drain()
    bench.clock.now += 2 * MINUTE
    bench.drain()
    assert bench.owed == []
    (message,) = bench.chat.messages
    assert "pending" not in message.text


def test_what_cannot_be_edited_waits_longer_for_the_ticket_that_it_names(sqlite_database):
    bench = Bench(sqlite_database, chat=MemoryChat(ChatCapabilities()))
    bench.owe(tell("a", ticket=TICKET), open_ticket())
    bench.clock.now += MINUTE / 2  # as where runs of a long past were judged before anything was sent
    bench.drain()
    (message,) = bench.chat.messages
    assert "MEM-1" in message.text


def test_a_message_is_mended_when_the_ticket_comes_while_it_is_being_sent(bench):
    other = bench.dispatcher("host/2/2/b")

    def open_meanwhile(step: str) -> None:
        if step == "delivery.performed" and not bench.tracker.tickets:
            bench.owe(open_ticket())
            other.drain()

    bench.owe(tell("a", ticket=TICKET))
    bench.dispatcher(on_step=open_meanwhile).drain()
    assert "MEM-1" in bench.message.text
    assert len(bench.message.edits) == 1


@pytest.mark.parametrize("first", [OpenTicket.kind, TellChannel.kind])
def test_a_message_and_its_ticket_recorded_at_the_same_moment_do_not_miss_each_other(database, first):
    bench = Bench(database)
    bench.clock.pause = lambda _: None
    with database.begin() as tx:
        incidents.save(tx, incident())
    effects = [open_ticket(), tell("a", ticket=TICKET)]
    bench.owe(*(effects if first is OpenTicket.kind else reversed(effects)))
    other_has_performed = threading.Event()

    def hold_the_transaction_open(step: str) -> None:
        if step == "delivery.recording":
            other_has_performed.wait(5)
            other_is_done.wait(0.5)

    other_is_done = threading.Event()

    def go_second(step: str) -> None:
        if step == "delivery.performed":
            other_has_performed.set()

    def deliver_second() -> None:
        bench.dispatcher("host/2/2/b", go_second).deliver_next(DrainReport())
        other_is_done.set()

    started = threading.Event()

    def claim_first(step: str) -> None:
        if step == "delivery.claimed":
            started.set()
        hold_the_transaction_open(step)

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(bench.dispatcher("host/1/1/a", claim_first).deliver_next, DrainReport())
        started.wait(5)
        second = pool.submit(deliver_second)
        held.result(20)
        second.result(20)
    bench.drain()
    assert "MEM-1" in bench.message.text


def park_next(bench, method: str) -> int:
    """Let the service refuse for good what is owed next, and return its number."""
    service = bench.wiki if method == "replace_section" else bench.chat
    service.faults.fail_next(method, PermanentError("No."))
    bench.drain()
    with bench.database.begin() as tx:
        return next(owed.seq for owed in outbox.outstanding(tx) if owed.state is EffectState.PARKED)


def say(cause: str, tone: Tone) -> tuple[Effect, View]:
    effect, view = tell(cause)
    return effect, replace(view, tone=tone)


@pytest.mark.parametrize("first", ["post", "edit"])
def test_words_that_a_person_lets_go_late_do_not_undo_newer_ones(bench, first):
    if first == "edit":
        bench.owe(say("run5/filed", Tone.BAD))
        bench.drain()
    bench.owe(say("run6/repeated", Tone.BAD))
    late = park_next(bench, first)
    bench.owe(say("run7/resolved", Tone.GOOD))
    bench.drain()
    bench.retry(late)
    bench.drain()
    assert bench.owed == []
    assert "tone: good" in bench.message.text


def test_a_section_that_a_person_lets_go_late_does_not_undo_a_newer_one(bench):
    def section(cause: str, description: str) -> tuple[Effect, PipelinePageView]:
        effect, view = update_section(cause)
        return effect, replace(view, description=description)

    bench.owe(section("run5", "What it was."))
    bench.drain()
    bench.owe(section("run6", "What it was then."))
    late = park_next(bench, "replace_section")
    bench.owe(section("run7", "What it is."))
    bench.drain()
    bench.retry(late)
    bench.drain()
    assert bench.owed == []
    (page,) = bench.wiki.pages.values()
    assert "What it is." in page.storage


def test_the_newest_words_arrive_late_though_older_ones_were_mended_meanwhile(bench):
    bench.owe(say_of_ticket("run5/filed", Tone.BAD))
    bench.drain()
    bench.owe(say_of_ticket("run6/resolved", Tone.GOOD))
    late = park_next(bench, "edit")
    bench.owe(open_ticket())
    bench.drain()
    assert "MEM-1" in bench.message.text
    bench.retry(late)
    bench.drain()
    assert "tone: good" in bench.message.text


def say_of_ticket(cause: str, tone: Tone) -> tuple[Effect, View]:
    effect, view = tell(cause, ticket=TICKET)
    return effect, replace(view, tone=tone)


@pytest.mark.external_service
def test_what_is_made_while_another_looks_for_it_is_not_taken_for_gone(postgres_url, monkeypatch):
    """In SQLite a transaction keeps the others out; in PostgreSQL each look sees what was committed just before."""
    database = Database(postgres_url)
    bench = Bench(database)
    bench.owe(publish_page(), label())
    may_go_on, is_made = threading.Event(), threading.Event()

    def wait_before_making(step: str) -> None:
        if step == "delivery.claimed":
            may_go_on.wait(20)

    def make() -> None:
        bench.dispatcher("host/1/1/a", wait_before_making).deliver_next(DrainReport())
        is_made.set()

    def let_it_be_made_after(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*given: Any) -> Any:
            found = look(*given)
            if threading.current_thread() is threading.main_thread() and bench.is_looking:
                may_go_on.set()
                is_made.wait(20)
            return found

        return looked

    for module, name in ((objects, "known_objects"), (outbox, "is_owed")):
        monkeypatch.setattr(module, name, let_it_be_made_after(getattr(module, name)))

    def look(step: str) -> None:
        bench.is_looking = step == "delivery.claimed"

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make)
        wait_for_claim(database)
        bench.dispatcher("host/2/2/b", look).deliver_next(DrainReport())
        making.result(20)
    assert bench.parked == []
    bench.clock.now += MINUTE
    bench.drain()
    (page,) = bench.wiki.pages.values()
    assert page.labels == ["herald", TICKET.name]
    database.close()


def wait_for_claim(database: Database) -> None:
    claimed = select(tables.outbox.c.seq).where(tables.outbox.c.owner.is_not(None))
    for _ in range(200):
        with database.begin() as tx:
            if tx.execute(claimed).first() is not None:
                return
        time.sleep(0.05)


# ---- leases


def test_all_that_one_delivery_asks_ends_before_its_lease_does(bench):
    left: list[float] = []
    bench.owe(open_ticket())
    bench.dispatcher(
        on_step=lambda step: left.append(seconds_left()) if step == "delivery.marked-sent" else None
    ).drain()
    assert 0 < left[0] < LEASE.total_seconds() - 30
    assert seconds_left() == float("inf"), "and what is asked outside of deliveries is not held to it"


def test_a_dispatcher_that_lost_its_lease_sends_nothing(bench):
    bench.owe(open_ticket())

    def stall(step: str) -> None:
        if step == "delivery.claimed":
            bench.clock.now += LEASE + SECOND
            bench.dispatcher("host/2/2/b").drain()

    report = bench.dispatcher(on_step=stall).drain()
    assert report.delivered == 0
    assert bench.tracker.faults.calls["create"] == 1
    assert len(bench.tracker.tickets) == 1


def test_what_a_dispatcher_left_behind_is_looked_for_by_the_next(bench):
    class Killed(BaseException):
        pass

    def die(step: str) -> None:
        if step == "delivery.performed":
            raise Killed

    bench.owe(open_ticket())
    with pytest.raises(Killed):
        bench.dispatcher(on_step=die).drain()
    bench.clock.now += LEASE + SECOND
    bench.dispatcher("host/2/2/b").drain()
    assert bench.tracker.faults.calls["find"] == 0, "the request may have gone out just before its sender was missed"
    bench.clock.now += IN_FLIGHT
    bench.dispatcher("host/2/2/b").drain()
    assert bench.tracker.faults.calls["create"] == 1
    assert bench.owed == []


class Locked:
    """A service whose calls come one at a time, as a server's do; reading and writing memory is not atomic here."""

    def __init__(self, service) -> None:
        self._service, self._lock = service, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._service, name)
        if not callable(member):
            return member

        def call(*args):
            with self._lock:
                return member(*args)

        return call


def incident_effects(number: int):
    key = replace(TICKET, name=f"{TICKET.name}{number}")
    message = replace(MESSAGE, name=f"{MESSAGE.name}{number}")
    opening, said = (
        OpenTicket(key, "opened", f"{INCIDENT}{number}"),
        TellChannel(message, "a", f"{INCIDENT}{number}"),
    )
    comments = [(replace(effect, target=key), view) for effect, view in (comment("a"), comment("b"))]
    told = replace(message_view(ticket=key), mark=message.name.split()[1])
    return [(opening, replace(ticket_view(), marker=key.name)), *comments, (said, told)]


def test_dispatchers_that_work_side_by_side_never_deliver_twice(database):
    bench = Bench(database)
    for number in range(4):
        bench.owe(*incident_effects(number))
    services = Services({"jira": Locked(bench.tracker)}, {}, {"slack": Locked(bench.chat)})
    together = threading.Barrier(3)

    def work(number: int) -> int:
        dispatcher = bench.dispatcher(f"host/{number}/1/x", services=services, pause=lambda _: None)
        together.wait()
        return sum(dispatcher.drain().delivered for _ in range(3))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    bench.dispatcher(services=services).drain()
    assert bench.owed == []
    assert [len(ticket.comments) for ticket in bench.tracker.tickets.values()] == [2, 2, 2, 2]
    assert all([mark for mark, _ in t.comments] == ["mark-a", "mark-b"] for t in bench.tracker.tickets.values())
    assert len(bench.chat.messages) == 4
    assert all("pending" not in message.text for message in bench.chat.messages)

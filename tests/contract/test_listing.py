"""What services list of ours, so that a Herald that lost its state knows it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.domain.capabilities import TicketState
from bot.domain.message import MessageDocument
from bot.ports import MarkedTicket, PageDraft, TicketDraft
from bot.sandbox import RunningSandbox
from tests.contract import benches
from tests.contract.benches import ChatBench, TrackerBench, WikiBench

FAMILY = "herald-team"
FIRST, SECOND, THEIRS = "herald-team-4f1a-0-1", "herald-team-5a2b-0-1", "herald-other-4f1a-0-1"


def opened(bench: TrackerBench, marker: str):
    family = "-".join(marker.split("-")[:2])
    body = f"What is wrong: `{marker}`"
    return bench.tracker.create(marker, TicketDraft(f"Ticket of {marker}", body, labels=(family,)))


def test_our_tickets_are_listed_oldest_first_and_no_others(tracker_bench: TrackerBench):
    first, second = opened(tracker_bench, FIRST), opened(tracker_bench, SECOND)
    opened(tracker_bench, THEIRS)
    again = opened(tracker_bench, FIRST)
    listed = tracker_bench.tracker.marked(FAMILY)
    assert list(listed) == [MarkedTicket(FIRST, first), MarkedTicket(SECOND, second), MarkedTicket(FIRST, again)]


def test_a_duplicate_is_closed_and_names_its_original_however_often(tracker_bench: TrackerBench):
    first, later = opened(tracker_bench, FIRST), opened(tracker_bench, FIRST)
    for _ in range(2):
        tracker_bench.tracker.close_duplicate(later.key, first)
    shown = tracker_bench.tracker.read(later.key)
    assert shown is not None
    assert shown.state is TicketState.DONE
    unchanged = tracker_bench.tracker.read(first.key)
    assert unchanged is not None
    assert unchanged.state is TicketState.TODO


def test_jira_links_a_duplicate_once_and_resolves_it_as_one(sandbox: RunningSandbox):
    bench = benches.jira_tracker(sandbox, "cloud")
    first, later = opened(bench, FIRST), opened(bench, FIRST)
    for _ in range(2):
        bench.tracker.close_duplicate(later.key, first)
    reader = benches.reader_of(sandbox, sandbox.jira_cloud_url, cloud=True)
    fields = reader.get(f"rest/api/2/issue/{later.key}")["fields"]
    ((link),) = fields["issuelinks"]
    assert (link["type"]["outward"], link["outwardIssue"]["key"]) == ("duplicates", first.key)
    assert fields["resolution"]["name"] == "Duplicate"


def test_more_tickets_than_a_page_holds_are_all_listed(sandbox: RunningSandbox, monkeypatch):
    monkeypatch.setattr("bot.services.jira.tracker._LIST_PAGE", 2)
    for deployment in ("cloud", "datacenter"):
        bench = benches.jira_tracker(sandbox, deployment)
        keys = [opened(bench, f"herald-team-{number}-0-1").key for number in range(5)]
        assert [each.ticket.key for each in bench.tracker.marked(FAMILY)] == keys


def test_a_page_is_read_by_its_id_and_listed_by_its_label(wiki_bench: WikiBench):
    wiki = wiki_bench.wiki
    page, other = wiki.create(PageDraft("One", "<p>1</p>")), wiki.create(PageDraft("Two", "<p>2</p>"))
    wiki.label(page.page_id, ["herald"])
    assert wiki.read(page.page_id) == page
    assert wiki.read("999999") is None
    assert [each.page_id for each in wiki.labelled("herald")] == [page.page_id]
    assert wiki.labelled("nobodys") == []
    assert other.page_id != page.page_id


def test_our_messages_are_listed_oldest_first_with_their_marks(chat_bench: ChatBench):
    since = datetime.now(UTC) - timedelta(minutes=1)
    posted = [
        chat_bench.chat.post(chat_bench.channel, mark, MessageDocument.read(f"Message {mark}"))
        for mark in ("a", "b", "a")
    ]
    listed = chat_bench.chat.marked(chat_bench.channel, since)
    assert [(each.mark, each.posted) for each in listed] == list(zip(("a", "b", "a"), posted, strict=True))

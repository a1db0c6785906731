"""The services at their most awkward, as the stand-ins know them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.capabilities import TicketState
from bot.domain.message import MessageDocument
from bot.errors import AccountError, PermanentError, RetryableError
from bot.ports import Attachment, PageDraft, TicketDraft
from bot.render.form import TICKET_TITLE_CHARS
from bot.sandbox import Fault, FaultKind, Resolution, RunningSandbox, Service
from bot.services.webhook.chat import WebhookChat
from bot.services.webhook.config import WebhookSection
from tests.contract.benches import TIMEOUT, confluence_wiki, jira_tracker, slack_chat

DRAFT = TicketDraft("Ranking quality fell", "It fell.")
BEFORE = datetime.now(UTC) - timedelta(hours=1)
FILE = Attachment("history.png", b"\x89PNG" + bytes(2000), "image/png")
jiras = pytest.mark.parametrize("deployment", ["cloud", "datacenter"])


def jira_service(deployment: str) -> Service:
    return Service.JIRA_CLOUD if deployment == "cloud" else Service.JIRA_DATACENTER


def confluence_service(deployment: str) -> Service:
    return Service.CONFLUENCE_CLOUD if deployment == "cloud" else Service.CONFLUENCE_DATACENTER


@jiras
@pytest.mark.parametrize("resolution", list(Resolution))
@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_trap_24_tickets_are_resolved_whatever_the_screen_wants(
    sandbox: RunningSandbox, deployment: str, resolution: Resolution, language: str
):
    sandbox.change(jira_service(deployment), resolution=resolution, language=language)
    tracker = jira_tracker(sandbox, deployment).tracker
    key = tracker.create("m", DRAFT).key
    tracker.move(key, TicketState.DONE)
    found = tracker.read(key)
    assert found is not None
    assert found.state is TicketState.DONE


@jiras
def test_a_stepwise_workflow_is_walked_there_and_back(sandbox: RunningSandbox, deployment: str):
    sandbox.change(jira_service(deployment), stepwise=True)
    tracker = jira_tracker(sandbox, deployment).tracker
    key = tracker.create("m", DRAFT).key
    for state in (TicketState.DONE, TicketState.TODO):
        tracker.move(key, state)
        found = tracker.read(key)
        assert found is not None
        assert found.state is state


@jiras
def test_trap_12_what_was_just_created_is_found_once_the_index_has_caught_up(sandbox: RunningSandbox, deployment: str):
    sandbox.change(jira_service(deployment), search_lag=0.3)
    tracker = jira_tracker(sandbox, deployment, search_lag=timedelta(seconds=0.3)).tracker
    made = tracker.create("m", DRAFT)
    assert tracker.find("m") is None
    assert tracker.read(made.key) == made
    time.sleep(tracker.search_lag.total_seconds() + 0.05)
    assert tracker.find("m") == made


@jiras
def test_trap_22_a_required_field_is_named(sandbox: RunningSandbox, deployment: str):
    sandbox.change(jira_service(deployment), required_fields=("customfield_10020",))
    with pytest.raises(PermanentError, match="customfield_10020") as caught:
        jira_tracker(sandbox, deployment).tracker.create("m", DRAFT)
    assert set(caught.value.fields) == {"customfield_10020"}


@jiras
def test_trap_22_a_field_that_is_off_screen_is_named(sandbox: RunningSandbox, deployment: str):
    sandbox.change(jira_service(deployment), off_screen=("priority",))
    with pytest.raises(PermanentError, match="priority") as caught:
        jira_tracker(sandbox, deployment).tracker.create("m", TicketDraft("t", "b", priority="High"))
    assert caught.value.status == 400


@jiras
def test_trap_20_a_body_as_long_as_any_that_is_rendered_is_taken_whole(sandbox: RunningSandbox, deployment: str):
    bench = jira_tracker(sandbox, deployment)
    length = bench.tracker.text_form.limit
    key = bench.tracker.create("m", TicketDraft("x" * TICKET_TITLE_CHARS, "\\*x" * (length // 3))).key
    bench.tracker.comment(key, "c", "line\n" * (length // 5 - 1) + "line.")
    seen = bench.see(key)
    assert len(seen.body) == length // 3 * 3
    assert len(seen.comments[0]) == length


@jiras
def test_a_comment_among_many_is_found(sandbox: RunningSandbox, deployment: str):
    tracker = jira_tracker(sandbox, deployment).tracker
    key = tracker.create("m", DRAFT).key
    for index in range(105):
        tracker.comment(key, f"run-{index}", "again")
    assert tracker.has_comment(key, "run-104")
    assert not tracker.has_comment(key, "run-105")


@jiras
def test_what_the_account_may_not_do_is_permanent(sandbox: RunningSandbox, deployment: str):
    tracker = jira_tracker(sandbox, deployment).tracker
    key = tracker.create("m", DRAFT).key
    sandbox.change(jira_service(deployment), denied=("CREATE_ISSUES", "ADD_COMMENTS", "CREATE_ATTACHMENTS"))
    acts = (
        lambda: tracker.create("n", DRAFT),
        lambda: tracker.comment(key, "c", "x"),
        lambda: tracker.attach(key, FILE),
    )
    for act in acts:
        with pytest.raises(PermanentError):
            act()


@jiras
def test_a_wrong_token_is_told_with_what_to_check(sandbox: RunningSandbox, deployment: str):
    with pytest.raises(AccountError, match="Check the token") as caught:
        jira_tracker(sandbox, deployment, token="wr0ng-t0ken").tracker.create("m", DRAFT)
    assert caught.value.status == 401
    assert "wr0ng-t0ken" not in str(caught.value)


@jiras
def test_trap_40_a_project_that_one_may_not_see_does_not_exist(sandbox: RunningSandbox, deployment: str):
    with pytest.raises(PermanentError):
        jira_tracker(sandbox, deployment, project="HR").tracker.create("m", DRAFT)


@jiras
@pytest.mark.parametrize(("said", "seconds"), [("1", 1), ("0", 1), ("3600", 300), ("date:30", 30)])
def test_trap_16_18_a_rate_limit_says_how_long_to_wait(
    sandbox: RunningSandbox, deployment: str, said: str, seconds: float
):
    bench = jira_tracker(sandbox, deployment)
    sandbox.strike(Fault(FaultKind.RATE_LIMITED, method="POST", retry_after=said))
    with pytest.raises(RetryableError) as caught:
        bench.tracker.create("m", DRAFT)
    assert not caught.value.doubtful
    assert caught.value.retry_after == pytest.approx(seconds, abs=2)
    assert bench.count_writes() == 1


@jiras
@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.STALL_AFTER, FaultKind.HALF_BODY])
def test_what_was_created_though_its_answer_was_lost_is_found(
    sandbox: RunningSandbox, deployment: str, kind: FaultKind
):
    bench = jira_tracker(sandbox, deployment, timeout=timedelta(seconds=0.5))
    sandbox.strike(Fault(kind, method="POST", seconds=0.6))
    with pytest.raises(RetryableError) as caught:
        bench.tracker.create("m", DRAFT)
    assert caught.value.doubtful
    assert bench.tracker.find("m") is not None
    time.sleep(0.3)  # a stalled request is counted at its end
    assert bench.count_writes() == 1


@jiras
def test_trap_7_a_spurious_version_conflict_passes(sandbox: RunningSandbox, deployment: str):
    bench = confluence_wiki(sandbox, deployment)
    page = bench.wiki.create(PageDraft("Pipeline", "<p/>")).page_id
    sandbox.change(confluence_service(deployment), spurious_conflicts=1)
    with pytest.raises(RetryableError) as caught:
        bench.wiki.replace_section(page, "<p>one</p>")
    assert not caught.value.doubtful


@jiras
def test_what_the_account_may_not_do_in_a_space_is_permanent(sandbox: RunningSandbox, deployment: str):
    wiki = confluence_wiki(sandbox, deployment).wiki
    page = wiki.create(PageDraft("Run 4", "<p/>")).page_id
    sandbox.change(confluence_service(deployment), denied=("create", "update", "attach", "label"))
    acts = (
        lambda: wiki.create(PageDraft("Run 5", "<p/>")),
        lambda: wiki.replace_section(page, "<p>x</p>"),
        lambda: wiki.attach(page, FILE),
        lambda: wiki.label(page, ["a"]),
    )
    for act in acts:
        with pytest.raises(PermanentError):
            act()


@jiras
def test_a_space_that_one_may_not_see_is_refused(sandbox: RunningSandbox, deployment: str):
    with pytest.raises((PermanentError, AccountError)):
        confluence_wiki(sandbox, deployment, space="HR").wiki.create(PageDraft("Run 4", "<p/>"))


@jiras
def test_pages_are_made_under_the_parent_that_config_names(sandbox: RunningSandbox, deployment: str):
    confluence_wiki(sandbox, deployment).wiki.create(PageDraft("Reports", "<p/>"))
    below = confluence_wiki(sandbox, deployment, parent="Reports").wiki.create(PageDraft("Run 4", "<p/>"))
    assert below.title == "Run 4"


@pytest.mark.parametrize(
    ("channel", "word"),
    [("#nowhere", "channel_not_found"), ("C0GENERAL", "not_in_channel"), ("C0ARCHIVE", "is_archived")],
)
def test_a_channel_that_cannot_be_posted_to_is_told(sandbox: RunningSandbox, channel: str, word: str):
    with pytest.raises(AccountError, match=word):
        slack_chat(sandbox).chat.post(channel, "m", MessageDocument.read("hello"))


def test_a_missing_scope_is_told(sandbox: RunningSandbox):
    sandbox.change(Service.SLACK, missing_scopes=("chat:write",))
    with pytest.raises(AccountError, match=r"missing_scope.*needed: chat:write"):
        slack_chat(sandbox).chat.post("#search-quality", "m", MessageDocument.read("hello"))


def test_trap_31_a_second_message_within_a_second_is_told_to_wait(sandbox: RunningSandbox):
    sandbox.change(Service.SLACK, one_message_a_second=True)
    bench = slack_chat(sandbox)
    bench.chat.post(bench.channel, "m-1", MessageDocument.read("hello"))
    with pytest.raises(RetryableError) as caught:
        bench.chat.post(bench.channel, "m-2", MessageDocument.read("hello"))
    assert not caught.value.doubtful
    assert caught.value.retry_after == 1


def test_trap_29_a_message_as_long_as_any_that_is_rendered_is_taken(sandbox: RunningSandbox):
    bench = slack_chat(sandbox)
    longest = "word " * 580
    for document in (
        f"tone: bad\nHead\n\n{longest}\n\n{longest}\n\n{longest}",
        "\n\n".join("word" for _ in range(1600)),
    ):
        bench.chat.post(bench.channel, "m", MessageDocument.read(document))
    assert len(bench.see()) == 2


def test_a_wrong_token_is_told_by_slack(sandbox: RunningSandbox):
    with pytest.raises(AccountError, match=r"invalid_auth.*Check the token"):
        slack_chat(sandbox, token="xoxb-wrong").chat.post("#search-quality", "m", MessageDocument.read("hello"))


def hook(sandbox: RunningSandbox) -> WebhookChat:
    return WebhookChat(WebhookSection(webhook_url=sandbox.slack_webhook_url, timeout=TIMEOUT))


def test_a_webhook_posts_once(sandbox: RunningSandbox):
    hook(sandbox).post("ignored", "m", MessageDocument.read("tone: good\nBack\n\nTicket: <https://x|S-1>"))
    assert [each.text for each in slack_chat(sandbox).see()] == ["Back"]
    assert sum(each.method == "POST" for each in sandbox.requests(Service.SLACK)) == 1


def test_a_revoked_webhook_refuses_us(sandbox: RunningSandbox):
    sandbox.change(Service.SLACK, webhook_revoked=True)
    with pytest.raises(AccountError):
        hook(sandbox).post("ignored", "m", MessageDocument.read("hello"))


def test_a_webhook_whose_answer_was_lost_is_doubtful(sandbox: RunningSandbox):
    sandbox.strike(Fault(FaultKind.DROP_AFTER, Service.SLACK))
    with pytest.raises(RetryableError) as caught:
        hook(sandbox).post("ignored", "m", MessageDocument.read("hello"))
    assert caught.value.doubtful

"""Whatever becomes of a request, the right error comes of it, once, and says whether it may have been carried out."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.errors import AccountError, IntegrationError, PermanentError, RetryableError
from bot.ports import TicketDraft
from bot.services.http import retry_after
from tests.contract.acts import (
    NOW,
    SECRET,
    WRITES,
    Act,
    every_act,
    every_read,
    every_write,
    failure_of,
    jira,
    trello,
)
from tests.contract.breakable import DROP, HALF, STALL, Breakable, Reply, answer, breakable


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def retryable(error: IntegrationError) -> RetryableError:
    assert isinstance(error, RetryableError), error
    return error


@every_write
@pytest.mark.parametrize("reply", [DROP, HALF, STALL], ids=["drop", "half a body", "stall"])
def test_a_write_that_breaks_off_is_doubtful_and_sent_once(act: Act, reply: Reply, server: Breakable):
    error = retryable(failure_of(act, server, reply))
    assert error.doubtful
    assert len(server.writes) == 1


@every_write
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_that_meets_a_server_error_is_doubtful_and_sent_once(act: Act, status: int, server: Breakable):
    error = retryable(failure_of(act, server, answer(status, "<html><h1>Bad day</h1></html>")))
    assert error.doubtful
    assert "Bad day" in str(error)
    assert "<h1>" not in str(error)
    assert len(server.writes) == 1


@every_write
def test_an_answer_that_cannot_be_read_leaves_a_write_doubtful(act: Act, server: Breakable):
    error = retryable(failure_of(act, server, answer(200, "<html>Please log in</html>")))
    assert error.doubtful
    assert "Please log in" in str(error)
    assert len(server.writes) == 1


@every_write
@pytest.mark.parametrize("status", [429, 503])
def test_a_write_told_to_come_later_says_when_and_is_doubtful_unless_it_was_one_too_many(
    act: Act, status: int, server: Breakable
):
    error = retryable(failure_of(act, server, answer(status, {"error": "ratelimited", "ok": False}, Retry_After="7")))
    assert error.doubtful is (status == 503), "whoever answers 503 may stand in front of one who went on"
    assert error.retry_after == 7
    assert len(server.writes) == 1


@every_write
def test_a_conflict_passes_and_changed_nothing(act: Act, server: Breakable):
    error = retryable(failure_of(act, server, answer(409, {"message": "stale"})))
    assert not error.doubtful
    assert len(server.writes) == 1


@every_write
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_permanent_and_sent_once(act: Act, status: int, server: Breakable):
    error = failure_of(act, server, answer(status, {"message": "no, says the service"}))
    assert isinstance(error, PermanentError)
    assert error.status == status
    assert "no, says the service" in str(error)
    assert len(server.writes) == 1


@every_write
def test_a_service_that_takes_no_connections_did_nothing(act: Act, server: Breakable):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    if act.prelude:
        return  # its reads fail first; see the reads
    with pytest.raises(RetryableError, match="takes no connections") as caught:
        act.call(act.make(f"http://127.0.0.1:{port}"))
    assert not caught.value.doubtful
    assert "as far as we know" not in str(caught.value)


@pytest.mark.parametrize("make", [jira, trello])
def test_a_host_that_does_not_exist_did_nothing(make: Callable[[str], Any]):
    with pytest.raises(RetryableError, match=r"there is no host named nowhere\.invalid") as caught:
        make("http://nowhere.invalid").create("m", TicketDraft("t", "b"))
    assert not caught.value.doubtful


@every_read
@pytest.mark.parametrize("reply", [DROP, HALF, STALL, answer(500), answer(200, "log in"), answer(429, Retry_After="2")])
def test_a_read_is_never_doubtful(act: Act, reply: Reply, server: Breakable):
    assert not retryable(failure_of(act, server, reply)).doubtful


@every_act
def test_trap_14_15_32_the_libraries_repeat_nothing(act: Act, server: Breakable):
    failure_of(act, server, answer(429, {"ok": False, "error": "ratelimited"}, Retry_After="0"))
    asked = [(each.method, each.path, each.query, each.body) for each in server.requests]
    assert len(asked) == len(set(asked))


@every_act
def test_a_redirect_to_another_host_gets_nothing_of_ours(act: Act, server: Breakable):
    with breakable() as other:
        error = failure_of(act, server, answer(302, Location=f"{other.url}/login?token=1"))
        assert isinstance(error, AccountError)
        assert other.url in str(error)
        assert other.requests == []


@every_act
@pytest.mark.parametrize(
    "reply",
    [answer(401, f"your token {SECRET} is old"), answer(500, {"message": SECRET}), DROP, HALF, answer(200, SECRET)],
)
def test_no_secret_appears_in_an_error_or_its_traceback(act: Act, reply: Reply, server: Breakable):
    error = failure_of(act, server, reply)
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__)
    assert SECRET not in shown
    assert SECRET not in repr(act.make(server.url)) + str(act.make(server.url))


@every_act
def test_a_request_without_a_usable_ca_file_is_not_sent(act: Act, server: Breakable, tmp_path: Path):
    with pytest.raises(PermanentError, match="ca_file"):
        act.call(act.make("https://127.0.0.1:9", ca_file=str(tmp_path / "absent.pem")))


@pytest.mark.parametrize("make", [jira, trello])
def test_a_token_that_no_header_can_hold_is_told_without_showing_it(make: Callable[..., Any], server: Breakable):
    for token in ("line\nbreak", "schlüssel€"):
        with pytest.raises((PermanentError, ValidationError), match="token") as caught:  # config refuses two lines
            make(server.url, token=token).find("m")
        assert token not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("-5", 1),
        ("0.2", 1),
        ("3600", 300),
        ("1e99", 300),
        ("soon", None),
        ("", None),
        ("nan", None),
    ],
)
def test_trap_16_17_18_retry_after_as_a_number_or_a_lie(said: str, seconds: float | None):
    assert retry_after({"Retry-After": said}) == seconds


def test_trap_16_retry_after_as_a_date_is_read_by_the_services_own_clock():
    ours_is_wrong = NOW + timedelta(days=3)
    date = {"Date": format_datetime(ours_is_wrong, usegmt=True)}
    later = format_datetime(ours_is_wrong + timedelta(seconds=40), usegmt=True)
    past = format_datetime(ours_is_wrong - timedelta(hours=1), usegmt=True)
    assert retry_after({"Retry-After": later, **date}) == 40
    assert retry_after({"Retry-After": past, **date}) == 1


def test_retry_after_as_a_date_without_another_is_read_by_our_clock():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after({"Retry-After": later}) == pytest.approx(100, abs=3)
    assert retry_after({}) is None


def test_trap_35_jira_says_which_field_it_complains_of(server: Breakable):
    body = {"errorMessages": ["It failed"], "errors": {"customfield_10011": "Epic Name is required."}}
    error = failure_of(WRITES["jira create"], server, answer(400, body))
    assert isinstance(error, PermanentError)
    assert error.fields == {"customfield_10011": "Epic Name is required."}
    assert "It failed; customfield_10011: Epic Name is required." in str(error)


def test_trap_35_confluence_v2_says_why(server: Breakable):
    body = {"errors": [{"status": 400, "code": "INVALID", "title": "Invalid body", "detail": "at line 3"}]}
    assert "Invalid body: at line 3" in str(failure_of(WRITES["confluence section"], server, answer(400, body)))


def test_trap_35_confluence_v1_says_why(server: Breakable):
    body = {"statusCode": 403, "message": "Not permitted", "data": {"errors": [{"message": {"key": "no.edit"}}]}}
    assert "Not permitted; no.edit" in str(failure_of(WRITES["confluence label"], server, answer(403, body)))


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("name", ["jira create", "confluence label"])
def test_a_refusal_of_access_says_what_to_check(name: str, status: int, server: Breakable):
    assert "Check" in str(failure_of(WRITES[name], server, answer(status, {})))


@pytest.mark.parametrize(
    "word",
    ["msg_too_long", "invalid_blocks", "no_text", "message_not_found", "cant_update_message"],
)
def test_what_slack_will_never_do_is_permanent_in_its_own_word(word: str, server: Breakable):
    said = {"ok": False, "error": word, "response_metadata": {"messages": ["[ERROR] because"]}}
    error = failure_of(WRITES["slack post"], server, answer(200, said))
    assert isinstance(error, PermanentError)
    assert error.fields == {"error": word}
    assert f"{word} ([ERROR] because)" in str(error)


@pytest.mark.parametrize(
    ("word", "doubtful"), [("ratelimited", False), ("internal_error", True), ("fatal_error", True)]
)
def test_what_slack_may_do_later_is_retryable(word: str, doubtful: bool, server: Breakable):
    error = retryable(failure_of(WRITES["slack post"], server, answer(200, {"ok": False, "error": word})))
    assert error.doubtful is doubtful
    assert len(server.writes) == 1


def test_a_missing_scope_is_named(server: Breakable):
    said = {"ok": False, "error": "missing_scope", "needed": "chat:write"}
    assert "needed: chat:write" in str(failure_of(WRITES["slack post"], server, answer(200, said)))

"""What each service's refusal means: the one thing is at fault, or our account, and then how much is closed by that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.errors import AccountError, IntegrationError, PermanentError, Reach, RetryableError
from bot.ports import Right
from bot.services.slack import refusals
from tests.contract.acts import WRITES, confluence, confluence_dc, failure_of, jira, jira_dc, slack, trello, webhook
from tests.contract.breakable import Breakable, Reply, Request, answer, breakable

PAGE = "<!DOCTYPE html><html><title>Sign in</title><body>Who are you?</body></html>"
JIRA, CONFLUENCE, TRELLO = "jira comment", "confluence label", "trello comment"
SLACK, HOOK = "slack post", "webhook post"
DATA = {"message": "no, says the service"}
ITS_OWN = "the one thing, once access is confirmed"


@dataclass(frozen=True)
class Row:
    """An answer, whom it comes from, and what it says: a reach where our account is refused."""

    said: str
    acts: tuple[str, ...]
    reply: Reply
    means: Reach | str | None


ATLASSIAN = (JIRA, CONFLUENCE)
ALL = (*ATLASSIAN, TRELLO, SLACK)
TABLE = [
    Row("401", ATLASSIAN, answer(401, DATA), Reach.KIND),
    Row("401 of a card", (TRELLO,), answer(401, "unauthorized card permission requested"), ITS_OWN),
    Row("401 of the key", (TRELLO,), answer(401, "invalid key"), Reach.KIND),
    Row("401 of the token", (TRELLO,), answer(401, "invalid token"), Reach.KIND),
    Row("401 of a scope", ATLASSIAN, answer(401, {"message": "Unauthorized; scope does not match"}), Reach.KIND),
    Row("402", ALL, answer(402, DATA), Reach.KIND),
    Row("403", (*ATLASSIAN, TRELLO, SLACK), answer(403, DATA), ITS_OWN),
    Row("403 by a gateway", ALL, answer(403, PAGE), Reach.KIND),
    Row("404", (*ATLASSIAN, TRELLO, SLACK), answer(404, DATA), ITS_OWN),
    Row("404 by a gateway", ALL, answer(404, PAGE), Reach.KIND),
    Row(
        "404 as XML",
        ALL,
        answer(404, "<?xml version='1.0'?><status><status-code>404</status-code></status>"),
        Reach.KIND,
    ),
    Row("405", ALL, answer(405, DATA), Reach.KIND),
    Row("407", ALL, answer(407, DATA), Reach.KIND),
    Row("410", ALL, answer(410, DATA), Reach.KIND),
    Row("451", ALL, answer(451, DATA), Reach.KIND),
    Row("302", ALL, answer(302, Location="https://sso.invalid/login"), Reach.KIND),
    Row("307", ALL, answer(307, Location="https://sso.invalid/login"), Reach.KIND),
    Row(
        "a captcha",
        ATLASSIAN,
        answer(403, DATA, X_Authentication_Denied_Reason="CAPTCHA_CHALLENGE; login-url=x"),
        Reach.SERVICE,
    ),
    Row("a failed login", ATLASSIAN, answer(404, DATA, X_Seraph_LoginReason="AUTHENTICATED_FAILED"), Reach.SERVICE),
    Row(
        "a fine answer to nobody",
        ATLASSIAN,
        answer(200, {}, X_Seraph_LoginReason="OUT, AUTHENTICATED_FAILED"),
        Reach.SERVICE,
    ),
    Row("a fine answer to anybody", (JIRA,), answer(201, {}, X_AUSERNAME="anonymous"), Reach.SERVICE),
    Row("an expired licence", ATLASSIAN, answer(403, {"message": "Your license has expired."}), Reach.KIND),
    Row("a site that is away", ATLASSIAN, answer(404, {"message": "Your site is being moved"}), Reach.KIND),
    Row("read-only mode", (CONFLUENCE,), answer(405, {"message": "Read only mode is on"}), Reach.KIND),
    Row("400 to nobody", (JIRA,), answer(400, {"errorMessages": ["Anonymous users may not"]}), Reach.KIND),
    Row("400 of the project", (JIRA,), answer(400, {"errors": {"project": "a valid project is required"}}), ITS_OWN),
    Row("400", (*ATLASSIAN, TRELLO), answer(400, DATA), PermanentError.__name__),
    Row(
        "400 of a field",
        (JIRA,),
        answer(400, {"errors": {"licence": "licence expired is invalid"}}),
        PermanentError.__name__,
    ),
    Row("413", ALL, answer(413, PAGE), PermanentError.__name__),
    Row("503", ALL, answer(503, PAGE), None),
    *(
        Row(f"webhook {status}", (HOOK,), answer(status, "no_service"), Reach.SERVICE)
        for status in (401, 403, 404, 407, 410)
    ),
    Row("webhook 302", (HOOK,), answer(302, Location="https://sso.invalid/login"), Reach.SERVICE),
    Row("webhook 400", (HOOK,), answer(400, "invalid_payload"), PermanentError.__name__),
    *(
        Row(word, (SLACK,), answer(200, {"ok": False, "error": word}), reach)
        for word, reach in {
            "invalid_auth": Reach.SERVICE,
            "not_authed": Reach.SERVICE,
            "account_inactive": Reach.SERVICE,
            "token_revoked": Reach.SERVICE,
            "token_expired": Reach.SERVICE,
            "team_access_not_granted": Reach.SERVICE,
            "org_login_required": Reach.SERVICE,
            "access_denied": Reach.SERVICE,
            "missing_scope": Reach.KIND,
            "no_permission": Reach.KIND,
            "channel_not_found": Reach.CHANNEL,
            "not_in_channel": Reach.CHANNEL,
            "is_archived": Reach.CHANNEL,
            "restricted_action": Reach.CHANNEL,
            "ratelimited": None,
            "service_unavailable": None,
            "invalid_blocks": PermanentError.__name__,
            "msg_too_long": PermanentError.__name__,
            "something_new": PermanentError.__name__,
        }.items()
    ),
]


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def meaning(error: IntegrationError) -> Reach | str | None:
    match error:
        case AccountError():
            return error.reach
        case RetryableError():
            return None
        case PermanentError(about_access=True):
            return ITS_OWN
        case _:
            return type(error).__name__


@pytest.mark.parametrize(
    ("act", "row"), [(act, row) for row in TABLE for act in row.acts], ids=lambda each: getattr(each, "said", each)
)
def test_what_a_refusal_means(act: str, row: Row, server: Breakable):
    error = failure_of(WRITES[act], server, row.reply)
    assert meaning(error) == row.means, error
    assert len(server.writes) == 1


@pytest.mark.parametrize("make", [jira, trello, confluence, slack])
@pytest.mark.parametrize(("status", "error"), [(407, AccountError), (403, RetryableError), (502, RetryableError)])
def test_a_proxy_that_lets_nothing_through_leaves_no_doubt(
    make: Callable[..., Any],
    status: int,
    error: type[RetryableError],
    server: Breakable,
    monkeypatch: pytest.MonkeyPatch,
):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, server.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.reply = lambda _: answer(status)
    act = {jira: JIRA, trello: TRELLO, confluence: CONFLUENCE, slack: SLACK}[make]
    with pytest.raises(RetryableError, match=r"the proxy on the way to service\.invalid") as caught:
        WRITES[act].call(make("https://service.invalid"))
    assert type(caught.value) is error
    assert not caught.value.doubtful


@pytest.mark.parametrize("act", ["jira create", "confluence label"])
def test_what_was_carried_out_for_nobody_is_looked_for_before_it_is_sent_again(act: str, server: Breakable):
    done = answer(201, {"key": "S-1"}, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    refused = answer(401, {}, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    for reply, doubtful in ((done, True), (refused, False)):
        error = failure_of(WRITES[act], server, reply)
        assert isinstance(error, AccountError)
        assert error.doubtful is doubtful


def test_no_word_of_slacks_has_two_meanings():
    words = [*refusals.PASSING, *refusals.REACHES]
    assert len(words) == len(set(words))


# ---- asking who we are


SPACE = {"id": "77", "key": "ML", "name": "ML"}
BOARD = {"id": "b0", "name": "Board", "closed": False}
Replies = dict[str, Reply]
WELL: dict[str, tuple[Callable[..., Any], Replies]] = {
    "jira": (
        jira,
        {
            "/myself": answer(200, {"accountId": "5f2c", "displayName": "Herald"}),
            "/project/S": answer(200, {"key": "S"}),
            "/mypermissions": answer(200, {"permissions": {"CREATE_ISSUES": {"havePermission": True}}}),
        },
    ),
    "trello": (
        trello,
        {
            "/members/me": answer(200, {"id": "m1", "fullName": "Herald"}),
            "/boards/b0ard": answer(200, {**BOARD, "memberships": [{"memberType": "normal"}]}),
        },
    ),
    "confluence": (
        confluence,
        {
            "/user/current": answer(200, {"type": "known", "accountId": "1"}),
            "/spaces": answer(200, {"results": [{"id": 77, "key": "ML"}]}),
            "/spaces/77": answer(
                200, {**SPACE, "operations": {"results": [{"operation": "create", "targetType": "page"}]}}
            ),
        },
    ),
    "confluence datacenter": (
        confluence_dc,
        {
            "/user/current": answer(200, {"type": "known", "userKey": "1"}),
            "/rest/api/space": answer(200, {"results": [{"key": "ML", "name": "ML"}]}),
        },
    ),
    "slack": (slack, {"/auth.test": answer(200, {"ok": True, "user_id": "U1"})}),
}
WELL["jira datacenter"] = (jira_dc, WELL["jira"][1])


def confirm(service: str, server: Breakable, **changed: Reply) -> None:
    make, well = WELL[service]
    replies = well | changed

    def respond(request: Request) -> Reply:
        return next((reply for end, reply in replies.items() if request.path.endswith(end)), answer(404, {}))

    server.reply = respond
    make(server.url).confirm_access(Right.CREATE)


@pytest.mark.parametrize("service", list(WELL))
def test_where_all_is_well_access_is_confirmed_by_reading_alone(service: str, server: Breakable):
    confirm(service, server)
    assert all(request.method == "GET" for request in server.requests) or service == "slack"


def test_a_webhook_has_nobody_to_ask(server: Breakable):
    webhook(server.url).confirm_access(Right.CREATE)
    assert server.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        answer(401, {}),
        answer(403, PAGE),
        answer(302, Location="https://sso.invalid/"),
        answer(407, {}),
        answer(402, {}),
    ],
    ids=["401", "403", "302", "407", "402"],
)
@pytest.mark.parametrize("service", list(WELL))
def test_a_refusal_to_say_who_we_are_closes_the_service(service: str, reply: Reply, server: Breakable):
    for path in list(WELL[service][1])[:2]:
        with pytest.raises(AccountError) as caught:
            confirm(service, server, **{path: reply})
        assert caught.value.reach is Reach.SERVICE


CONTAINERS = {
    "jira": ("/project/S", [answer(404, {}), answer(403, {}), answer(200, {"key": "S", "archived": True})]),
    "jira datacenter": ("/project/S", [answer(404, {})]),
    "trello": (
        "/boards/b0ard",
        [answer(404, "not found"), answer(401, "unauthorized"), answer(200, {**BOARD, "closed": True})],
    ),
    "confluence": ("/spaces", [answer(200, {"results": []}), answer(404, {})]),
    "confluence datacenter": (
        "/rest/api/space",
        [
            answer(200, {"results": []}),
            answer(404, {}),
            answer(200, {"results": [{"key": "ML", "name": "ML", "status": "ARCHIVED"}]}),
        ],
    ),
}


@pytest.mark.parametrize("service", list(CONTAINERS))
def test_what_config_names_and_we_are_not_shown_closes_the_service(service: str, server: Breakable):
    path, replies = CONTAINERS[service]
    for reply in replies:
        with pytest.raises(AccountError) as caught:
            confirm(service, server, **{path: reply})
        assert caught.value.reach is Reach.SERVICE


@pytest.mark.parametrize(
    ("service", "path", "reply"),
    [
        ("jira", "/mypermissions", answer(200, {"permissions": {"CREATE_ISSUES": {"havePermission": False}}})),
        ("confluence", "/spaces/77", answer(200, {**SPACE, "operations": {"results": []}})),
    ],
)
def test_a_right_that_is_missing_closes_what_needs_it(service: str, path: str, reply: Reply, server: Breakable):
    with pytest.raises(AccountError) as caught:
        confirm(service, server, **{path: reply})
    assert caught.value.reach is Reach.KIND


@pytest.mark.parametrize(
    ("service", "path", "reply"),
    [
        ("jira", "/mypermissions", answer(404, {})),
        ("jira", "/mypermissions", answer(200, {"permissions": {}})),
        ("jira", "/myself", answer(401, {"message": "Unauthorized; scope does not match"})),
        ("confluence", "/user/current", answer(404, {})),
        ("confluence", "/spaces/77", answer(200, SPACE)),
        ("confluence datacenter", "/user/current", answer(404, {})),
    ],
)
def test_where_a_service_does_not_say_nothing_is_held_against_it(
    service: str, path: str, reply: Reply, server: Breakable
):
    confirm(service, server, **{path: reply})


def test_a_confluence_that_takes_us_for_nobody_refuses_us(server: Breakable):
    with pytest.raises(AccountError, match="for nobody"):
        confirm(
            "confluence", server, **{"/user/current": answer(200, {"type": "anonymous", "displayName": "Anonymous"})}
        )

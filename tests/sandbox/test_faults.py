"""How the stand-in breaks when told to, and what it remembers of it."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from bot.sandbox import (
    BREAKS,
    NO_ANSWERS,
    REFUSALS,
    TRICKLES,
    Fault,
    FaultKind,
    FaultPlan,
    RateLimit,
    Service,
    episode,
    serve,
)
from tests.sandbox.conftest import CLIENT


def tickets(jira):
    return len(jira.get("/search/jql", params={"jql": "project = SR"}).json()["issues"])


@pytest.mark.parametrize(
    ("kind", "was_done"),
    [
        (FaultKind.ERROR_BEFORE, False),
        (FaultKind.ERROR_AFTER, True),
        (FaultKind.DROP_BEFORE, False),
        (FaultKind.DROP_AFTER, True),
        (FaultKind.RATE_LIMITED, False),
        (FaultKind.HALF_BODY, True),
        (FaultKind.STALL_BEFORE, False),
        (FaultKind.STALL_AFTER, True),
    ],
)
def test_a_fault_strikes_before_or_after_the_deed(jira, sandbox, ticket, kind, was_done):
    sandbox.strike(Fault(kind, Service.JIRA_CLOUD, "POST", r"/issue$", seconds=0.05))
    try:
        status = jira.post("/issue", ticket()).status_code
    except httpx.TransportError:
        status = None
    expected = {FaultKind.ERROR_BEFORE: 503, FaultKind.ERROR_AFTER: 503, FaultKind.RATE_LIMITED: 429}
    assert status == expected.get(kind)
    assert tickets(jira) == int(was_done)
    assert jira.post("/issue", ticket()).status_code == 201


@pytest.mark.parametrize(
    ("kind", "was_done", "status", "media_type", "said"),
    [
        (FaultKind.LOGIN_PAGE, False, 200, "text/html; charset=utf-8", "password"),
        (FaultKind.LOGIN_PAGE_AFTER, True, 200, "text/html; charset=utf-8", "password"),
        (FaultKind.EMPTY_200, False, 200, "application/json;charset=UTF-8", ""),
        (FaultKind.EMPTY_200_AFTER, True, 200, "application/json;charset=UTF-8", ""),
        (FaultKind.OTHER_JSON, False, 200, "application/json;charset=UTF-8", '"status": "UP"'),
        (FaultKind.OTHER_JSON_AFTER, True, 200, "application/json;charset=UTF-8", '"status": "UP"'),
        (FaultKind.SSO_REDIRECT, False, 302, "text/html; charset=utf-8", "Moved"),
        (FaultKind.REFUSED_ACCOUNT, False, 401, "application/json;charset=UTF-8", "must be authenticated"),
        (FaultKind.FORBIDDEN, False, 403, "application/json;charset=UTF-8", "not permitted"),
        (FaultKind.NOT_FOUND, False, 404, "application/json;charset=UTF-8", "do not have permission to see it"),
    ],
)
def test_what_is_no_answer_comes_after_the_deed_or_instead_of_it(
    jira, sandbox, ticket, kind, was_done, status, media_type, said
):
    sandbox.strike(Fault(kind, Service.JIRA_CLOUD, "POST", r"/issue$"))
    answer = jira.post("/issue", ticket())
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, media_type)
    assert said in answer.text
    assert tickets(jira) == int(was_done)


def test_a_redirect_to_a_login_names_another_host(jira, sandbox):
    sandbox.strike(Fault(FaultKind.SSO_REDIRECT))
    assert jira.get("/myself").headers["Location"].startswith("https://login.example.org/")


@pytest.mark.undescribed
@pytest.mark.parametrize(
    ("kind", "refusals"),
    [
        (FaultKind.REFUSED_ACCOUNT, [(200, "invalid_auth"), (403, "invalid_token"), (401, "invalid token"), 401]),
        (FaultKind.FORBIDDEN, [(403, "access_denied"), (403, "action_prohibited"), (403, "Forbidden"), 403]),
        (FaultKind.NOT_FOUND, [(200, "channel_not_found"), (404, "no_team"), (404, "was not found"), 404]),
    ],
)
def test_each_service_refuses_an_account_in_its_own_words(
    slack, trello, wiki, wiki_datacenter, sandbox, kind, refusals
):
    sandbox.befall(kind, None, 60.0)
    of_slack, of_the_webhook, of_trello, of_the_wiki = refusals
    for answer, (status, word) in (
        (slack.post("auth.test"), of_slack),
        (CLIENT.post(sandbox.slack_webhook_url, json={"text": "hello"}), of_the_webhook),
        (trello.get(f"/boards/{sandbox.board_id}"), of_trello),
    ):
        assert answer.status_code == status
        assert word in answer.text
    assert wiki.get("/api/v2/spaces").status_code == of_the_wiki
    assert wiki_datacenter.get("/rest/api/space").json()["statusCode"] == of_the_wiki


@pytest.mark.parametrize(
    ("kind", "was_done", "said"),
    [
        (FaultKind.TRICKLE_BEFORE, False, b'{"status": "UP"'),
        (FaultKind.TRICKLE_HEAD, False, b'{"status": "UP"'),
        (FaultKind.TRICKLE_AFTER, True, b'"key":"SR-1"'),
    ],
)
def test_a_trickle_comes_byte_by_byte_and_is_whole_in_the_end(jira, sandbox, ticket, kind, was_done, said):
    sandbox.strike(Fault(kind, method="POST", pause=0.0005))
    answer = jira.post("/issue", ticket())
    assert said.replace(b" ", b"") in answer.content.replace(b" ", b"")
    assert tickets(jira) == int(was_done)


@pytest.mark.undescribed
def test_a_trickle_keeps_a_client_that_waits_for_each_byte_alone(jira, sandbox):
    sandbox.strike(Fault(FaultKind.TRICKLE_BEFORE, pause=0.05))
    began = time.monotonic()
    jira.get("/myself", timeout=0.9)
    assert time.monotonic() - began > 1


def test_an_endless_answer_goes_on_until_the_client_hangs_up(sandbox):
    sandbox.strike(Fault(FaultKind.ENDLESS))
    heard = 0
    with CLIENT.stream("GET", f"{sandbox.jira_cloud_url}/rest/api/2/myself") as answer:
        for chunk in answer.iter_bytes():
            heard += len(chunk)
            if heard > 1_000_000:
                break
    assert heard > 1_000_000
    assert sandbox.url in str(CLIENT.get(sandbox.url).url)


def test_an_episode_strikes_all_of_one_service_and_ends_by_itself(jira, wiki, sandbox, clock):
    sandbox.befall(FaultKind.REFUSED_ACCOUNT, Service.JIRA_CLOUD, 3.0)
    assert [jira.get("/myself").status_code for _ in range(3)] == [401, 401, 401]
    assert wiki.get("/api/v2/spaces").status_code == 200
    clock.pass_by(3.5)
    assert jira.get("/myself").status_code == 200


@pytest.mark.undescribed
def test_an_episode_can_be_told_over_http(jira, sandbox, clock):
    told = {"kind": "login_page", "service": "jira-cloud", "lasts": 5}
    assert CLIENT.post(f"{sandbox.url}/_sandbox/faults", json=told).is_success
    assert ["Log in" in jira.get("/myself").text for _ in range(3)] == [True, True, True]
    clock.pass_by(5)
    assert "Log in" not in jira.get("/myself").text
    assert episode(FaultKind.LOGIN_PAGE, Service.JIRA_CLOUD, 5.0) == Fault(
        FaultKind.LOGIN_PAGE, Service.JIRA_CLOUD, times=0, lasts=5.0
    )


def test_a_plan_draws_breaks_unless_it_says_what_else():
    assert FaultPlan(1, 1.0).kinds == BREAKS
    others = {*TRICKLES, *NO_ANSWERS, *REFUSALS, FaultKind.NOT_FOUND, FaultKind.ENDLESS}
    assert set(BREAKS) | others == set(FaultKind)
    assert set(BREAKS).isdisjoint(others)


def test_a_stall_outlasts_the_clients_patience(jira, sandbox, ticket):
    sandbox.strike(Fault(FaultKind.STALL_AFTER, method="POST", seconds=5.0))
    with pytest.raises(httpx.ReadTimeout):
        jira.post("/issue", ticket(), timeout=0.2)
    assert tickets(jira) == 1


def test_a_stall_does_not_keep_the_server_from_stopping():
    began = time.monotonic()
    with serve(None) as running:
        running.strike(Fault(FaultKind.STALL_BEFORE, seconds=30.0))
        with pytest.raises(httpx.TransportError):
            CLIENT.get(running.jira_cloud_url, timeout=0.1)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["1", "0", "3600"])
def test_retry_after_may_be_any_number(jira, sandbox, text):
    sandbox.strike(Fault(FaultKind.RATE_LIMITED, retry_after=text))
    assert jira.get("/myself").headers["Retry-After"] == text


def test_retry_after_may_be_a_date(jira):
    header = {"X-Sandbox-Fault": "rate_limited; retry_after=date:30"}
    until = parsedate_to_datetime(jira.get("/myself", headers=header).headers["Retry-After"])
    assert 20 < (until - datetime.now(UTC)).total_seconds() <= 31


def test_a_fault_waits_its_turn(jira, sandbox):
    sandbox.strike(Fault(FaultKind.ERROR_BEFORE, method="GET", skip=1, times=2, status=502))
    assert [jira.get("/myself").status_code for _ in range(4)] == [200, 502, 502, 200]


def test_a_header_that_makes_no_sense_is_explained(jira):
    answer = jira.get("/myself", headers={"X-Sandbox-Fault": "explode"})
    assert answer.status_code == 400
    assert "explode" in answer.text


def test_a_plan_brings_the_same_fate_each_time():
    def fates():
        with serve(None) as running:
            plan = FaultPlan(7, 0.5, (FaultKind.ERROR_BEFORE,), methods=("GET",), retry_after=None)
            running.follow(plan)
            url = f"{running.jira_cloud_url}/rest/api/2/serverInfo"
            auth = (running.email, running.api_token)
            return [CLIENT.get(url, auth=auth).status_code for _ in range(12)]

    first = fates()
    assert first == fates()
    assert set(first) == {200, 503}


def test_a_rate_limit_holds_for_its_own_path(jira, sandbox, clock):
    sandbox.limit(RateLimit(Service.JIRA_CLOUD, r"/myself$", limit=1, per_seconds=10.0))
    assert [jira.get("/myself").status_code for _ in range(2)] == [200, 429]
    assert jira.get("/serverInfo").status_code == 200
    clock.pass_by(11)
    assert jira.get("/myself").status_code == 200


def test_every_request_is_remembered(jira, sandbox, ticket):
    jira.post("/issue", ticket())
    with pytest.raises(httpx.TransportError):
        jira.post("/issue", ticket(), headers={"X-Sandbox-Fault": "drop_after"})
    made, dropped = sandbox.requests(Service.JIRA_CLOUD)
    assert (made.method, made.path, made.status, made.fault) == ("POST", "/rest/api/2/issue", 201, None)
    assert (dropped.status, dropped.fault) == (0, FaultKind.DROP_AFTER)
    assert sandbox.requests(Service.SLACK) == []
    sandbox.calm()
    assert sandbox.requests() == []


def test_secrets_do_not_reach_the_log(trello, sandbox):
    trello.get(f"/boards/{sandbox.board_id}", params={"key": sandbox.trello_key, "token": sandbox.trello_token})
    assert sandbox.trello_token not in repr(sandbox.requests())


def test_the_same_can_be_told_over_http(jira, sandbox):
    admin = f"{sandbox.url}/_sandbox"
    assert CLIENT.post(f"{admin}/faults", json={"kind": "error_before", "status": 500}).status_code == 200
    assert jira.get("/myself").status_code == 500
    assert CLIENT.post(f"{admin}/rules/jira-cloud", json={"search_lag": 5}).status_code == 200
    assert CLIENT.get(f"{admin}/rules").json()["jira-cloud"]["search_lag"] == 5.0
    assert CLIENT.get(f"{admin}/requests", params={"service": "jira-cloud"}).json()["requests"][0]["status"] == 500
    assert CLIENT.post(
        f"{admin}/plan", json={"seed": 1, "rate": 1.0, "kinds": ["error_before"], "methods": ["GET"]}
    ).is_success
    assert jira.get("/myself").status_code == 503
    assert CLIENT.request("DELETE", f"{admin}/faults").is_success
    assert jira.get("/myself").status_code == 200
    limit = {"service": "jira-cloud", "path": "myself", "limit": 0, "per_seconds": 1.0}
    assert CLIENT.post(f"{admin}/limits", json=limit).is_success
    assert jira.get("/myself").status_code == 429


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("faults", {"kind": "explode"}),
        ("faults", {"kind": "drop_after", "sevice": "slack"}),
        ("faults", {}),
        ("rules/jira-cloud", {"search_leg": 1}),
        ("rules/jira-cloud", {"search_lag": "long"}),
        ("rules/nowhere", {}),
        ("plan", {"seed": 1, "speed": 2}),
        ("limits", {"service": "slack"}),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(sandbox, path, given):
    answer = CLIENT.post(f"{sandbox.url}/_sandbox/{path}", json=given)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_form_cannot_command_the_stand_in(sandbox):
    answer = CLIENT.post(f"{sandbox.url}/_sandbox/faults", data={"kind": "drop_after"})
    assert answer.status_code == 400


def test_a_port_that_is_taken_is_an_error_not_an_exit():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        serve(None, port=taken.getsockname()[1]),
    ):
        pass

"""What people answer in Jira's tickets, where Jira is unlike others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from bot.domain.capabilities import TicketState
from bot.domain.rules import Person
from bot.errors import AccountError, FullError, PermanentError, RetryableError
from bot.ports import Speakers, TicketDraft
from bot.sandbox import Resolution, RunningSandbox, Service
from bot.services.jira.config import JiraSection
from bot.services.jira.ticket_answers import JiraTicketAnswers
from tests.contract.acts import ANSWERED, NOW, SECRET, jira_answers
from tests.contract.answer_benches import JiraPerson
from tests.contract.answer_benches import jira_answers as bench_of
from tests.contract.breakable import Breakable, Reply, Request, answer, breakable

DRAFT = TicketDraft("Ranking quality fell", "It fell.", labels=("herald-team",))
MARKER = "herald-team-4f1a-0-1"
BOTH = pytest.mark.parametrize(
    ("deployment", "service"), [("cloud", Service.JIRA_CLOUD), ("datacenter", Service.JIRA_DATACENTER)]
)
ADA = Person("5b10ac8d82e05b22cc7d4ef5", "Ada Okafor")


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def replying(answers: dict[str, Any]) -> Callable[[Request], Reply]:
    """Answer by how a path ends; who we are and the project are shown to whoever asks."""
    known = {"/myself": {"accountId": "m1"}, "/project/S": {"id": "1", "key": "S"}, **answers}
    return lambda request: next(
        (
            each if isinstance(each, Reply) else answer(200, each(request) if callable(each) else each)
            for end, each in known.items()
            if request.path.endswith(end)
        ),
        answer(404, {"errorMessages": ["nothing here"]}),
    )


def said(number: int, at: str, **more: Any) -> dict[str, Any]:
    author = {"accountId": ADA.account, "displayName": ADA.name, "accountType": "atlassian"}
    return {"id": str(number), "author": author, "body": f"number {number}", "created": at, "updated": at, **more}


@BOTH
def test_groups_and_roles_that_config_lists_may_speak(sandbox: RunningSandbox, deployment: str, service: Service):
    bench = bench_of(sandbox, deployment)
    speakers = {
        "in the group": Speakers(groups=frozenset({"search-leads"})),
        "in the role": Speakers(roles=frozenset({"developers"})),  # ada by her group, wei himself
        "in none": Speakers(groups=frozenset({"others"}), roles=frozenset({"Administrators", "Strangers"})),
    }
    allowed = {
        name: [who for who in ("ada", "wei", "jonas") if bench.answers.may_speak(bench.people.person(who), each)]
        for name, each in speakers.items()
    }
    assert allowed == {"in the group": ["ada"], "in the role": ["ada", "wei"], "in none": []}
    sandbox.change(service, denied=["ADMINISTER_PROJECTS"])
    anew = bench_of(sandbox, deployment)
    assert not anew.answers.may_speak(anew.people.person("wei"), speakers["in the role"]), "roles are not shown to us"


def test_who_may_speak_is_asked_once_in_a_while(sandbox: RunningSandbox):
    bench = bench_of(sandbox, "cloud")
    ada = bench.people.person("ada")
    assert bench.answers.may_speak(ada, Speakers())
    asked = bench.count_requests()
    assert bench.answers.may_speak(ada, Speakers())
    assert bench.count_requests() == asked


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_nobody_may_speak_where_jira_does_not_say(server: Breakable, status: int):
    server.reply = lambda _: answer(status, {"errorMessages": ["no"]})
    answers = jira_answers(server.url)
    if status in (403, 404):
        assert not answers.may_speak(ADA, Speakers())
        return
    with pytest.raises(RetryableError) as caught:
        answers.may_speak(ADA, Speakers())
    assert isinstance(caught.value, AccountError) is (status == 401)


@pytest.mark.parametrize(
    "shown", [[], [{"accountId": "another", "active": True}], [{"accountId": ADA.account, "active": False}]]
)
def test_only_the_very_account_may_speak_and_only_while_it_is_active(server: Breakable, shown: list[dict[str, Any]]):
    server.reply = lambda _: answer(200, shown)
    assert not jira_answers(server.url).may_speak(ADA, Speakers())


@pytest.mark.parametrize(
    ("ago", "asked"),
    [
        (timedelta(0), "-4m"),  # 30 s of lag, 2 minutes that clocks may differ, 1 that the index counts in
        (timedelta(minutes=2), "-6m"),
        (timedelta(minutes=-9), "-4m"),
        (timedelta(days=30), "-31d"),
    ],
)
def test_one_search_looks_back_further_than_asked_and_in_no_time_zone(server: Breakable, ago: timedelta, asked: str):
    server.reply = lambda _: answer(200, {"issues": [], "isLast": True})
    section = JiraSection(url=server.url, token=SECRET, project="S")
    assert JiraTicketAnswers(section, clock=lambda: NOW).changed("herald-team", NOW - ago) == []
    [request] = server.requests
    [jql] = parse_qs(request.query)["jql"]
    assert jql == f'project = "S" AND labels = "herald-team" AND updated >= "{asked}" ORDER BY updated DESC'


def test_two_hundred_tickets_that_changed_cost_two_pages_of_one_search(sandbox: RunningSandbox):
    bench = bench_of(sandbox, "cloud")
    keys = {bench.tracker.create(f"herald-team-{number:04x}-0-1", DRAFT).key for number in range(101)}
    before = bench.count_requests() or 0
    assert set(bench.answers.changed("herald-team", NOW)) == keys
    assert (bench.count_requests() or 0) - before == 2


@BOTH
def test_a_change_that_the_index_has_not_seen_is_found_by_a_later_search(
    sandbox: RunningSandbox, deployment: str, service: Service
):
    bench = bench_of(sandbox, deployment)
    key = bench.tracker.create(MARKER, DRAFT).key
    made = bench.answers.read(key, None)
    assert made is not None
    assert made.changed is not None
    sandbox.change(service, search_lag=20.0)
    assert bench.answers.changed("herald-team", made.changed) == []
    sandbox.change(service, search_lag=0.0)  # as if it had caught up meanwhile
    assert bench.answers.changed("herald-team", made.changed + timedelta(minutes=2)) == [key]


def test_a_ticket_that_was_moved_to_another_project_is_followed(server: Breakable):
    moved = ANSWERED | {"key": "T-9"}
    comments = {"comments": [said(1, "2026-11-24T08:00:00.000+0000")], "total": 1}
    server.reply = replying({"/issue/S-1": moved, "/issue/T-9/comment": comments})
    reading = jira_answers(server.url).read("S-1", None)
    assert reading is not None
    assert (reading.ticket.key, reading.ticket.url) == ("T-9", f"{server.url}/browse/T-9")
    assert [each.author for each in reading.comments] == [ADA]


def test_a_ticket_that_is_only_hidden_from_us_is_not_gone(server: Breakable):
    server.reply = replying({"/project/S": answer(404, {"errorMessages": ["No project could be found"]})})
    with pytest.raises(AccountError):
        jira_answers(server.url).read("S-1", None)


@pytest.mark.parametrize("obeys", [True, False])
def test_the_newest_comments_are_read_first_and_all_where_jira_orders_otherwise(server: Breakable, obeys: bool):
    rows = [said(number, f"2026-11-24T{number // 60:02d}:{number % 60:02d}:00.000+0000") for number in range(200)]

    def page(request: Request) -> dict[str, Any]:
        query = parse_qs(request.query)
        start, size = int(query["startAt"][0]), int(query["maxResults"][0])
        assert query["orderBy"] == ["-created"]
        return {"comments": (rows[::-1] if obeys else rows)[start : start + size], "startAt": start, "total": 200}

    server.reply = replying({"/issue/S-1": ANSWERED, "/comment": page})
    since = NOW.replace(hour=3, minute=10)
    reading = jira_answers(server.url).read("S-1", since)
    assert reading is not None
    bodies = [each.body for each in reading.comments]
    assert bodies == [f"number {number}" for number in range(200 - len(bodies), 200)]
    assert "number 190" in bodies, "what was said since is there"
    asked = [each for each in server.requests if each.path.endswith("/comment")]
    assert len(asked) == (1 if obeys else 4)


@BOTH
def test_a_ticket_that_takes_no_more_comments_says_so(sandbox: RunningSandbox, deployment: str, service: Service):
    bench = bench_of(sandbox, deployment)
    key = bench.tracker.create(MARKER, DRAFT).key
    bench.tracker.comment(key, "run-1", "It fell.")
    sandbox.change(service, comment_limit=1)
    with pytest.raises(FullError) as caught:
        bench.tracker.comment(key, "run-2", "Still so.")
    assert caught.value.status == 413


@pytest.mark.parametrize("deployment", ["cloud", "datacenter"])
def test_a_ticket_of_five_thousand_comments_is_full_on_cloud(server: Breakable, deployment: str):
    newest = [said(2, "2026-11-24T08:00:00.000+0000"), said(1, "2026-11-24T07:00:00.000+0000")]
    comments = {"comments": newest, "total": 5_000}
    server.reply = replying({"/issue/S-1": ANSWERED, "/comment": comments})
    reading = jira_answers(server.url, deployment).read("S-1", NOW)
    assert reading is not None
    assert reading.is_full is (deployment == "cloud")


@pytest.mark.parametrize(("updated", "is_edited"), [("08:00:00.000", False), ("08:00:00.001", True)])
def test_a_comment_that_was_changed_since_is_edited(server: Breakable, updated: str, is_edited: bool):
    row = said(1, "2026-11-24T08:00:00.000+0000", updated=f"2026-11-24T{updated}+0000")
    server.reply = replying({"/issue/S-1": ANSWERED, "/comment": {"comments": [row], "total": 1}})
    reading = jira_answers(server.url).read("S-1", None)
    assert reading is not None
    assert [each.is_edited for each in reading.comments] == [is_edited]


def test_apps_portal_customers_and_people_who_left_are_told_apart(server: Breakable):
    at = "2026-11-24T08:00:00.000+0000"
    authors: list[dict[str, Any] | None] = [
        {"accountId": "a1", "displayName": "Automation for Jira", "accountType": "app"},
        {"accountId": "q1", "displayName": "Customer", "accountType": "customer"},
        {"displayName": "Former user"},
        None,
    ]
    rows = [said(number, at, author=author) for number, author in enumerate(authors, 1)]
    server.reply = replying({"/issue/S-1": ANSWERED, "/comment": {"comments": rows, "total": 4}})
    reading = jira_answers(server.url).read("S-1", None)
    assert reading is not None
    assert [each.author for each in reading.comments] == [
        Person("a1", "Automation for Jira", is_app=True),
        Person("q1", "Customer"),
        Person("", "Former user"),
        Person(""),
    ]


def closed(**fields: Any) -> dict[str, Any]:
    status = {"id": "5", "name": "Erledigt", "statusCategory": {"key": "done"}}
    return ANSWERED | {"fields": ANSWERED["fields"] | {"status": status} | fields}


def test_a_project_without_resolutions_closes_tickets_by_their_status(server: Breakable):
    changes = [
        {
            "author": {"accountId": "m1"},
            "created": "2026-11-23T08:00:00.000+0000",
            "items": [{"field": "status", "to": "5"}],
        },
        {
            "author": {"accountId": ADA.account},
            "created": "2026-11-24T08:00:00.000+0000",
            "items": [{"field": "status", "to": "5"}],
        },
        {
            "author": {"accountId": "m1"},
            "created": "2026-11-24T09:00:00.000+0000",
            "items": [{"field": "labels", "to": "5"}],
        },
    ]
    shown = closed(resolution=None) | {"changelog": {"histories": changes}}
    server.reply = replying({"/issue/S-1": shown, "/comment": {"comments": [], "total": 0}})
    reading = jira_answers(server.url).read("S-1", None)
    assert reading is not None
    assert reading.resolution is not None
    assert (reading.resolution.id, reading.resolution.name) == ("status-5", "Erledigt")
    assert reading.resolution.by == Person(ADA.account)


def test_a_history_that_is_not_shown_leaves_open_who_closed_a_ticket(server: Breakable):
    shown = closed(resolution={"id": "10003", "name": "Won't Do"})
    server.reply = replying({"/issue/S-1": shown, "/comment": {"comments": [], "total": 0}})
    reading = jira_answers(server.url).read("S-1", None)
    assert reading is not None
    assert reading.resolution is not None
    assert (reading.resolution.id, reading.resolution.by, reading.resolution.at) == ("10003", None, None)


@BOTH
def test_a_link_of_people_names_what_a_ticket_repeats(sandbox: RunningSandbox, deployment: str, service: Service):
    bench, ada = bench_of(sandbox, deployment), JiraPerson(sandbox, deployment)
    original, key = bench.tracker.create("herald-team-1-0-1", DRAFT).key, bench.tracker.create(MARKER, DRAFT).key
    ada.link("ada", key, original)
    repeated = [reading.duplicate_of for each in (key, original) if (reading := bench.answers.read(each, None))]
    assert repeated == [original, ""]


@pytest.mark.parametrize("language", ["en", "de", "zh"])
@pytest.mark.parametrize("named", ["status", "transition"])
def test_a_named_way_is_taken_in_any_language(sandbox: RunningSandbox, language: str, named: str):
    sandbox.change(Service.JIRA_CLOUD, language=language, rejecting=True)
    name = {"en": "Rejected", "de": "ABGELEHNT" if named == "status" else "Abgelehnt", "zh": "已拒绝"}[language]
    issue_type = {"en": "Bug", "de": "Fehler", "zh": "缺陷"}[language]
    bench = bench_of(sandbox, "cloud", transitions={"done": name}, issue_type=issue_type)
    people = JiraPerson(sandbox, "cloud")
    key = bench.tracker.create(MARKER, DRAFT).key
    bench.tracker.move(key, TicketState.DONE)
    assert people.send("ada", "GET", f"issue/{key}", None)["fields"]["status"]["id"] == "10002"
    bench.tracker.move(key, TicketState.TODO)
    assert people.send("ada", "GET", f"issue/{key}", None)["fields"]["status"]["id"] == "10000"


def test_a_named_way_that_is_not_offered_leaves_the_others(sandbox: RunningSandbox):
    bench = bench_of(sandbox, "cloud", transitions={"done": "Nirvana"})
    key = bench.tracker.create(MARKER, DRAFT).key
    bench.tracker.move(key, TicketState.DONE)
    reading = bench.tracker.read(key)
    assert reading is not None
    assert reading.state is TicketState.DONE


@pytest.mark.parametrize("resolution", list(Resolution))
@pytest.mark.parametrize("demands", [True, False])
def test_what_a_screen_asks_for_is_filled_and_left_out_where_it_is_not_asked_for(
    sandbox: RunningSandbox, resolution: Resolution, demands: bool
):
    wanted = ["customfield_10020"] if demands and resolution is not Resolution.NO_SCREEN else []
    sandbox.change(Service.JIRA_CLOUD, resolution=resolution, transition_fields=wanted)
    bench = bench_of(sandbox, "cloud", transition_fields={"customfield_10020": "Search"})
    key = bench.tracker.create(MARKER, DRAFT).key
    bench.tracker.move(key, TicketState.DONE)
    fields = JiraPerson(sandbox, "cloud").send("ada", "GET", f"issue/{key}", None)["fields"]
    assert fields["status"]["statusCategory"]["key"] == "done"
    assert fields["customfield_10020"] == ("Search" if wanted else None)


def test_a_screen_that_asks_for_what_config_does_not_give_says_which_field(sandbox: RunningSandbox):
    sandbox.change(Service.JIRA_CLOUD, transition_fields=["customfield_10020"])
    bench = bench_of(sandbox, "cloud")
    key = bench.tracker.create(MARKER, DRAFT).key
    with pytest.raises(PermanentError, match="customfield_10020"):
        bench.tracker.move(key, TicketState.DONE)


@BOTH
def test_who_cannot_be_assigned_tickets_gets_none(sandbox: RunningSandbox, deployment: str, service: Service):
    bench = bench_of(sandbox, deployment)
    key = bench.tracker.create(MARKER, DRAFT).key
    bench.expel("wei")
    with pytest.raises(PermanentError, match="cannot be assigned"):
        bench.tracker.assign(key, bench.people.person("wei").account)

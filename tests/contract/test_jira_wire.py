"""What is said to Jira, request by request."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from bot.domain.capabilities import TicketState
from bot.errors import AccountError, MissingError, PermanentError, RetryableError
from bot.ports import Attachment, RemoteLink, TicketDraft
from bot.services.jira.config import JiraSection
from bot.services.jira.tracker import JiraTracker
from tests.contract.breakable import DROP, Breakable, Reply, Request, answer, breakable

DRAFT = TicketDraft("Ranking quality fell", "h2. What\n|a|b|", labels=("ml quality", "ranking", "ranking"))
SHOWN = {"accountId": "5f2c", "key": "S"}  # who we are, and our project
MADE = {"id": "1", "key": "S-1", "self": "https://jira/rest/api/2/issue/1"}
LINKED = {"id": 1, "self": "https://jira/rest/api/2/issue/S-1/remotelink/1"}
RESOLUTION = {"required": True, "allowedValues": [{"id": "1", "name": "Erledigt"}, {"id": "7", "name": "Done"}]}


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def tracker(server: Breakable, **more: Any) -> JiraTracker:
    values = {"url": server.url, "token": "t0ken", "project": "S", "timeout": timedelta(seconds=2), **more}
    return JiraTracker(JiraSection(**values))


def issue(key: str, category: str = "new", labels: tuple[str, ...] = ("m",), files: tuple[str, ...] = ()) -> Any:
    status = {"name": "Irgendwas", "statusCategory": {"key": category}}
    attached = [{"id": "1", "filename": name, "size": 1} for name in files]
    return {"id": "1", "key": key, "fields": {"status": status, "labels": labels, "attachment": attached}}


def transition(number: int, category: str, **fields: Any) -> Any:
    return {
        "id": str(number),
        "name": f"Weg {number}",
        "to": {"name": f"Ziel {number}", "statusCategory": {"key": category}},
        "fields": fields,
    }


def workflow(category: str, *offered: Any, posts: list[Reply] | None = None) -> Callable[[Request], Reply]:
    """Answer as an issue in *category* with *offered* transitions; *posts* are the answers to moving it, in turn."""
    waiting = list(posts or [])

    def respond(request: Request) -> Reply:
        if request.method == "POST":
            return waiting.pop(0) if waiting else answer(204)
        if request.path.endswith("/transitions"):
            return answer(200, {"transitions": list(offered)})
        return answer(200, issue("S-1", category))

    return respond


def test_trap_11_building_a_tracker_asks_nothing_and_no_call_asks_for_server_info(server: Breakable):
    built = tracker(server)
    assert server.requests == []
    server.reply = lambda _: answer(200, {"issues": [], **SHOWN})
    built.find("m")
    asked = [each.path.removeprefix("/rest/api/2/") for each in server.requests]
    assert asked == ["search/jql", "myself", "project/S"], (
        "nothing found proves something only where we see the project"
    )


def test_trap_10_13_cloud_is_searched_by_its_new_path_with_a_get(server: Breakable):
    server.reply = lambda _: answer(200, {"issues": [issue("S-3"), issue("S-9")], "isLast": True})
    found = tracker(server).find("m")
    assert found is not None
    assert (found.key, found.url, found.state) == ("S-3", f"{server.url}/browse/S-3", TicketState.TODO)
    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/rest/api/2/search/jql")
    assert parse_qs(request.query)["jql"] == ['project = "S" AND labels = "m" ORDER BY created ASC']


def test_data_center_is_searched_by_its_own_path(server: Breakable):
    server.reply = lambda _: answer(200, {"issues": [], "total": 0, **SHOWN})
    assert tracker(server, deployment="datacenter").find("m") is None
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/rest/api/2/search")


def test_a_label_that_differs_in_case_is_not_ours(server: Breakable):
    server.reply = lambda _: answer(200, {"issues": [issue("S-3", labels=("M",)), issue("S-9", labels=("x", "m"))]})
    found = tracker(server).find("m")
    assert found is not None
    assert found.key == "S-9"


def test_quotes_in_a_marker_stay_within_its_string(server: Breakable):
    server.reply = lambda _: answer(200, {"issues": [], **SHOWN})
    tracker(server).find('m" OR project = "X\\')
    assert r'labels = "m\" OR project = \"X\\"' in parse_qs(server.requests[0].query)["jql"][0]


def test_an_email_makes_basic_authentication_and_its_absence_a_bearer_token(server: Breakable):
    server.reply = lambda _: answer(200, {"issues": [issue("S-1")]})
    tracker(server, email="a@b.c").find("m")
    tracker(server).find("m")
    basic = base64.b64encode(b"a@b.c:t0ken").decode()
    assert [each.headers["authorization"] for each in server.requests] == [f"Basic {basic}", "Bearer t0ken"]


def test_trap_19_21_a_ticket_is_created_by_one_request_with_the_marker_among_its_labels(server: Breakable):
    server.reply = lambda _: answer(201, MADE)
    ticket = tracker(server).create("herald-a-1-0-1", DRAFT)
    assert ticket.key == "S-1"
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/rest/api/2/issue")
    assert request.json() == {
        "fields": {
            "project": {"key": "S"},
            "issuetype": {"name": "Bug"},
            "summary": "Ranking quality fell",
            "description": "h2. What\n|a|b|",
            "labels": ["herald-a-1-0-1", "ml-quality", "ranking"],
        }
    }


@pytest.mark.parametrize(("deployment", "key"), [("cloud", "accountId"), ("datacenter", "name")])
def test_what_a_team_sets_at_creation_is_sent_as_the_deployment_names_it(deployment: str, key: str, server: Breakable):
    server.reply = lambda _: answer(201, MADE)
    draft = TicketDraft("t", "b", priority="High", assignee="5f2c", components=("ranking",))
    tracker(server, deployment=deployment).create("m", draft)
    fields = server.requests[0].json()["fields"]
    assert fields["assignee"] == {key: "5f2c"}
    assert fields["priority"] == {"name": "High"}
    assert fields["components"] == [{"name": "ranking"}]


def test_a_title_is_one_line(server: Breakable):
    server.reply = lambda _: answer(201, MADE)
    tracker(server).create("m", TicketDraft("one\ntwo", "words"))
    assert server.requests[0].json()["fields"]["summary"] == "one two"


def test_trap_22_required_fields_are_named(server: Breakable):
    server.reply = lambda _: answer(400, {"errorMessages": [], "errors": {"customfield_1": "Team is required."}})
    with pytest.raises(PermanentError, match=r"customfield_1: Team is required\.") as caught:
        tracker(server).create("m", DRAFT)
    assert caught.value.fields == {"customfield_1": "Team is required."}


def test_a_comment_carries_its_mark_as_a_property(server: Breakable):
    server.reply = lambda _: answer(201, {"id": "1", "body": "Still so."})
    tracker(server).comment("S-1", "run-2", "Still so.")
    [request] = server.requests
    assert request.path == "/rest/api/2/issue/S-1/comment"
    assert request.json() == {"body": "Still so.", "properties": [{"key": "herald", "value": {"mark": "run-2"}}]}


def test_comments_are_looked_through_page_by_page(server: Breakable):
    def respond(request: Request) -> Reply:
        start = int(parse_qs(request.query)["startAt"][0])
        mine = {
            "body": "ours",
            "properties": [{"key": "other", "value": 1}, {"key": "herald", "value": {"mark": "run-2"}}],
        }
        comments = [{"body": "hi", "properties": []}] * 2 if start == 0 else [{"body": "no properties at all"}, mine]
        return answer(200, {"startAt": start, "maxResults": 2, "total": 4, "comments": comments})

    server.reply = respond
    assert tracker(server).has_comment("S-1", "run-2")
    assert len(server.requests) == 2
    assert parse_qs(server.requests[0].query)["expand"] == ["properties"]
    assert not tracker(server).has_comment("S-1", "run-3")


def test_a_ticket_already_there_is_not_moved(server: Breakable):
    server.reply = workflow("done")
    tracker(server).move("S-1", TicketState.DONE)
    assert server.writes == []


def test_trap_24_a_ticket_moves_by_the_category_of_the_target_with_its_resolution(server: Breakable):
    server.reply = workflow("new", transition(4, "indeterminate"), transition(5, "done", resolution=RESOLUTION))
    tracker(server).move("S-1", TicketState.DONE)
    [request] = server.writes
    assert request.json() == {"transition": {"id": "5"}, "fields": {"resolution": {"id": "7"}}}
    assert "expand=transitions.fields" in server.requests[1].query


def test_of_several_ways_the_one_that_demands_least_is_taken(server: Breakable):
    demanding = transition(5, "done", customfield_1={"required": True, "hasDefaultValue": False})
    server.reply = workflow("new", demanding, transition(6, "done"))
    tracker(server).move("S-1", TicketState.DONE)
    assert server.writes[0].json() == {"transition": {"id": "6"}}


def test_trap_24_a_resolution_that_was_not_listed_but_is_demanded_is_sent_at_the_second_attempt(server: Breakable):
    refused = answer(400, {"errorMessages": [], "errors": {"resolution": "Resolution is required."}})
    server.reply = workflow("new", transition(5, "done"), posts=[refused, answer(204)])
    tracker(server).move("S-1", TicketState.DONE)
    assert [each.json().get("fields") for each in server.writes] == [None, {"resolution": {"name": "Done"}}]


def test_trap_24_a_resolution_that_was_listed_but_is_refused_is_left_out_at_the_second_attempt(server: Breakable):
    refused = answer(400, {"errors": {"resolution": "Field 'resolution' cannot be set."}})
    server.reply = workflow("new", transition(5, "done", resolution=RESOLUTION), posts=[refused, answer(204)])
    tracker(server).move("S-1", TicketState.DONE)
    assert [each.json().get("fields") for each in server.writes] == [{"resolution": {"id": "7"}}, None]


def test_trap_24_a_move_that_is_refused_both_ways_tells_the_first_reason(server: Breakable):
    first, second = answer(400, {"errors": {"team": "Team is required."}}), answer(400, {"errors": {"x": "y"}})
    server.reply = workflow("new", transition(5, "done"), posts=[first, second])
    with pytest.raises(PermanentError, match="Team is required"):
        tracker(server).move("S-1", TicketState.DONE)
    assert len(server.writes) == 2


def test_a_second_attempt_that_breaks_off_is_doubtful(server: Breakable):
    server.reply = workflow("new", transition(5, "done"), posts=[answer(400, {}), DROP])
    with pytest.raises(RetryableError) as caught:
        tracker(server).move("S-1", TicketState.DONE)
    assert caught.value.doubtful


def test_a_workflow_without_a_way_is_told_with_what_it_offers(server: Breakable):
    server.reply = workflow("indeterminate", transition(4, "new"))
    with pytest.raises(PermanentError, match=r"S-1 cannot be moved .* done: .* Weg 4 \(to Ziel 4\)"):
        tracker(server).move("S-1", TicketState.DONE)
    assert server.writes == []


def test_a_ticket_goes_by_way_of_work_in_progress_where_its_workflow_demands_it(server: Breakable):
    def respond(request: Request) -> Reply:
        if request.method == "POST":
            return answer(204)
        if request.path.endswith("/transitions"):
            return answer(200, {"transitions": [transition(*(5, "done") if server.writes else (4, "indeterminate"))]})
        return answer(200, issue("S-1", "new"))

    server.reply = respond
    tracker(server).move("S-1", TicketState.DONE)
    assert [each.json()["transition"]["id"] for each in server.writes] == ["4", "5"]


def test_trap_25_26_a_link_is_one_request_with_its_identity_and_all_its_fields(server: Breakable):
    server.reply = lambda _: answer(201, LINKED)
    tracker(server).link("S-1", RemoteLink("herald:page:7", "http://wiki/7", "Report", "summary"))
    [request] = server.requests
    assert request.path == "/rest/api/2/issue/S-1/remotelink"
    assert request.json() == {
        "globalId": "herald:page:7",
        "object": {"url": "http://wiki/7", "title": "Report", "summary": "summary"},
    }


def test_a_long_identity_fits_and_stays_distinct(server: Breakable):
    server.reply = lambda _: answer(201, LINKED)
    for end in "ab":
        tracker(server).link("S-1", RemoteLink("x" * 400 + end, "http://wiki/7", "Report"))
    first, second = (each.json()["globalId"] for each in server.requests)
    assert first != second
    assert len(first) <= 255


def test_trap_27_a_file_is_sent_with_its_type_and_the_header_that_lets_it_in(server: Breakable):
    made = [{"id": "1", "filename": "verlauf-ü.png", "size": 6}]
    server.reply = lambda request: answer(200, issue("S-1") if request.method == "GET" else made)
    tracker(server).attach("S-1", Attachment("verlauf-ü.png", b"\x89PNG\r\n", "image/png"))
    [request] = server.writes
    assert request.path == "/rest/api/2/issue/S-1/attachments"
    assert request.headers["x-atlassian-token"] == "no-check"
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="verlauf-' in request.body
    assert b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\r\n" in request.body


def test_a_ticket_just_made_is_not_asked_for_its_files_unless_something_went_wrong(server: Breakable):
    replies = [answer(201, MADE), DROP, answer(200, issue("S-1", files=("a.png",)))]
    server.reply = lambda _: replies.pop(0)
    built, file = tracker(server), Attachment("a.png", b"x", "image/png")
    built.create("m", DRAFT)
    with pytest.raises(RetryableError):
        built.attach("S-1", file)
    built.attach("S-1", file)
    assert [each.method for each in server.requests] == ["POST", "POST", "GET"]


def test_what_config_adds_to_a_ticket_is_sent_and_never_replaces_what_herald_says(server: Breakable):
    server.reply = lambda _: answer(201, MADE)
    tracker(server, fields={"customfield_10010": {"value": "Search"}, "summary": "theirs"}).create("m", DRAFT)
    fields = server.requests[0].json()["fields"]
    assert fields["customfield_10010"] == {"value": "Search"}
    assert fields["summary"] == DRAFT.title


def test_a_file_that_is_there_is_not_sent_again(server: Breakable):
    server.reply = lambda _: answer(200, issue("S-1", files=("a.png",)))
    tracker(server).attach("S-1", Attachment("a.png", b"x", "image/png"))
    assert server.writes == []


@pytest.mark.parametrize("status", [401, 403])
def test_trap_40_only_a_ticket_that_is_not_found_reads_as_none(status: int, server: Breakable):
    missing = answer(404, {"errorMessages": ["Issue does not exist or you do not have permission"]})
    server.reply = lambda request: missing if "/issue/" in request.path else answer(200, SHOWN)
    assert tracker(server).read("S-1") is None
    server.reply = lambda _: answer(status, {})
    with pytest.raises((PermanentError, AccountError)):
        tracker(server).read("S-1")


@pytest.mark.parametrize("hidden", ["/myself", "/project/"])
def test_trap_40_a_ticket_is_not_gone_where_nothing_is_shown_to_us(hidden: str, server: Breakable):
    def respond(request: Request) -> Reply:
        status = 401 if hidden == "/myself" else 404
        if hidden in request.path:
            return answer(status, {})
        return answer(404, {}) if "/issue/" in request.path else answer(200, SHOWN)

    server.reply = respond
    with pytest.raises(AccountError) as refused:
        tracker(server).read("S-1")
    assert isinstance(refused.value, MissingError) == (hidden == "/project/"), "a project that is gone is no account's"


def test_a_ticket_that_moved_to_another_project_is_read_by_its_new_key(server: Breakable):
    server.reply = lambda _: answer(200, issue("NEW-4", "indeterminate"))
    found = tracker(server).read("S-1")
    assert found is not None
    assert (found.key, found.state) == ("NEW-4", TicketState.DOING)


def test_a_key_cannot_leave_its_place_in_the_address(server: Breakable):
    server.reply = lambda request: answer(404) if "/issue/" in request.path else answer(200, SHOWN)
    tracker(server).read("../../serverInfo?x=")
    assert server.requests[0].path == "/rest/api/2/issue/..%2F..%2FserverInfo%3Fx%3D"


def test_a_jira_under_a_context_path_is_found(server: Breakable):
    server.reply = lambda _: answer(200, issue("S-1"))
    found = tracker(server, url=f"{server.url}/jira/", deployment="datacenter").read("S-1")
    assert found is not None
    assert found.url == f"{server.url}/jira/browse/S-1"
    assert server.requests[0].path == "/jira/rest/api/2/issue/S-1"


def test_trap_12_the_search_lag_is_what_config_says(server: Breakable):
    assert tracker(server, search_lag=timedelta(seconds=90)).search_lag == timedelta(seconds=90)

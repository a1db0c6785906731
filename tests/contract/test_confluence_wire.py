"""What is said to Confluence, request by request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from bot.errors import MissingError, PermanentError, RetryableError
from bot.ports import Attachment, PageDraft
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.wiki import ConfluenceWiki
from tests.contract.breakable import DROP, Breakable, Reply, Request, answer, breakable

SPACES = {"results": [{"id": "9", "key": "MLX"}, {"id": "77", "key": "ML"}], "_links": {}}
FILE = Attachment("history.png", b"\x89PNG", "image/png")


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def wiki(server: Breakable, **more: Any) -> ConfluenceWiki:
    values = {"url": server.url, "token": "t0ken", "space": "ML", "timeout": timedelta(seconds=2), **more}
    return ConfluenceWiki(ConfluenceSection(**values))


def data_center(server: Breakable, **more: Any) -> ConfluenceWiki:
    return wiki(server, url=f"{server.url}/confluence", deployment="datacenter", **more)


def page(title: str = "Run 4", storage: str = "<p>x</p>", page_id: str = "5", version: int = 3) -> dict[str, Any]:
    return {
        "id": page_id,
        "title": title,
        "status": "current",
        "version": {"number": version},
        "body": {"storage": {"value": storage, "representation": "storage"}},
        "_links": {"webui": f"/spaces/ML/pages/{page_id}"},
    }


def written(request: Request) -> Reply:
    """Answer a write of a page, or of labels, with what was written."""
    said = request.json()
    if isinstance(said, list):
        return answer(200, {"results": said})
    return answer(200, page(said["title"], version=said.get("version", {"number": 1})["number"]))


FILED = {"results": [{"id": "att8", "title": "history.png", "extensions": {"fileSize": 4}}]}


def routes(server: Breakable, table: dict[tuple[str, str], Any]) -> Callable[[Request], Reply]:
    """Answer by method and end of path."""

    def respond(request: Request) -> Reply:
        for (method, end), said in table.items():
            if request.method == method and request.path.endswith(end):
                return said(request) if callable(said) else said if isinstance(said, Reply) else answer(200, said)
        return answer(404, {"message": f"{request.method} {request.path}"})

    server.reply = respond
    return respond


@pytest.mark.parametrize("suffix", ["", "/", "/wiki", "/wiki/"])
def test_trap_1_2_6_9_a_cloud_page_is_found_by_v2_and_its_exact_title(suffix: str, server: Breakable):
    found = {"results": [page("run 4", page_id="4"), page()], "_links": {"base": "https://site/wiki"}}
    routes(server, {("GET", "/spaces"): SPACES, ("GET", "/pages"): found})
    there = wiki(server, url=server.url + suffix).find("Run 4")
    assert there is not None
    assert (there.page_id, there.url) == ("5", "https://site/wiki/spaces/ML/pages/5")
    assert [each.path for each in server.requests] == ["/wiki/api/v2/spaces", "/wiki/api/v2/pages"]
    assert parse_qs(server.requests[1].query) == {"space-id": ["77"], "title": ["Run 4"], "status": ["current"]}


def test_the_number_of_a_space_is_asked_once(server: Breakable):
    routes(server, {("GET", "/spaces"): SPACES, ("GET", "/pages"): {"results": []}})
    asked = wiki(server)
    assert asked.find("a") is None
    assert asked.find("b & c=d") is None
    assert [each.path for each in server.requests].count("/wiki/api/v2/spaces") == 1
    assert parse_qs(server.requests[-1].query)["title"] == ["b & c=d"]


def test_a_space_that_cannot_be_seen_is_named(server: Breakable):
    routes(server, {("GET", "/spaces"): {"results": []}})
    with pytest.raises(MissingError, match=r"space: .* no space with the key 'ML'"):
        wiki(server).find("a")


def test_trap_2_a_cloud_page_is_created_by_one_request_to_v2(server: Breakable):
    routes(server, {("GET", "/spaces"): SPACES, ("POST", "/pages"): page()})
    made = wiki(server).create(PageDraft("Run 4", "<p>x</p>", labels=("a",), parent_id="3"))
    assert made.url == f"{server.url}/wiki/spaces/ML/pages/5"
    [request] = server.writes
    assert request.path == "/wiki/api/v2/pages"
    assert request.json() == {
        "spaceId": "77",
        "status": "current",
        "title": "Run 4",
        "body": {"representation": "storage", "value": "<p>x</p>"},
        "parentId": "3",
    }


def test_a_data_center_page_is_created_by_one_request(server: Breakable):
    routes(server, {("POST", "/content"): page()})
    made = data_center(server).create(PageDraft("Run 4", "<p>x</p>", parent_id="3"))
    assert made.url == f"{server.url}/confluence/spaces/ML/pages/5"
    [request] = server.requests
    assert request.path == "/confluence/rest/api/content"
    assert request.json() == {
        "type": "page",
        "title": "Run 4",
        "space": {"key": "ML"},
        "body": {"storage": {"value": "<p>x</p>", "representation": "storage"}},
        "ancestors": [{"id": "3"}],
    }


def test_trap_6_a_title_that_is_taken_gives_the_page_that_has_it(server: Breakable):
    taken = answer(400, {"errors": [{"title": "Eine Seite mit diesem Titel gibt es schon"}]})
    routes(server, {("GET", "/spaces"): SPACES, ("POST", "/pages"): taken, ("GET", "/pages"): {"results": [page()]}})
    assert wiki(server).create(PageDraft("Run 4", "<p>x</p>")).page_id == "5"
    assert len(server.writes) == 1


def test_trap_8_a_page_that_is_refused_for_another_reason_is_told(server: Breakable):
    refused = answer(400, {"errors": [{"title": "Error parsing xhtml", "detail": "line 3"}]})
    routes(server, {("GET", "/spaces"): SPACES, ("POST", "/pages"): refused, ("GET", "/pages"): {"results": []}})
    with pytest.raises(PermanentError, match="Error parsing xhtml: line 3"):
        wiki(server).create(PageDraft("Run 4", "<p>x</p>"))


def test_pages_are_made_under_the_configured_parent_which_is_looked_up_once(server: Breakable):
    parents = {"results": [page("Reports", page_id="2")]}
    routes(server, {("GET", "/spaces"): SPACES, ("GET", "/pages"): parents, ("POST", "/pages"): written})
    made = wiki(server, parent="Reports")
    made.create(PageDraft("Run 4", "<p>x</p>"))
    made.create(PageDraft("Run 5", "<p>x</p>"))
    assert [each.json()["parentId"] for each in server.writes] == ["2", "2"]
    assert len(server.requests) == 4


def test_a_parent_that_does_not_exist_is_named(server: Breakable):
    routes(server, {("GET", "/spaces"): SPACES, ("GET", "/pages"): {"results": []}})
    with pytest.raises(MissingError, match="parent: there is no page titled 'Reports' in space ML"):
        wiki(server, parent="Reports").create(PageDraft("Run 4", "<p>x</p>"))


def test_trap_4_labels_are_written_by_what_is_left_of_v1(server: Breakable):
    server.reply = written
    wiki(server).label("5", ["herald-a", "ranking", "herald-a"])
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/wiki/rest/api/content/5/label")
    assert request.json() == [{"prefix": "global", "name": "herald-a"}, {"prefix": "global", "name": "ranking"}]


def test_no_labels_make_no_request(server: Breakable):
    wiki(server).label("5", [])
    assert server.requests == []


def test_trap_27_41_a_cloud_file_is_put_to_create_or_update_it(server: Breakable):
    server.reply = lambda _: answer(200, FILED)
    wiki(server).attach("5", FILE)
    [request] = server.requests
    assert (request.method, request.path) == ("PUT", "/wiki/rest/api/content/5/child/attachment")
    assert request.headers["x-atlassian-token"] == "no-check"
    assert b'name="minorEdit"\r\n\r\ntrue' in request.body
    assert b'name="file"; filename="history.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG' in request.body


@pytest.mark.parametrize(("there", "end"), [([], "/child/attachment"), (["att8"], "/child/attachment/att8/data")])
def test_a_data_center_file_is_posted_new_or_over_the_old_one(there: list[str], end: str, server: Breakable):
    files = {"results": [{"id": each, "title": "history.png"} for each in there]}
    routes(server, {("GET", "/attachment"): files, ("POST", end): FILED})
    data_center(server).attach("5", FILE)
    [request] = server.writes
    assert request.path == f"/confluence/rest/api/content/5{end}"


def test_trap_3_an_update_says_status_title_and_the_next_version(server: Breakable):
    routes(server, {("GET", "/pages/5"): page("Renamed by someone"), ("PUT", "/pages/5"): written})
    wiki(server).replace_section("5", "<p>new</p>")
    [request] = server.writes
    said = request.json()
    assert (said["id"], said["status"], said["title"]) == ("5", "current", "Renamed by someone")
    assert said["version"]["number"] == 4
    assert said["body"]["value"].startswith("<p>x</p>")
    assert "<p>new</p>" in said["body"]["value"]


def test_a_data_center_update_says_title_and_the_next_version(server: Breakable):
    routes(server, {("GET", "/content/5"): page(), ("PUT", "/content/5"): written})
    data_center(server).replace_section("5", "<p>new</p>")
    assert "expand=body.storage,version" in server.requests[0].query
    assert server.writes[0].json()["version"]["number"] == 4


def test_trap_7_a_version_conflict_passes(server: Breakable):
    routes(server, {("GET", "/pages/5"): page(), ("PUT", "/pages/5"): answer(409, {"errors": [{"title": "stale"}]})})
    with pytest.raises(RetryableError, match="stale") as caught:
        wiki(server).replace_section("5", "<p>new</p>")
    assert not caught.value.doubtful
    assert len(server.writes) == 1


def test_a_section_is_written_on_top_of_what_we_wrote_last_without_reading_again(server: Breakable):
    routes(server, {("GET", ""): page(storage="<p>theirs</p>", version=3), ("PUT", ""): written})
    built = wiki(server)
    built.replace_section("5", "<p>one</p>")
    built.replace_section("5", "<p>two</p>")
    assert [each.method for each in server.requests] == ["GET", "PUT", "PUT"]
    first, second = (each.json() for each in server.writes)
    assert [each["version"]["number"] for each in (first, second)] == [4, 5]
    assert "<p>theirs</p>" in second["body"]["value"]
    assert "two" in second["body"]["value"]
    assert "one" not in second["body"]["value"]


@pytest.mark.parametrize("status", [400, 409])
def test_a_page_that_was_edited_since_is_read_and_the_edit_stays(status: int, server: Breakable):
    edited = {"storage": "<p>theirs</p>", "version": 3}

    def respond(request: Request) -> Reply:
        if request.method == "GET":
            return answer(200, page(**edited))
        if request.json()["version"]["number"] != edited["version"] + 1:
            return answer(status, {"message": "Version must be incremented"})
        return written(request)

    server.reply = respond
    built = wiki(server)
    built.replace_section("5", "<p>one</p>")
    edited |= {"storage": "<p>edited</p>", "version": 7}
    built.replace_section("5", "<p>two</p>")
    assert [each.method for each in server.requests] == ["GET", "PUT", "PUT", "GET", "PUT"]
    last = server.writes[-1].json()
    assert last["version"]["number"] == 8
    assert "<p>edited</p>" in last["body"]["value"]


@pytest.mark.parametrize("reply", [DROP, answer(429, Retry_After="5")])
def test_a_write_that_went_wrong_leaves_nothing_to_build_on(reply: Reply, server: Breakable):
    replies = [answer(200, page()), answer(200, page(version=4))]  # of the first section
    server.reply = lambda _: replies.pop(0) if replies else reply
    built = wiki(server)
    built.replace_section("5", "<p>one</p>")
    with pytest.raises(RetryableError):
        built.replace_section("5", "<p>two</p>")
    replies += [answer(200, page()), answer(200, page(version=4))]
    built.replace_section("5", "<p>two</p>")
    assert [each.method for each in server.requests] == ["GET", "PUT", "PUT", "GET", "PUT"]


def test_a_data_center_page_just_made_is_not_asked_for_its_files(server: Breakable):
    routes(server, {("POST", "/attachment"): FILED, ("POST", "/data"): FILED, ("GET", ""): FILED, ("POST", ""): page()})
    built = data_center(server)
    made = built.create(PageDraft("Run 4", "<p>x</p>")).page_id
    built.attach(made, FILE)
    assert [each.method for each in server.requests] == ["POST", "POST"]
    built.attach(made, FILE)
    assert [each.method for each in server.requests[2:]] == ["GET", "POST"]


def test_a_section_that_did_not_change_is_not_written(server: Breakable):
    routes(server, {("GET", "/pages/5"): page(), ("PUT", "/pages/5"): written})
    wiki(server).replace_section("5", "<p>new</p>")
    stored = server.writes[0].json()["body"]["value"]
    routes(server, {("GET", "/pages/5"): page(storage=stored)})
    wiki(server).replace_section("5", "<p>new</p>")
    assert len(server.writes) == 1


def test_an_email_makes_basic_authentication_and_its_absence_a_bearer_token(server: Breakable):
    server.reply = written
    wiki(server, email="a@b.c").label("5", ["x"])
    wiki(server).label("5", ["x"])
    assert [each.headers["authorization"].split()[0] for each in server.requests] == ["Basic", "Bearer"]
    assert server.requests[1].headers["authorization"] == "Bearer t0ken"


def test_building_a_wiki_asks_nothing(server: Breakable):
    wiki(server)
    data_center(server)
    assert server.requests == []

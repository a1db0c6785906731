"""What answers in a service's place is never taken for a success, nor for nothing found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.domain.message import MessageDocument
from bot.errors import IntegrationError, PermanentError, RetryableError
from bot.ports import Posted, RemoteLink
from tests.contract.acts import (
    ANSWERED,
    FILE,
    IN_THREAD,
    LISTS,
    NOW,
    POSTED,
    READS,
    SECRET,
    WRITES,
    Act,
    confluence,
    confluence_dc,
    failure_of,
    jira,
    jira_dc,
    slack,
    trello,
    trello_answers,
    webhook,
)
from tests.contract.breakable import Breakable, Reply, Request, answer, breakable

LOGIN = "<!doctype html><html><head><title>Sign in</title></head><body><form>Password</form></body></html>"
STRANGER = {"status": "up", "id": "3", "title": "Another page", "name": "proxy", "_links": {"webui": "/y"}}


def raw(body: bytes, kind: str | None = "application/json;charset=UTF-8", status: int = 200, **headers: str) -> Reply:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Reply("\r\n".join([*lines, "", ""]).encode() + body)


def body_of(reply: Reply) -> bytes:
    return reply.raw.partition(b"\r\n\r\n")[2]


def kept(change: Callable[[bytes], Reply]) -> Callable[[Act], Reply]:
    """Spoil what the service would have said; what a webhook says is believed in any wrapping."""
    return lambda act: change(b'{"ok": null}' if act is WRITES["webhook post"] else body_of(act.proof) or b"{}")


def told(reply: Reply) -> Callable[[Act], Reply]:
    return lambda _: reply


def listing(rows: Any) -> Callable[[Act], Reply]:
    """Answer as if it were Slack, and a list besides."""
    said = dict.fromkeys(("results", "issues", "messages", "comments", "files", "permissions"), rows)

    def make(act: Act) -> Reply:
        return raw(json.dumps({**said, "total": 0, **({} if act.make is webhook else {"ok": True})}).encode())

    return make


NO_ANSWERS: dict[str, Callable[[Act], Reply]] = {
    "a login page": told(answer(200, LOGIN)),
    "a login page said to be JSON": told(raw(LOGIN.encode())),
    "a created login page": told(answer(201, LOGIN)),
    "an empty body": told(raw(b"")),
    "an empty body of no kind": told(raw(b"", None)),
    "no content with content": told(raw(b"", None, 202)),
    "an empty object": told(raw(b"{}")),
    "null": told(raw(b"null")),
    "a number": told(raw(b"1")),
    "a text": told(raw(b'"issues results messages comments ok"')),
    "another service": told(raw(json.dumps(STRANGER).encode())),
    "a list of others": told(raw(json.dumps([STRANGER]).encode())),
    "lists of others": listing([STRANGER]),
    "objects where lists are due": listing({}),
    "words where lists are due": listing("none"),
    "nothing where lists are due": listing(None),
    "the right words as HTML": kept(lambda body: raw(body + b" ", "text/html")),
    "the right words as text": kept(lambda body: raw(body + b"\n\0", "text/plain")),
    "the right words of no kind": kept(lambda body: raw(body + b"\n.", None)),
    "half of it": kept(lambda body: raw(body[: len(body) - 1])),
    "a part of it": kept(lambda body: raw(body, status=206)),
    "a promise of it": kept(lambda body: raw(body, status=202)),
    "it as rewritten on its way": kept(lambda body: raw(body, status=203)),
    "it out of a cache": kept(lambda body: raw(body, Age="40")),
    "unchanged since": told(raw(b"", None, 304)),
    "a choice of places": told(raw(b"", None, 300)),
    "a redirect without a place": told(raw(b"", None, 302)),
    "garbage packed": told(raw(b"\x1f\x8b garbage", Content_Encoding="gzip")),
    "a login page packed": told(raw(gzip.compress(LOGIN.encode()), "text/html", Content_Encoding="gzip")),
    "other letters": kept(lambda body: raw(b'{"\xff\xfe":' + body + b"}")),
    "depth without end": told(raw(b"[" * 100_000)),
    "a number without end": told(raw(b'{"ok": true, "total": ' + b"9" * 10_000 + b"}")),
}
every_no_answer = pytest.mark.parametrize("no_answer", NO_ANSWERS.values(), ids=list(NO_ANSWERS))
every_write = pytest.mark.parametrize("act", WRITES.values(), ids=list(WRITES))
every_read = pytest.mark.parametrize("act", READS.values(), ids=list(READS))


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


US = {"id": "m1", "name": "b", "accountId": "5f2c", "key": "S"}  # who we are, a board and a project


def perform(act: Act, server: Breakable, reply: Reply) -> object:
    def respond(request: Request) -> Reply:
        if request.path.endswith(("/myself", "/project/S", "/members/me", "/boards/b0ard")):
            return answer(200, US)
        return (request.method == "GET" and act.reads(request)) or reply

    server.reply = respond
    return act.call(act.make(server.url))


@every_write
def test_what_the_service_says_to_a_write_proves_it(act: Act, server: Breakable):
    perform(act, server, act.proof)
    assert server.writes


@every_read
def test_what_the_service_says_to_a_read_is_believed(act: Act, server: Breakable):
    found = perform(act, server, act.proof)
    assert not found or found == act.call(act.make(server.url))


@every_write
@every_no_answer
def test_no_answer_in_its_place_delivers_anything(act: Act, no_answer: Callable[[Act], Reply], server: Breakable):
    error = failure_of(act, server, no_answer(act))
    assert isinstance(error, RetryableError), error
    assert error.doubtful
    assert len(server.writes) == 1


@every_read
@every_no_answer
def test_no_answer_in_its_place_means_that_nothing_was_found(
    act: Act, no_answer: Callable[[Act], Reply], server: Breakable
):
    error = failure_of(act, server, no_answer(act))
    assert isinstance(error, RetryableError), error
    assert not error.doubtful


@every_read
def test_a_list_alone_is_no_search_result_but_trellos(act: Act, server: Breakable):
    if act.make in (trello, trello_answers):
        if body_of(act.proof) == b"[]":
            return  # a board without cards says just that
        assert isinstance(failure_of(act, server, raw(b"[]")), RetryableError)
        return
    assert isinstance(failure_of(act, server, raw(b"[]")), RetryableError)


@every_write
def test_an_empty_list_delivers_nothing(act: Act, server: Breakable):
    error = failure_of(act, server, raw(b"[]"))
    assert isinstance(error, RetryableError)
    assert error.doubtful


@every_write
def test_no_content_is_enough_only_where_the_service_sends_none(act: Act, server: Breakable):
    if act is WRITES["jira move"] or act is WRITES["webhook post"]:
        perform(act, server, answer(204))
        return
    error = failure_of(act, server, answer(204))
    assert isinstance(error, RetryableError)
    assert error.doubtful


def test_a_move_whose_answer_has_words_is_doubtful(server: Breakable):
    for reply in (raw(b"{}"), raw(b"", None), answer(200, LOGIN)):
        error = failure_of(WRITES["jira move"], server, reply)
        assert isinstance(error, RetryableError)
        assert error.doubtful


@dataclass(frozen=True)
class Near:
    """An answer of the right kind to another question."""

    act: Act
    reply: Reply
    says: str


CLOSED = ANSWERED | {
    "fields": ANSWERED["fields"]
    | {
        "status": {"id": "5", "name": "Done", "statusCategory": {"key": "done"}},
        "resolution": {"id": "1", "name": "Done"},
    }
}
FAR_PAGE = {"id": "6", "title": "P", "version": {"number": 2}, "_links": {"webui": "/x"}}
STALE_PAGE = {**FAR_PAGE, "id": "5", "version": {"number": 1}}
SMALL_FILE = {"title": FILE.filename, "id": "7", "extensions": {"fileSize": 1}}
CARD_ELSEWHERE = {"id": "c1", "idShort": 4, "shortUrl": "https://t/c", "idList": "l0", "closed": False, "desc": "`m`"}
ANOTHERS_MARK = {"event_type": "herald", "event_payload": {"mark": "another"}}
NEARLY = {
    "a ticket without a key": Near(WRITES["jira create"], answer(201, {"id": "1", "key": "1"}), "no key"),
    "another comment": Near(
        WRITES["jira comment"],
        answer(201, {"id": "1", "body": "x", "properties": [{"key": "herald", "value": {"mark": "another"}}]}),
        "another comment",
    ),
    "a ticket for a link": Near(WRITES["jira link"], answer(201, {"id": 1, "self": "https://jira/issue/1"}), "link"),
    "half a file at Jira": Near(
        WRITES["jira attach"], answer(200, [{"id": "7", "filename": FILE.filename, "size": 1}]), "another size than 4"
    ),
    "another file at Jira": Near(
        WRITES["jira attach"], answer(200, [{"id": "7", "filename": "x.png", "size": 4}]), "no file history"
    ),
    "tickets of another search": Near(
        READS["jira find"],
        answer(200, {"issues": [{"key": "S-9", "fields": {"labels": ["other"], "status": {}}}]}),
        "without the label m",
    ),
    "another ticket": Near(
        READS["jira read"],
        answer(200, {"key": "S-2", "fields": {"status": {"statusCategory": {"key": "done"}}}}),
        "S-2",
    ),
    "comments that are counted and not shown": Near(
        READS["jira has_comment"], answer(200, {"comments": [], "total": 3}), "none of 3 comments"
    ),
    "an answer without its time": Near(
        READS["jira answers"],
        answer(200, ANSWERED | {"fields": ANSWERED["fields"] | {"updated": "yesterday"}}),
        "no moment as updated",
    ),
    "who closed a ticket in a list of words": Near(
        READS["jira answers"],
        answer(200, CLOSED | {"changelog": {"histories": ["by Ada"]}}),
        "no list as histories",
    ),
    "a card without its labels": Near(READS["trello answers"], answer(200, CARD_ELSEWHERE), "no labels"),
    "what happened on another board": Near(
        READS["trello changed"], answer(200, [{"id": "1", "type": "createBoard"}]), "not asked for"
    ),
    "replies of another thread": Near(
        READS["slack replies"],
        answer(200, {"ok": True, "user_id": "U1", "team_id": "T1", "messages": [{"ts": "1.4", "thread_ts": "1.3"}]}),
        "another thread",
    ),
    "a card of another list": Near(
        WRITES["trello create"], answer(200, CARD_ELSEWHERE | {"idList": "l2"}), "another list"
    ),
    "another card": Near(WRITES["trello create"], answer(200, CARD_ELSEWHERE | {"desc": "`m2"}), "another card"),
    "a card that did not move": Near(WRITES["trello move"], answer(200, CARD_ELSEWHERE), "elsewhere"),
    "another comment on a card": Near(
        WRITES["trello comment"],
        answer(200, {"id": "1", "type": "commentCard", "data": {"text": "`other`", "card": {"id": "c1"}}}),
        "another comment",
    ),
    "a comment on another card": Near(
        READS["trello has_comment"],
        answer(200, [{"id": "1", "data": {"text": "x", "card": {"id": "c2"}}}]),
        "on another card",
    ),
    "half a file at Trello": Near(
        WRITES["trello attach"],
        answer(200, {"id": "7", "name": FILE.filename, "url": "https://t", "bytes": "1"}),
        "another size",
    ),
    "another page's version": Near(WRITES["confluence section"], answer(200, FAR_PAGE), "another page"),
    "the version before": Near(WRITES["confluence section"], answer(200, STALE_PAGE), "version 1 where 2 is due"),
    "the version before in Data Center": Near(
        WRITES["confluence datacenter section"], answer(200, STALE_PAGE), "version 1 where 2 is due"
    ),
    "a page of another title": Near(
        WRITES["confluence create"], answer(200, {**FAR_PAGE, "title": "Q"}), "a page titled 'Q'"
    ),
    "pages of other titles": Near(
        READS["confluence find"], answer(200, {"results": [FAR_PAGE]}), "pages of other titles"
    ),
    "a label that is missing": Near(
        WRITES["confluence label"], answer(200, {"results": [{"name": "b"}]}), "lacks the labels a"
    ),
    "half a file on a page": Near(WRITES["confluence attach"], answer(200, {"results": [SMALL_FILE]}), "another size"),
    "a message in another channel": Near(
        WRITES["slack post"], answer(200, POSTED | {"channel": "C0000000X"}), "C0000000X"
    ),
    "another message": Near(
        WRITES["slack post"], answer(200, POSTED | {"message": {"metadata": ANOTHERS_MARK}}), "another message"
    ),
    "a message without its time": Near(WRITES["slack post"], answer(200, POSTED | {"ts": "soon"}), "no timestamp"),
    "an edit of another message": Near(WRITES["slack edit"], answer(200, POSTED), "another message"),
    "an edit in another channel": Near(
        WRITES["slack edit"], answer(200, {**POSTED, "ts": "1.2", "channel": "C0000000X"}), "another channel"
    ),
    "a reply beside its thread": Near(WRITES["slack reply"], answer(200, POSTED), "message"),
    "a reply without its thread": Near(
        WRITES["slack reply"], answer(200, POSTED | {"message": {"ts": "1.3"}}), "no thread_ts"
    ),
    "a reply in another thread": Near(
        WRITES["slack reply"], answer(200, IN_THREAD | {"message": {"thread_ts": "1.1"}}), "another thread"
    ),
    "a search that goes on nowhere": Near(
        READS["jira find"], answer(200, {"issues": [], "isLast": False}), "does not say where"
    ),
    "a history that goes on nowhere": Near(
        READS["slack find"], answer(200, {"ok": True, "messages": [], "has_more": True}), "does not say where"
    ),
    "ok in other words": Near(WRITES["slack post"], answer(200, POSTED | {"ok": "yes"}), "whether it was done"),
    "a webhook that says no": Near(WRITES["webhook post"], answer(200, {"success": False}), "does not say ok"),
    "a webhook that says something": Near(WRITES["webhook post"], raw(b"okay then", "text/plain"), "text/plain"),
}


@pytest.mark.parametrize("near", NEARLY.values(), ids=list(NEARLY))
def test_an_answer_to_another_question_proves_nothing(near: Near, server: Breakable):
    error = failure_of(near.act, server, near.reply)
    assert isinstance(error, RetryableError), error
    assert error.doubtful is (near.act in WRITES.values())
    assert near.says in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"ok", "text/html"),
        raw(b"ok\n", "text/plain; charset=utf-8"),
        raw(b"OK", None),
        raw(b'{"success":true}'),
        raw(b'{"result": "success", "msg": ""}'),
        raw(b'{"ok": true}', "application/json"),
        answer(204),
    ],
)
def test_a_webhook_is_believed_in_the_words_of_slack_rocket_chat_and_zulip(reply: Reply, server: Breakable):
    server.reply = lambda _: reply
    webhook(server.url).post("#ml", "mark", MessageDocument.read("hello"))


def test_json_is_read_by_its_own_encoding_whatever_the_header_says(server: Breakable):
    page = {"id": "5", "title": "Übersicht 日报", "_links": {"webui": "/x"}}
    body = json.dumps({"results": [page]}, ensure_ascii=False).encode()
    server.reply = lambda _: raw(body, "application/json;charset=ISO-8859-1")
    found = confluence_dc(server.url).find("Übersicht 日报")
    assert found is not None
    server.reply = lambda _: raw(body, "application/vnd.atlassian+json")
    assert confluence_dc(server.url).find("Übersicht 日报") == found


def test_a_secret_that_an_unproven_answer_repeats_is_masked(server: Breakable):
    error = failure_of(
        WRITES["slack post"], server, raw(json.dumps({"ok": True, "channel": SECRET, "ts": "1.2"}).encode())
    )
    assert SECRET not in str(error)
    assert "<secret>" in str(error)


def share(server: Breakable, upload: Reply, complete: Reply) -> None:
    def respond(request: Request) -> Reply:
        match request.path.rpartition("/")[2]:
            case "conversations.replies":
                return answer(200, {"ok": True, "messages": [{"ts": "1.2"}]})
            case "files.getUploadURLExternal":
                return answer(200, {"ok": True, "upload_url": f"{server.url}/upload/v1/F7", "file_id": "F7"})
            case "F7":
                return upload
            case _:
                return complete

    server.reply = respond
    slack(server.url).share(Posted("C12345678", "1.2"), FILE)


SHOWN = answer(200, {"ok": True, "files": [{"id": "F7"}]})
TAKEN = raw(b"OK - 4", "text/html")


def test_a_file_is_shared_where_slack_takes_it_and_shows_it(server: Breakable):
    share(server, TAKEN, SHOWN)
    assert server.requests[-1].path.endswith("files.completeUploadExternal")


@pytest.mark.parametrize("upload", [answer(200, LOGIN), raw(b""), raw(b"{}"), raw(b"OK - 4", status=202)])
def test_a_file_that_slack_did_not_take_is_not_shown(upload: Reply, server: Breakable):
    with pytest.raises(RetryableError) as caught:
        share(server, upload, SHOWN)
    assert not caught.value.doubtful
    assert not server.requests[-1].path.endswith("files.completeUploadExternal")


@pytest.mark.parametrize(
    "complete",
    [answer(200, LOGIN), raw(b"{}"), answer(200, {"ok": True, "files": [{"id": "F8"}]}), answer(200, {"ok": True})],
)
def test_a_file_that_slack_does_not_show_is_doubtful(complete: Reply, server: Breakable):
    with pytest.raises(RetryableError) as caught:
        share(server, TAKEN, complete)
    assert caught.value.doubtful


def test_half_a_file_of_the_same_name_is_not_the_file(server: Breakable):
    half = {"id": "7", "filename": FILE.filename, "size": 1}
    there = {"id": "1", "key": "S-1", "fields": {"attachment": [half]}}
    server.reply = lambda request: answer(200, there if request.method == "GET" else [{**half, "id": "8", "size": 4}])
    tracker = jira(server.url)
    tracker.attach("S-1", FILE)
    tracker.attach("S-1", FILE)
    assert len(server.writes) == 1


def test_a_link_that_trello_says_it_dropped_is_looked_for(server: Breakable):
    old = {"id": "a1", "name": "x", "url": "http://old#herald-de7d1b721a1e", "bytes": None}
    new = {"id": "a2", "name": "x", "url": "http://x#herald-de7d1b721a1e", "bytes": None}

    def respond(request: Request) -> Reply:
        return answer(200, {"GET": [old], "POST": new, "DELETE": {}}[request.method])

    server.reply = respond
    with pytest.raises(RetryableError, match="still there"):
        trello(server.url).link("c1", RemoteLink("i", "http://x", "x"))


def repeating(request: Request) -> Reply:
    """Answer every page of a list with the same place for the next."""
    if request.path.endswith("/lists"):
        return answer(200, LISTS[1])
    if request.path.endswith(("/search/jql", "/search")) and "cql" not in request.query:
        return answer(200, {"issues": [], "nextPageToken": "again", "total": 10**9, "isLast": False})
    if request.path.endswith("/comment"):
        return answer(200, {"comments": [{"id": "1", "body": "x"}], "total": 10**9})
    if "conversations" in request.path:
        return answer(200, {"ok": True, "messages": [], "channels": [], "response_metadata": {"next_cursor": "again"}})
    if request.path.endswith("/cards"):
        card = {"id": "c1", "idShort": 4, "shortUrl": "https://t/c", "idList": "l0", "closed": False, "desc": ""}
        return answer(200, [card] * 1000)
    return answer(200, {"results": [], "_links": {"next": "/rest/api/content/search?cursor=again&limit=100"}})


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (jira, lambda t: t.find("m")),
        (jira_dc, lambda t: t.find("m")),
        (trello, lambda t: t.find("m")),
        (confluence, lambda w: w.labelled("a")),
        (confluence_dc, lambda w: w.labelled("a")),
        (slack, lambda c: c.find("C12345678", "mark", NOW)),
        (slack, lambda c: c.has_reply(Posted("C12345678", "1.2"), "mark")),
        (slack, lambda c: c.find("#ml", "mark", NOW)),
    ],
)
def test_pages_that_come_round_again_end_without_an_answer(
    make: Callable[[str], Any], call: Callable[[Any], object], server: Breakable
):
    server.reply = repeating
    with pytest.raises(IntegrationError) as caught:
        call(make(server.url))
    assert not isinstance(caught.value, PermanentError)
    assert len(server.requests) < 5


def test_a_confluence_list_goes_on_where_its_answer_says(server: Breakable):
    def respond(request: Request) -> Reply:
        labels = {"labels": {"results": [{"name": "a"}]}}
        page = {"id": "5", "title": "P", "metadata": labels, "_links": {"webui": "/x"}}
        if "cursor=b%2Fc" in request.query or "cursor=b/c" in request.query:
            return answer(200, {"results": [{**page, "id": "6"}], "_links": {}})
        follow = "/rest/api/content/search?next=true&cursor=b%2Fc&limit=1&start=1&cql=x"
        return answer(200, {"results": [page], "limit": 1, "_links": {"next": follow}})

    server.reply = respond
    assert [page.page_id for page in confluence(server.url).labelled("a")] == ["5", "6"]


def test_an_account_in_netrc_does_not_take_the_place_of_the_token(
    server: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for act in (READS["jira find"], READS["trello find"], READS["confluence datacenter find"], READS["slack find"]):
        perform(act, server, act.proof)
        assert all(SECRET in each.headers["authorization"] for each in server.requests)

"""What Trello's stand-in grants and refuses, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.sandbox import Service
from tests.sandbox.conftest import CLIENT, Caller
from tests.sandbox.page_texts import read, words


@pytest.fixture
def lists(trello, sandbox):
    return {one["name"]: one["id"] for one in trello.get(f"/boards/{sandbox.board_id}/lists").json()}


def new_card(trello, lists, **more):
    answer = trello.post("/cards", params={"idList": lists["To do"], "name": "nDCG fell", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_key_and_token_are_looked_at(trello, sandbox):
    path = f"/boards/{sandbox.board_id}"
    assert trello.get(path, headers={"Authorization": ""}).status_code == 401
    query = {"key": sandbox.trello_key, "token": sandbox.trello_token}
    assert trello.get(path, params=query, headers={"Authorization": ""}).json()["name"] == "Search quality"


def test_a_card_moves_and_is_archived(trello, sandbox, lists):
    card = new_card(trello, lists, desc="**why**", due="2026-11-30")
    moved = trello.put(f"/cards/{card['id']}", params={"idList": lists["Done"], "closed": "true"}).json()
    assert (moved["idList"], moved["closed"], moved["due"]) == (lists["Done"], True, "2026-11-30T00:00:00.000Z")
    assert trello.get(f"/boards/{sandbox.board_id}/cards").json() == []
    assert len(trello.get(f"/boards/{sandbox.board_id}/cards", params={"filter": "all"}).json()) == 1


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"idList": "nonsense"}, 400),
        ({"idList": "0" * 24}, 404),
        ({"desc": "x" * 16_385}, 400),
        ({"name": "x" * 16_385}, 400),
        ({"due": "tomorrow"}, 400),
        ({"pos": "middle"}, 400),
        ({"idLabels": "0" * 24}, 400),
    ],
)
def test_wrong_values_are_refused(trello, lists, values, status):
    assert trello.post("/cards", {"idList": lists["To do"], "name": "x"} | values).status_code == status


def test_a_missing_card_is_not_found(trello):
    assert trello.get(f"/cards/{'0' * 24}").status_code == 404
    assert trello.get("/cards/nonsense!").status_code == 400


def test_comments_are_added_and_edited(trello, lists):
    card = new_card(trello, lists)
    made = trello.post(f"/cards/{card['id']}/actions/comments", params={"text": "one"}).json()
    changed = trello.put(f"/cards/{card['id']}/actions/{made['id']}/comments", params={"text": "two"})
    assert changed.json()["data"]["text"] == "two"
    actions = trello.get(f"/cards/{card['id']}/actions", params={"filter": "commentCard"}).json()
    assert [one["data"]["text"] for one in actions] == ["two"]
    assert trello.post(f"/cards/{card['id']}/actions/comments", {"text": "x" * 16_385}).status_code == 400


def test_labels_are_made_and_put_on(trello, sandbox, lists):
    made = trello.post("/labels", params={"name": "mine", "color": "sky", "idBoard": sandbox.board_id}).json()
    card = new_card(trello, lists)
    assert trello.post(f"/cards/{card['id']}/idLabels", params={"value": made["id"]}).json() == [made["id"]]
    assert trello.post(f"/cards/{card['id']}/idLabels", params={"value": made["id"]}).status_code == 400
    shown = trello.get(f"/cards/{card['id']}", params={"fields": "labels,idLabels"}).json()
    assert shown["labels"][0]["name"] == "mine"
    wrong = {"name": "x", "color": "mauve", "idBoard": sandbox.board_id}
    assert trello.post("/labels", params=wrong).status_code == 400


def test_files_and_links_hang_on_a_card(trello, lists):
    card = new_card(trello, lists)
    path = f"/cards/{card['id']}/attachments"
    file = trello("POST", path, files={"file": ("a.png", b"\x89PNG", "image/png")}, params={"setCover": "true"}).json()
    link = trello.post(path, params={"url": "https://x.invalid/", "name": "Report"}).json()
    assert trello.post(path, params={"url": "javascript:alert(1)"}).status_code == 400
    assert CLIENT.get(file["url"]).content == b"\x89PNG"
    assert [one["name"] for one in trello.get(path).json()] == ["a.png", "Report"]
    assert link["isUpload"] is False
    assert trello.get(f"/cards/{card['id']}").json()["idAttachmentCover"] == file["id"]


def test_search_finds_whole_words_after_its_lag(trello, sandbox, clock, lists):
    sandbox.change(Service.TRELLO, search_lag=10.0)
    card = new_card(trello, lists, desc="herald-m1 marker")
    query = {"query": '"herald-m1" is:open', "modelTypes": "cards", "idBoards": sandbox.board_id}
    assert trello.get("/search", params=query).json()["cards"] == []
    clock.pass_by(11)
    assert [one["id"] for one in trello.get("/search", params=query).json()["cards"]] == [card["id"]]
    assert trello.get("/search", params={"query": "mark"}).json()["cards"] == []
    assert len(trello.get("/search", params={"query": "mark", "partial": "true"}).json()["cards"]) == 1


def test_the_token_may_ask_so_often_and_no_more(trello, sandbox, clock):
    sandbox.change(Service.TRELLO, requests_per_10s=2)
    path = f"/boards/{sandbox.board_id}"
    assert [trello.get(path).status_code for _ in range(3)] == [200, 200, 429]
    clock.pass_by(11)
    assert trello.get(path).status_code == 200


def test_a_read_only_member_writes_nothing(trello, sandbox, lists):
    sandbox.change(Service.TRELLO, read_only=True)
    assert trello.post("/cards", params={"idList": lists["To do"], "name": "x"}).status_code == 401


def test_board_and_card_read_as_people_expect(trello, sandbox, lists):
    label = trello.get(f"/boards/{sandbox.board_id}/labels").json()[0]["id"]
    card = new_card(
        trello, lists, desc="### Metrics\n\n- nDCG **fell**\n- \\*literal\\* <b>", idLabels=label, due="2026-11-30"
    )
    trello.post(f"/cards/{card['id']}/actions/comments", params={"text": "Still `there`."})
    board = read(trello.get(f"/boards/{sandbox.board_id}").json()["url"])
    assert [words(one) for one in board.xpath("//section//h2")] == ["To do 1", "In progress 0", "Done 0"]
    (tile,) = board.find_class("tile")
    assert [words(one) for one in tile.xpath(".//span[not(*)]")] == [
        "regression",
        "nDCG fell",
        "Due 2026-11-30",
        "1 comment",
    ]
    shown = read(card["url"])
    description = shown.get_element_by_id("description")
    assert [words(one) for one in description.xpath(".//li")] == ["nDCG fell", "*literal* <b>"]
    assert "Still there." in words(shown.find_class("comment")[0])


def test_actions_tell_who_did_what_since_when(trello, sandbox, clock):
    ada = sandbox.seed.people[0]
    known = {"key": sandbox.trello_key, "token": ada.trello_token}
    first = trello.get(f"/boards/{sandbox.board_id}/lists").json()[0]["id"]
    card = trello.post("/cards", params={"idList": first, "name": "nDCG fell"}).json()["id"]
    clock.pass_by(60)
    since = datetime.fromtimestamp(clock.now - 1, UTC).isoformat()
    said = Caller(sandbox.trello_url).post(f"/cards/{card}/actions/comments", params=known | {"text": "Why?"}).json()
    trello.post(f"/cards/{card}/idMembers", params={"value": ada.trello_member})
    shown = trello.get(f"/boards/{sandbox.board_id}/actions", params={"since": since}).json()
    assert [each["type"] for each in shown] == ["addMemberToCard", "commentCard"]
    assert [each["memberCreator"]["username"] for each in shown] == ["herald", "ada"]
    older = trello.get(f"/cards/{card}/actions", params={"filter": "all", "before": said["id"]}).json()
    assert [each["type"] for each in older] == ["createCard"]
    assert trello.get(f"/boards/{sandbox.board_id}/actions", params={"since": "soon"}).status_code == 400

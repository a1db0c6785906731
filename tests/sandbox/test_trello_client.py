"""What people do on a board, through py-trello, whose host is changed on the way out."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
import requests
from trello import ResourceUnavailable, TrelloClient, Unauthorized

from tests.sandbox.conftest import recorded


@pytest.fixture
def redirected(sandbox):
    """Return a session that finds the stand-in where the client asks Trello itself."""

    class Redirected(requests.Session):
        def request(self, method, url, **given):
            return super().request(method, url.replace("https://api.trello.com/1", sandbox.trello_url), **given)

    with recorded(Redirected()) as session:
        yield session


@pytest.fixture
def client(sandbox, redirected):
    return TrelloClient(api_key=sandbox.trello_key, api_secret=sandbox.trello_token, http_service=redirected)


@pytest.fixture
def board(client):
    return client.list_boards()[0]


@pytest.fixture
def lists(board):
    return {one.name: one for one in board.open_lists()}


@pytest.fixture
def card(lists):
    return lists["To do"].add_card("nDCG fell", desc="**why**")


def test_a_card_is_made_and_read_again(client, card, lists):
    read = client.get_card(card.id)
    assert (read.name, read.description, read.list_id) == ("nDCG fell", "**why**", lists["To do"].id)
    assert (read.labels, read.countCheckItems, read.countCheckLists) == ([], 0, 0)
    card.fetch()
    assert card.checklists == card.comments == card.attachments == card.plugin_data == []


def test_who_reads_has_an_address_that_only_they_see(client):
    me = client.get_member("me")
    assert (me.username, me.email) == ("herald", "herald@example.invalid")


def test_a_card_moves_and_tells_where_it_was(card, lists):
    card.change_list(lists["Done"].id)
    card.fetch_actions("updateCard:idList")
    assert [one["destination"]["name"] for one in card.list_movements()] == ["Done"]
    assert [one.id for one in lists["Done"].list_cards()] == [card.id]
    card.fetch()
    assert card.get_list().name == "Done"


def test_each_field_is_changed_by_itself(client, card):
    card.set_name("Recall fell")
    card.set_description("since Monday")
    card.set_due(datetime(2026, 11, 30, 12, tzinfo=UTC))
    card.set_due_complete()
    card.set_pos("top")
    read = client.get_card(card.id)
    assert (read.name, read.description, read.is_due_complete) == ("Recall fell", "since Monday", True)
    assert read.due.startswith("2026-11-30")
    card.remove_due()
    assert client.get_card(card.id).due is None


def test_comments_are_made_changed_and_taken_back(card):
    said = card.comment("seen")
    card.update_comment(said["id"], "seen twice")
    assert [one["data"]["text"] for one in card.get_comments()] == ["seen twice"]
    card.delete_comment(said)
    assert card.get_comments() == []


def test_labels_are_made_put_on_and_taken_off(client, board, card):
    label = board.add_label("urgent", "purple")
    card.add_label(label)
    card.create_label("flaky", "sky")
    assert [one.name for one in client.get_card(card.id).labels] == ["urgent", "flaky"]
    card.remove_label(label)
    board.delete_label(label.id)
    assert [one.name for one in board.get_labels()] == ["regression", "data quality", "flaky"]
    assert client.get_label(board.get_labels()[0].id, board.id).color == "red"


def test_files_and_addresses_are_attached_and_taken_off(card):
    card.attach(name="log.txt", mimeType="text/plain", file=io.BytesIO(b"step 1"))
    card.attach(name="run", url="https://mlflow.example/run")
    kept = card.get_attachments()
    assert [(one.name, one.is_upload) for one in kept] == [("log.txt", True), ("run", False)]
    card.remove_attachment(kept[0].id)
    assert [one["name"] for one in card.fetch_attachments(force=True)] == ["run"]


def test_people_are_put_on_a_card(client, board, card):
    member = next(each for each in board.all_members() if each.username == "ada")
    card.add_member(member)
    assert client.get_card(card.id).member_ids == [member.id]
    card.remove_member(member)
    assert client.get_card(card.id).member_ids == []


def test_cards_are_searched_for_archived_and_deleted(client, board, card):
    (found,) = client.search("nDCG", models=["cards"], board_ids=[board.id])
    assert (found.id, found.board.name) == (card.id, "Search quality")
    card.set_closed(True)
    assert (board.open_cards(), [one.id for one in board.closed_cards()]) == ([], [card.id])
    card.delete()
    with pytest.raises(ResourceUnavailable, match="not found"):
        client.get_card(card.id)


def test_lists_are_made_renamed_and_closed(board):
    made = board.add_list("Parked", pos="bottom")
    made.set_name("Later")
    assert board.get_list(made.id).name == "Later"
    made.close()
    assert [one.name for one in board.closed_lists()] == ["Later"]


def test_all_cards_of_a_list_are_moved_and_archived(board, lists, card):
    lists["To do"].move_all_cards(lists["Done"])
    assert [one.id for one in lists["Done"].list_cards()] == [card.id]
    lists["Done"].archive_all_cards()
    assert board.open_cards() == []


def test_what_happened_on_a_board_is_told_the_newest_first(board, card):
    card.comment("seen")
    assert [one["type"] for one in board.fetch_actions("all")] == ["commentCard", "createCard"]


def test_wrong_keys_and_unknown_fields_are_refused(sandbox, redirected, client, card):
    stranger = TrelloClient(api_key=sandbox.trello_key, api_secret="wrong", http_service=redirected)
    with pytest.raises(Unauthorized):
        stranger.list_boards()
    with pytest.raises(ResourceUnavailable):
        client.fetch_json(f"/cards/{card.id}/mood", http_method="PUT", post_args={"value": "good"})
    with pytest.raises(ResourceUnavailable):
        client.fetch_json(f"/cards/{card.id}/name", http_method="PUT", post_args={"text": "without its name"})

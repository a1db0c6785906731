"""Trello: people, and who is on a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.trello.arguments import given_values, ids_of, may_write, only_fields
from bot.sandbox.trello.board_json import member_json
from bot.sandbox.trello.board_rows import card_or_refuse, change_card, check_board, index_card
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Account

routes = Routes()


def find_member(call: Call, wanted: str) -> Account | None:
    """Find somebody by id or user name; `me` is who asks."""
    if wanted == "me":
        return call.caller
    return next((one for one in call.seed.accounts if wanted in (call.seed.trello_id(one), one.name)), None)


@routes.on("GET", "/1/members/<member>")
def get_member(call: Call, member: str) -> Response:
    found = find_member(call, member)
    if found is None:
        raise call.refuse(404, "The requested resource was not found.")
    answer = member_json(call, found)
    if member == "me":
        answer["email"] = found.email  # of others nobody is told
    return json_answer(only_fields(call, answer))


def members_on(call: Call, row: Any) -> list[Account]:
    return [one for one in call.seed.accounts if call.seed.trello_id(one) in row.members]


@routes.on("GET", "/1/cards/<number>/members")
def get_members_of_card(call: Call, number: str) -> Response:
    row = card_or_refuse(call, number)
    return json_answer([only_fields(call, member_json(call, one)) for one in members_on(call, row)])


@routes.on("POST", "/1/cards/<number>/idMembers")
@routes.on("POST", "/1/cards/<number>/members")
def add_member(call: Call, number: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    wanted = ids_of(call, given_values(call), "value") or []
    if len(wanted) != 1 or find_member(call, wanted[0]) is None:
        raise call.refuse(400, "invalid value for value")
    if wanted[0] in row.members:
        raise call.refuse(400, "member is already on the card")
    change_card(call, row, {"members": [*row.members, *wanted]})
    row = card_or_refuse(call, number)
    index_card(call, row)
    return json_answer([member_json(call, one) for one in members_on(call, row)])


@routes.on("DELETE", "/1/cards/<number>/idMembers/<member>")
def remove_member(call: Call, number: str, member: str) -> Response:
    may_write(call)
    row = card_or_refuse(call, number)
    if member not in row.members:
        raise call.refuse(400, "member is not on the card")
    change_card(call, row, {"members": [one for one in row.members if one != member]})
    return json_answer([])


@routes.on("GET", "/1/boards/<board>/members")
def get_members(call: Call, board: str) -> Response:
    check_board(call, board)
    return json_answer([only_fields(call, member_json(call, one)) for one in call.seed.accounts])

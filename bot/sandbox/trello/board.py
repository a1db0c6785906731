"""Trello: the board itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.trello.arguments import only_fields
from bot.sandbox.trello.board_json import board_json
from bot.sandbox.trello.board_rows import check_board
from bot.sandbox.trello.members import find_member
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Account

routes = Routes()


@routes.on("GET", "/1/boards/<board>")
def get_board(call: Call, board: str) -> Response:
    check_board(call, board)
    shown = only_fields(call, board_json(call))
    wanted = call.request.args.get("memberships", "")
    if wanted in ("me", "all"):
        people = call.seed.accounts if wanted == "all" else (call.caller,)
        shown["memberships"] = [_membership_json(call, one) for one in people]
    return json_answer(shown)


def _membership_json(call: Call, account: Account) -> dict[str, Any]:
    rules, member = call.rulebook.trello, call.seed.trello_id(account)
    looks_on = account.name in rules.observers or (rules.read_only and account == call.seed.bot)
    shown = {"id": member, "idMember": member, "memberType": "observer" if looks_on else "normal"}
    return shown | {"unconfirmed": False, "deactivated": False}


@routes.on("GET", "/1/boards/<board>/customFields")
@routes.on("GET", "/1/boards/<board>/checklists")
def get_nothing_of_board(call: Call, board: str) -> Response:
    check_board(call, board)
    return json_answer([])


@routes.on("GET", "/1/members/<member>/boards")
@routes.on("GET", "/1/members/<member>/boards/all")
def get_boards_of_member(call: Call, member: str) -> Response:
    if find_member(call, member) is None:
        raise call.refuse(404, "The requested resource was not found.")
    wants_closed = call.request.args.get("filter") == "closed"
    return json_answer([] if wants_closed else [only_fields(call, board_json(call))])

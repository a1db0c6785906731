"""Trello: the board itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.trello.arguments import only_fields
from bot.sandbox.trello.board_json import board_json
from bot.sandbox.trello.board_rows import check_board
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()


@routes.on("GET", "/1/boards/<board>")
def get_board(call: Call, board: str) -> Response:
    check_board(call, board)
    shown = only_fields(call, board_json(call))
    if call.request.args.get("memberships") in ("me", "all"):
        kind = "observer" if call.rulebook.trello.read_only else "normal"
        member = {"id": call.seed.trello_member, "idMember": call.seed.trello_member, "memberType": kind}
        shown["memberships"] = [member | {"unconfirmed": False, "deactivated": False}]
    return json_answer(shown)


@routes.on("GET", "/1/boards/<board>/customFields")
@routes.on("GET", "/1/boards/<board>/checklists")
def get_nothing_of_board(call: Call, board: str) -> Response:
    check_board(call, board)
    return json_answer([])


@routes.on("GET", "/1/members/<member>/boards")
@routes.on("GET", "/1/members/<member>/boards/all")
def get_boards_of_member(call: Call, member: str) -> Response:
    if member not in ("me", call.seed.trello_member, call.seed.bot.name):
        raise call.refuse(404, "The requested resource was not found.")
    wants_closed = call.request.args.get("filter") == "closed"
    return json_answer([] if wants_closed else [only_fields(call, board_json(call))])

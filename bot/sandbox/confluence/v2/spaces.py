"""Version 2 of Confluence Cloud's interface: spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.confluence.page_rows import find_space, home_page, visible_spaces
from bot.sandbox.confluence.v2.content import operations_json
from bot.sandbox.confluence.v2.paging import API, ids_of, paged_answer
from bot.sandbox.web.call import Call, iso_time, json_answer, row_id
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Space

routes = Routes()


def _space_json(call: Call, space: Space) -> dict[str, Any]:
    home = home_page(call, space.id)
    return {
        "id": space.id,
        "key": space.key,
        "name": space.name,
        "type": "global",
        "status": "current",
        "authorId": call.seed.people[0].account_id,
        "createdAt": iso_time(home.created if home else call.now),
        "homepageId": str(home.id) if home else "",
        "_links": {"webui": f"/spaces/{space.key}"},
    }


@routes.on("GET", f"{API}/spaces")
def list_spaces(call: Call) -> Response:
    keys, ids = call.words("keys"), ids_of(call, "ids")
    found = [one for one in visible_spaces(call) if (not keys or one.key in keys) and (not ids or int(one.id) in ids)]
    return paged_answer(call, [_space_json(call, one) for one in found])


def space_or_refuse(call: Call, number: str, status: int = 404) -> Space:
    if row_id(number) is None:
        raise call.refuse(400, f"The space id '{number[:40]}' must be a whole number.")
    space = find_space(call, number=number)
    if space is None:
        raise call.refuse(status, f"The space {number} does not exist or you may not see it.")
    return space


@routes.on("GET", f"{API}/spaces/<number>")
def get_space(call: Call, number: str) -> Response:
    answer = _space_json(call, space_or_refuse(call, number))
    if call.flag("include-operations"):
        answer["operations"] = operations_json(call, f"/wiki/api/v2/spaces/{number}/operations")
    return json_answer(answer)

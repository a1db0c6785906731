"""Confluence's older interface: spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_rows import find_space, home_page, visible_spaces
from bot.sandbox.confluence.v1.content import content_json, listed, space_json
from bot.sandbox.web.call import Call, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Space

routes = DeploymentRoutes()


def space_or_refuse(call: Call, given: Any) -> Space:
    key = given.get("key") if isinstance(given, dict) else None
    space = find_space(call, key=key) if isinstance(key, str) else None
    if space is None:
        raise call.refuse(404, f"No space with key : {key}")
    return space


@routes.datacenter.on("GET", "/rest/api/space")
def list_spaces(call: Call) -> Response:
    keys = call.words("spaceKey")
    found = [one for one in visible_spaces(call) if not keys or one.key in keys]
    return json_answer(listed(call, [_expanded_space(call, one) for one in found]))


def _expanded_space(call: Call, space: Space) -> dict[str, Any]:
    answer = space_json(call, space)
    home = home_page(call, space.id)
    if "homepage" in call.words("expand") and home is not None:
        answer["homepage"] = content_json(call, home, ())
    return answer


@routes.datacenter.on("GET", "/rest/api/space/<key>")
def get_space(call: Call, key: str) -> Response:
    return json_answer(_expanded_space(call, space_or_refuse(call, {"key": key})))

"""What the robots were sent, as the people in the group see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.sandbox.robots import shown
from bot.sandbox.robots.post_rows import posts
from bot.sandbox.rules import Service
from bot.sandbox.web.html_pages import Moment, face, moment, page
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from markupsafe import Markup
    from werkzeug.wrappers import Response

    from bot.sandbox.web.call import Call

routes = Routes()

NAMES = {
    Service.TEAMS: "Microsoft Teams",
    Service.FEISHU: "Feishu",
    Service.DINGTALK: "DingTalk",
    Service.WECOM: "WeCom",
}
_HUES = {"attention": "red", "warning": "orange", "good": "green", "red": "red", "orange": "orange", "green": "green"}


@dataclass(frozen=True, slots=True)
class ShownCard:
    number: int
    hue: str
    at: Moment
    is_edited: bool
    lines: list[Markup]


@routes.on("GET", "/", is_open=True)
def group(call: Call) -> Response:
    name = NAMES[call.service]
    cards = [_shown(call.service, row) for row in posts(call)]
    author = face(call.seed.bot)
    return page("robots.html.j2", name=name, group=call.seed.robots.group, cards=cards, author=author)


def _shown(service: Service, row: Any) -> ShownCard:
    said: dict[str, Any] = row.said
    match service:
        case Service.TEAMS:
            hue, lines = next((str(each.get("style")) for each in said["body"]), ""), shown.adaptive(said["body"])
        case Service.FEISHU:
            hue, lines = str((said.get("header") or {}).get("template")), shown.feishu(said)
        case _:
            hue, lines = "", shown.markdown(said["text"])
    return ShownCard(row.id, _HUES.get(hue, "blue"), moment(row.at), row.edited is not None, lines)

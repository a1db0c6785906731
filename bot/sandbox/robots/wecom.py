"""WeCom: the robot of a group: 20 messages a minute, of 4,096 bytes of Markdown."""

from __future__ import annotations

from werkzeug.wrappers import Response

from bot.sandbox.robots.post_rows import add_post, is_too_fast
from bot.sandbox.robots.refusals import robot_error
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Routes

routes = Routes()

_LARGEST = 4096  # bytes


@routes.on("POST", "/cgi-bin/webhook/send")
def send(call: Call) -> Response:
    key, rules = call.request.args.get("key", ""), call.rulebook.robots(call.service)
    if rules.revoked or not same(key, call.seed.robots.wecom_key):
        return robot_error(93000, "invalid webhook url, hint: [1700000000123456789], from ip: 127.0.0.1")
    body = call.json_object()
    text = body.get("markdown") if body.get("msgtype") == "markdown" else None
    content = text.get("content") if isinstance(text, dict) else None
    if not isinstance(content, str) or not content:
        return robot_error(40008, "invalid message type")
    if len(content.encode()) > _LARGEST:
        return robot_error(40058, f"markdown.content exceed max length {_LARGEST}. invalid Request Parameter")
    if is_too_fast(call, key):
        return robot_error(45009, "api freq out of limit")
    add_post(call, key, {"title": "", "text": content})
    return json_answer({"errcode": 0, "errmsg": "ok"})

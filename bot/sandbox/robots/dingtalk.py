"""DingTalk: a group's custom robot, signed and silent for 10 minutes where it says too much, and an app's cards."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.robots.post_rows import add_post, edit_post, is_silent, is_too_fast, post_of
from bot.sandbox.robots.refusals import dingtalk_error, robot_error
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Routes

routes = Routes()

_LARGEST = 20_000  # bytes
_HOUR, _SILENCE = 3600.0, 600.0
_SPACE = "dtv1.card//IM_GROUP."


@routes.on("POST", "/robot/send")
def custom_robot(call: Call) -> Response:
    key, rules, seed = call.request.args.get("access_token", ""), call.rulebook.robots(call.service), call.seed.robots
    if rules.revoked or not same(key, seed.dingtalk_hook):
        return robot_error(300001, "token is not exist")
    if rules.disabled:
        return robot_error(400102, "description:机器人已停用;solution:请联系管理员启用机器人;")
    if not _is_signed(call):
        return robot_error(310000, "description:机器人发送签名不匹配;solution:请确认签名和时间戳都放在网址中;")
    body = call.json_object()
    text = body.get("markdown") if body.get("msgtype") == "markdown" else None
    if not isinstance(text, dict) or not text.get("title") or not text.get("text"):
        return robot_error(40035, "缺少参数 markdown")
    if len(call.request.get_data()) > _LARGEST:
        return robot_error(460101, "message too long, exceed 20000 bytes")
    if is_silent(call, key, _SILENCE) or is_too_fast(call, key):
        if not is_silent(call, key, _SILENCE):
            add_post(call, key, {}, taken=False)
        return robot_error(130101, "send too fast, exceed 20 times per minute")
    add_post(call, key, text)
    return json_answer({"errcode": 0, "errmsg": "ok"})


def _is_signed(call: Call) -> bool:
    said, secret = call.request.args.get("timestamp", ""), call.seed.robots.signing_secret
    if not said.isascii() or not said.isdigit() or abs(int(said[:18]) / 1000 - call.now) > _HOUR:
        return False
    digest = hmac.digest(secret.encode(), f"{said}\n{secret}".encode(), hashlib.sha256)
    return same(call.request.args.get("sign", ""), base64.b64encode(digest).decode())


@routes.on("POST", "/v1.0/oauth2/accessToken")
def access_token(call: Call) -> Response:
    body, seed = call.json_object(), call.seed.robots
    if body.get("appKey") != seed.dingtalk_app or not same(str(body.get("appSecret")), seed.app_secret):
        return dingtalk_error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
    return json_answer({"accessToken": seed.app_token, "expireIn": 7200})


@routes.on("POST", "/v1.0/card/instances/createAndDeliver")
def create_and_deliver(call: Call) -> Response:
    body, refusal = call.json_object(), _refusal(call)
    if refusal:
        return refusal
    track, space, card = str(body.get("outTrackId") or ""), str(body.get("openSpaceId") or ""), _card_in(body)
    if not track or not body.get("cardTemplateId") or card is None:
        return dingtalk_error(400, "param.error", "outTrackId, cardTemplateId or cardData is missing")
    group = space.removeprefix(_SPACE)
    is_there = space.startswith(_SPACE) and group == call.seed.robots.dingtalk_group
    if is_there and post_of(call, key=track) is None:
        add_post(call, group, card, key=track)
    delivered = {"spaceId": space, "spaceType": "IM_GROUP", "success": is_there}
    delivered |= {} if is_there else {"errorMsg": "the robot is not in the conversation"}
    return json_answer({"success": True, "result": {"outTrackId": track, "deliverResults": [delivered]}})


@routes.on("PUT", "/v1.0/card/instances")
def update_card(call: Call) -> Response:
    body, refusal = call.json_object(), _refusal(call)
    if refusal:
        return refusal
    row, card = post_of(call, key=str(body.get("outTrackId"))), _card_in(body)
    if row is None:
        return dingtalk_error(400, "param.cardNotExist", "the card does not exist")
    if card is None:
        return dingtalk_error(400, "param.error", "cardData is missing")
    edit_post(call, row, row.said | card)
    return json_answer({"success": True, "result": True})


def _refusal(call: Call) -> Response | None:
    rules = call.rulebook.robots(call.service)
    if rules.revoked or not same(
        call.request.headers.get("x-acs-dingtalk-access-token", ""), call.seed.robots.app_token
    ):
        return dingtalk_error(401, "InvalidAuthentication", "不合法的access_token")
    if rules.disabled:
        word = "Forbidden.AccessDenied.AccessTokenPermissionDenied"
        return dingtalk_error(403, word, "应用尚未开通所需的权限：[Card.Instance.Write]")
    return None


def _card_in(body: dict[str, Any]) -> dict[str, Any] | None:
    data = body.get("cardData")
    card = data.get("cardParamMap") if isinstance(data, dict) else None
    is_text = isinstance(card, dict) and all(isinstance(value, str) for value in card.values())
    return {"title": card.get("title", ""), "text": card.get("markdown", "")} if is_text and card else None

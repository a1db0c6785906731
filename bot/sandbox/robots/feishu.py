"""Feishu: a group's custom robot with its signature, and an app's bot whose cards are edited for 14 days."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.robots.post_rows import add_post, edit_post, is_too_fast, post_of
from bot.sandbox.robots.refusals import feishu_error
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Routes

routes = Routes()

_HOOK_BYTES, _CARD_BYTES = 20 * 1024, 30 * 1024
_HOUR, _FOURTEEN_DAYS = 3600.0, 14 * 86400.0
_ID = "om_sandbox"


@routes.on("POST", "/open-apis/bot/v2/hook/<key>")
def custom_robot(call: Call, key: str) -> Response:
    rules, seed, body = call.rulebook.robots(call.service), call.seed.robots, call.json_object()
    if rules.revoked or not same(key, seed.feishu_hook):
        return feishu_error(19001, "param invalid: incoming webhook access token invalid")
    if not _is_signed(call, body):
        return feishu_error(19021, "sign match fail or timestamp is not within one hour from current time")
    if len(call.request.get_data()) > _HOOK_BYTES or not _is_card(body.get("card")):
        return feishu_error(9499, "Bad Request")
    if is_too_fast(call, key):
        return feishu_error(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
    add_post(call, key, body["card"])
    return json_answer({"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"})


def _is_signed(call: Call, body: dict[str, Any]) -> bool:
    said = str(body.get("timestamp", ""))
    if not said.isascii() or not said.isdigit() or abs(int(said[:15]) - call.now) > _HOUR:
        return False
    key = f"{said}\n{call.seed.robots.signing_secret}".encode()
    return same(str(body.get("sign")), base64.b64encode(hmac.digest(key, b"", hashlib.sha256)).decode())


@routes.on("POST", "/open-apis/auth/v3/tenant_access_token/internal")
def tenant_token(call: Call) -> Response:
    body, seed = call.json_object(), call.seed.robots
    if body.get("app_id") != seed.feishu_app:
        return feishu_error(10003, "invalid param")
    if not same(str(body.get("app_secret")), seed.app_secret):
        return feishu_error(10014, "app secret invalid")
    return json_answer({"code": 0, "msg": "ok", "tenant_access_token": seed.app_token, "expire": 7200})


@routes.on("GET", "/open-apis/bot/v3/info")
def bot_info(call: Call) -> Response:
    refusal = _refusal(call)
    return refusal or json_answer({"code": 0, "msg": "ok", "bot": {"app_name": call.seed.bot.display_name}})


@routes.on("GET", "/open-apis/im/v1/chats/<chat>")
def show_chat(call: Call, chat: str) -> Response:
    refusal = _refusal(call)
    if refusal:
        return refusal
    if chat != call.seed.robots.feishu_chat:
        return feishu_error(232011, "Operator can NOT be out of the chat.", 400)
    return json_answer({"code": 0, "msg": "success", "data": {"name": call.seed.robots.group}})


@routes.on("POST", "/open-apis/im/v1/messages")
def create_message(call: Call) -> Response:
    body, refusal = call.json_object(), _refusal(call)
    if refusal:
        return refusal
    if call.request.args.get("receive_id_type") != "chat_id" or body.get("receive_id") != call.seed.robots.feishu_chat:
        return feishu_error(230002, "Bot/User can NOT be out of the chat.", 400)
    there = post_of(call, key=str(body["uuid"])) if body.get("uuid") else None
    if there is not None and call.now - there.at < _HOUR:
        return _message(call, there.id)
    card = _card_in(body)
    if isinstance(card, Response):
        return card
    if is_too_fast(call, str(body["receive_id"])):
        return feishu_error(230020, "This operation triggers the frequency limit.", 400)
    key = None if there is not None else body.get("uuid")  # one that is older than an hour counts no longer
    return _message(call, add_post(call, str(body["receive_id"]), card, key=key))


@routes.on("PATCH", "/open-apis/im/v1/messages/<message_id>")
def patch_message(call: Call, message_id: str) -> Response:
    refusal = _refusal(call)
    if refusal:
        return refusal
    number = message_id.removeprefix(_ID)
    row = post_of(call, number=int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None  # noqa: PLR2004
    if row is None:
        return feishu_error(230001, "Your request contains an invalid request parameter, ext=invalid message_id.", 400)
    if call.now - row.at > _FOURTEEN_DAYS:
        return feishu_error(230031, "Message can only be modified within 14 days after sending.", 400)
    card = _card_in(call.json_object())
    if isinstance(card, Response):
        return card
    if not (row.said.get("config") or {}).get("update_multi"):
        return feishu_error(230001, "Your request contains an invalid request parameter, ext=not a shared card.", 400)
    edit_post(call, row, card)
    return json_answer({"code": 0, "msg": "success", "data": {}})


def _refusal(call: Call) -> Response | None:
    given, rules = call.request.authorization, call.rulebook.robots(call.service)
    if given is None or given.type != "bearer":
        return feishu_error(99991661, "Missing access token for authorization. Please make a request with token.", 400)
    if rules.revoked or not same(given.token or "", call.seed.robots.app_token):
        return feishu_error(99991663, "Invalid access token for authorization. Please make a request with token.", 400)
    if rules.disabled:
        return feishu_error(230006, "Bot ability is not activated.", 400)
    return None


def _card_in(body: dict[str, Any]) -> dict[str, Any] | Response:
    content = body.get("content")
    if not isinstance(content, str) or body.get("msg_type", "interactive") != "interactive":
        return feishu_error(230001, "Your request contains an invalid request parameter.", 400)
    if len(json.dumps(content, ensure_ascii=False).encode()) > _CARD_BYTES:
        return feishu_error(230025, "The length of the message content reaches its limit.", 400)
    try:
        card = json.loads(content)
    except (ValueError, RecursionError):
        card = None
    if not _is_card(card):
        return feishu_error(
            230099, "Failed to create card content, ext=ErrCode: 11310; ErrMsg: card content error.", 400
        )
    assert isinstance(card, dict)
    return card


def _is_card(card: Any) -> bool:
    elements = card.get("elements") if isinstance(card, dict) else None
    known = {"div", "hr", "note"}
    return isinstance(elements, list) and all(isinstance(one, dict) and one.get("tag") in known for one in elements)


def _message(call: Call, number: int) -> Response:
    data = {"message_id": f"{_ID}{number}", "chat_id": call.seed.robots.feishu_chat, "msg_type": "interactive"}
    return json_answer({"code": 0, "msg": "success", "data": data})

"""Slack's people, and the methods that say who asks: users.*, bots.*, team.*, auth.test, api.test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.slack.method_calls import api_error, granted_scopes, paged, read_arguments, read_open
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.seed import Account

routes = Routes()


@routes.on("POST", "/api/api.test")
@routes.on("GET", "/api/api.test")
def api_test(call: Call) -> Response:
    """Give back what was given; asks for no token."""
    given = read_open(call)
    shown = {name: value for name, value in given.values.items() if name != "token"}
    if error := given.text("error"):
        raise api_error(error, args=shown)
    return json_answer({"ok": True, **({"args": shown} if shown else {})})


@routes.on("POST", "/api/auth.test")
@routes.on("GET", "/api/auth.test")
def auth_test(call: Call) -> Response:
    read_arguments(call)
    seed = call.seed
    answer = {"ok": True, "url": f"{call.base}/", "team": seed.slack_team_name, "user": call.caller.name}
    answer |= {"team_id": seed.slack_team, "user_id": slack_user(call, call.caller)}
    answer |= {"bot_id": seed.slack_bot_id} if call.caller.is_bot else {}
    return json_answer(
        answer | {"is_enterprise_install": False}, headers={"X-OAuth-Scopes": ",".join(granted_scopes(call))}
    )


def _user_json(call: Call, account: Account) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "real_name": account.display_name,
        "real_name_normalized": account.display_name,
        "display_name": account.name,
        "display_name_normalized": account.name,
        "team": call.seed.slack_team,
        "title": "",
        "phone": "",
        "status_text": "",
        "status_emoji": "",
        "avatar_hash": "",
    }
    if account.is_bot:
        profile |= {"bot_id": call.seed.slack_bot_id, "api_app_id": "A0HERALD0", "always_active": False}
    elif "users:read.email" in granted_scopes(call):
        profile["email"] = account.email
    return {
        "id": slack_user(call, account),
        "team_id": call.seed.slack_team,
        "name": account.name,
        "real_name": account.display_name,
        "deleted": False,
        "color": "9f69e7",
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "profile": profile,
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": account.name in call.rulebook.slack.guests,
        "is_ultra_restricted": False,
        "is_bot": account.is_bot,
        "is_app_user": False,
        "updated": 1_760_000_000,
    }


def slack_user(call: Call, account: Account) -> str:
    return call.seed.slack_bot_user if account.is_bot else account.slack_user


@routes.on("POST", "/api/users.list")
@routes.on("GET", "/api/users.list")
def list_users(call: Call) -> Response:
    arguments = read_arguments(call, "users:read")
    page, cursor = paged(arguments, list(call.seed.accounts))
    members = [_user_json(call, one) for one in page]
    answer = {"ok": True, "members": members, "cache_ts": int(call.now)}
    return json_answer(answer | {"response_metadata": {"next_cursor": cursor}})


@routes.on("POST", "/api/users.info")
@routes.on("GET", "/api/users.info")
def user_info(call: Call) -> Response:
    wanted = read_arguments(call, "users:read").text("user")
    return json_answer({"ok": True, "user": _user_json(call, _account(call, wanted))})


def _account(call: Call, wanted: str | None) -> Account:
    found = next((one for one in call.seed.accounts if slack_user(call, one) == wanted), None)
    if found is None:
        raise api_error("user_not_found")
    return found


@routes.on("POST", "/api/users.lookupByEmail")
@routes.on("GET", "/api/users.lookupByEmail")
def look_up_by_email(call: Call) -> Response:
    wanted = (read_arguments(call, "users:read.email").text("email") or "").casefold()
    found = next((one for one in call.seed.people if one.email.casefold() == wanted), None)
    if found is None:
        raise api_error("users_not_found")
    return json_answer({"ok": True, "user": _user_json(call, found)})


@routes.on("POST", "/api/users.getPresence")
@routes.on("GET", "/api/users.getPresence")
def presence(call: Call) -> Response:
    arguments = read_arguments(call, "users:read")
    _account(call, arguments.text("user") or call.seed.slack_bot_user)
    return json_answer({"ok": True, "presence": "active"})


@routes.on("POST", "/api/users.profile.get")
@routes.on("GET", "/api/users.profile.get")
def profile(call: Call) -> Response:
    arguments = read_arguments(call, "users.profile:read")
    found = _account(call, arguments.text("user") or call.seed.slack_bot_user)
    return json_answer({"ok": True, "profile": _user_json(call, found)["profile"]})


@routes.on("POST", "/api/bots.info")
@routes.on("GET", "/api/bots.info")
def bot_info(call: Call) -> Response:
    wanted = read_arguments(call, "users:read").text("bot") or call.seed.slack_bot_id
    if wanted != call.seed.slack_bot_id:
        raise api_error("bot_not_found")
    bot = {"id": wanted, "deleted": False, "name": call.seed.bot.display_name, "app_id": "A0HERALD0", "icons": {}}
    return json_answer({"ok": True, "bot": bot | {"user_id": call.seed.slack_bot_user, "updated": 1_760_000_000}})


@routes.on("POST", "/api/team.info")
@routes.on("GET", "/api/team.info")
def team_info(call: Call) -> Response:
    read_arguments(call, "team:read")
    team = {"id": call.seed.slack_team, "name": call.seed.slack_team_name, "domain": "sandbox", "email_domain": ""}
    return json_answer({"ok": True, "team": team | {"icon": {"image_default": True}, "url": f"{call.base}/"}})

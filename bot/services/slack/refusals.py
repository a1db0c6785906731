"""What the words mean with which Slack refuses: `ok` is false, the status 200 all the same."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from bot.errors import (
    AccountError,
    GoneError,
    IntegrationError,
    MissingError,
    PermanentError,
    Reach,
    RetryableError,
    abridge,
)
from bot.services.evidence import held_in, prove, text_in


class _Passing(Enum):
    """What an error that passes says of the request."""

    NOT_DONE = auto()
    PERHAPS_DONE = auto()


PASSING = {
    "fatal_error": _Passing.PERHAPS_DONE,
    "internal_error": _Passing.PERHAPS_DONE,
    "message_limit_exceeded": _Passing.NOT_DONE,
    "rate_limited": _Passing.NOT_DONE,
    "ratelimited": _Passing.NOT_DONE,
    "request_timeout": _Passing.NOT_DONE,  # our request came too slowly, so Slack never had all of it
    "service_unavailable": _Passing.PERHAPS_DONE,
    "team_added_to_org": _Passing.NOT_DONE,
}
_ACCOUNT = (
    "access_denied",
    "accesslimited",
    "account_inactive",
    "app_not_installed",
    "bot_not_found",
    "ekm_access_denied",
    "enterprise_is_restricted",
    "invalid_auth",
    "invalid_token",
    "not_authed",
    "org_login_required",
    "team_access_not_granted",
    "team_disabled",
    "team_not_found",
    "token_expired",
    "token_revoked",
    "two_factor_setup_required",
    "user_removed_from_team",
)
_CHANNEL = (
    "channel_is_limited_access",
    "channel_not_found",
    "is_archived",
    "is_inactive",
    "method_not_supported_for_channel_type",
    "not_in_channel",
    "restricted_action",
    "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
)
_KIND = (
    "deprecated_endpoint",
    "feature_not_enabled",
    "method_deprecated",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "unknown_method",
    "user_is_restricted",
    "user_is_ultra_restricted",
)
_GONE = {  # a message, for whoever would edit it or answer it
    "cannot_reply_to_message",
    "cant_update_message",
    "edit_window_closed",
    "message_not_found",
    "thread_not_found",
}
_CHANNEL_IS_GONE = {"channel_not_found", "is_archived"}  # the one of that id: another may have its name now
REACHES: Mapping[str, Reach] = {
    **dict.fromkeys(_ACCOUNT, Reach.SERVICE),
    **dict.fromkeys(_CHANNEL, Reach.CHANNEL),
    **dict.fromkeys(_KIND, Reach.KIND),
}
_ADVICE = {
    "access_denied": "Ask an administrator of the workspace to let the app in.",
    "accesslimited": "The workspace takes calls from some networks only: ask an administrator.",
    "account_inactive": "The token's account or workspace was deactivated: make a new token.",
    "cant_update_message": "Only the app that posted a message can edit it: keep the token of the same app.",
    "channel_not_found": "Check the channel's name or id, and invite the app to it if it is private.",
    "edit_window_closed": "The workspace forbids editing after a while.",
    "ekm_access_denied": "An administrator has suspended posting.",
    "invalid_auth": "Check the token: it should start with xoxb-.",
    "invalid_blocks": "The message's layout was refused: look at the template of the message.",
    "invalid_blocks_format": "The message's layout was refused: look at the template of the message.",
    "is_archived": "The channel is archived: unarchive it, or name another.",
    "message_not_found": "Somebody deleted the message.",
    "missing_scope": "Add the scope to the app, and install it again.",
    "msg_blocks_too_long": "Shorten the template of the message.",
    "msg_too_long": "Shorten the template of the message.",
    "no_permission": "The workspace does not let the app do this.",
    "not_allowed_token_type": "Set the bot token of the app, xoxb-…",
    "not_authed": "Check the token: it is empty or was not sent.",
    "not_in_channel": "Invite the app to the channel: /invite @herald.",
    "restricted_action": "An administrator has restricted posting to the channel.",
    "team_access_not_granted": "Ask an administrator of the organization to let the app into the workspace.",
    "thread_not_found": "Somebody deleted the message.",
    "token_expired": "Make a new token.",
    "token_revoked": "Make a new token.",
}
_LONGEST_COMPLAINT = 600


def accepted(doing: str, answer: Mapping[str, Any], *, write: bool) -> Mapping[str, Any]:
    """Pass on an answer that says `ok`; raise what another one means."""
    is_ok = held_in(answer, "ok")
    prove(isinstance(is_ok, bool), "does not say whether it was done")
    if is_ok:
        return answer
    raise _refusal(doing, answer, write=write)


def is_lacking_scope(error: IntegrationError) -> bool:
    return isinstance(error, AccountError) and error.fields.get("error") == "missing_scope"


def is_of_a_gone_channel(error: IntegrationError) -> bool:
    return isinstance(error, AccountError) and error.fields.get("error") in _CHANNEL_IS_GONE


def advice_for(word: str) -> str:
    return _ADVICE.get(word, "")


def _refusal(doing: str, answer: Mapping[str, Any], *, write: bool) -> IntegrationError:
    word = text_in(answer, "error")
    details = "; ".join(str(each) for each in (answer.get("response_metadata") or {}).get("messages", []))
    needed = f"needed: {answer['needed']}" if answer.get("needed") else ""
    said = " ".join(part for part in (word, f"({details or needed})" if details or needed else "") if part)
    message = abridge(f"Slack did not {doing}: {said}.", _LONGEST_COMPLAINT)
    if word in PASSING:
        return RetryableError(message, doubtful=write and PASSING[word] is _Passing.PERHAPS_DONE)
    message, fields = f"{message} {advice_for(word)}".rstrip(), {"error": word}
    if word in REACHES:
        refusal = MissingError if word in _CHANNEL_IS_GONE else AccountError
        return refusal(message, reach=REACHES[word], fields=fields)
    return (GoneError if word in _GONE else PermanentError)(message, fields=fields)

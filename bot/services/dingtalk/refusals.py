"""What the numbers and words mean with which DingTalk refuses.

Numbers are a robot's: 400013 to 410100 from the table of custom-robots-send-group-messages, as clients in C#, Go and
Rust carry it; 130101 and 310000 with the words that others met; 300001 says "token is not exist", and 300005 is what
the address answers to a token that never was, by the report of one who asked. Words are an app's (open.dingtalk.com,
server-api-error-codes).
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.services.coded_refusals import Coded, Meaning

_SILENT = 600.0  # seconds that a robot stays silent that has said too much
# 310000 has three causes, which its words tell apart: keywords not in content, sign not match, ip not in whitelist.
_SIGNED = (
    "Check signing_secret, and this machine's clock; secure the robot by a signature alone, not by keywords, nor by a "
    "list of addresses that does not hold ours."
)

_TOO_FAST = Coded(Meaning.BUSY, "A robot takes 20 messages a minute, and is silent for 10 minutes above that.", _SILENT)

HOOK_CODES: Mapping[int | str, Coded] = {
    -1: Coded(Meaning.BUSY, "DingTalk is busy."),
    130101: _TOO_FAST,
    410100: _TOO_FAST,
    90018: Coded(Meaning.BUSY, "Too many messages.", _SILENT),
    300001: Coded(Meaning.MISSING, "Check webhook_url: the robot was removed from its group."),
    300005: Coded(Meaning.MISSING, "Check webhook_url: no robot has this token."),
    400101: Coded(Meaning.MISSING, "Check webhook_url: the robot was removed from its group."),
    400102: Coded(Meaning.ACCOUNT, "The robot was disabled: turn it on in the group's settings."),
    400106: Coded(Meaning.MISSING, "Check webhook_url: there is no such robot."),
    400013: Coded(Meaning.MISSING, "The group was dissolved."),
    310000: Coded(Meaning.ACCOUNT, _SIGNED),
}
_RIGHTS = "Give the app Card.Instance.Write and Card.Streaming.Write, and publish it."
NO_TOKEN = {"InvalidAuthentication", "Forbidden.AccessDenied.AccessTokenExpired"}
APP_CODES: Mapping[int | str, Coded] = {
    "InvalidAuthentication": Coded(Meaning.BUSY, wait=1.0),  # the token is over, and another is asked for
    "Forbidden.AccessDenied.AccessTokenExpired": Coded(Meaning.BUSY, wait=1.0),
    "invalidClientIdOrSecret": Coded(Meaning.ACCOUNT, "Check app_key and app_secret."),
    "Forbidden.AccessDenied.AccessTokenPermissionDenied": Coded(Meaning.KIND, _RIGHTS),
    "Forbidden.AccessDenied.QpsLimitForApi": Coded(Meaning.BUSY, "Too many requests.", 2.0),
    "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi": Coded(Meaning.BUSY, "Too many requests.", 2.0),
    "Forbidden.AccessDenied.IpNotInWhiteList": Coded(Meaning.ACCOUNT, "The app's addresses do not hold ours."),
    "ServiceUnavailable": Coded(Meaning.BROKE),
    "unknownError": Coded(Meaning.BROKE),
    "param.cardNotExist": Coded(Meaning.GONE),
    "param.outTrackIdNotExist": Coded(Meaning.GONE),
}

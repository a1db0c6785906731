"""What the numbers mean with which Feishu refuses.

From open.larkoffice.com (trouble-shooting/how-to-resolve-error-230001, api-call-guide/generic-error-code), from the
tables of im-v1/message as others repeat them (230002, 230006, 230020, 230027), and from open.feishu.cn, Custom bot
usage guide. Whatever else it says is an error of its own, told in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.services.coded_refusals import Coded, Meaning

_RIGHTS = "Give the app im:message:send_as_bot and im:message:update, and publish the version."

NO_TOKEN = {99991661, 99991663, 99991664, 99991668, 99991677}  # the tenant's token is over, or was taken back
CODES: Mapping[int | str, Coded] = {
    10003: Coded(Meaning.ACCOUNT, "Check app_id and app_secret."),
    10014: Coded(Meaning.ACCOUNT, "Check app_secret."),
    10015: Coded(Meaning.ACCOUNT, "Check app_id and app_secret."),
    11232: Coded(Meaning.BUSY, "Feishu has much to send just now.", wait=30.0),
    99991400: Coded(Meaning.BUSY, "Too many requests.", wait=60.0),
    230020: Coded(Meaning.BUSY, "Too many messages to one chat.", wait=5.0),
    99991401: Coded(Meaning.ACCOUNT, "The app's list of addresses does not hold ours."),
    99991672: Coded(Meaning.KIND, _RIGHTS),
    99991679: Coded(Meaning.KIND, _RIGHTS),
    230027: Coded(Meaning.KIND, _RIGHTS),
    230006: Coded(Meaning.ACCOUNT, "Turn on the bot of the app, and publish the version."),
    230002: Coded(Meaning.CHANNEL, "Add the bot to the group."),
    230013: Coded(Meaning.CHANNEL, "Let the app be available to who is in the chat."),
    230018: Coded(Meaning.CHANNEL, "The group lets only some send messages."),
    230035: Coded(Meaning.CHANNEL, "The group does not let the bot send messages."),
    232009: Coded(Meaning.CHANNEL, "The group was dissolved."),
    230011: Coded(Meaning.GONE),  # somebody took the message back
    230031: Coded(Meaning.GONE),  # it is older than 14 days
    230110: Coded(Meaning.GONE),
    **{each: Coded(Meaning.BUSY, wait=1.0) for each in NO_TOKEN},
}
HOOK_CODES: Mapping[int | str, Coded] = {
    11232: CODES[11232],
    99991400: CODES[99991400],
    19001: Coded(Meaning.MISSING, "Check webhook_url: the robot was removed from its group."),
    19021: Coded(Meaning.ACCOUNT, "Check signing_secret, and this machine's clock."),
    19022: Coded(Meaning.ACCOUNT, "The robot's list of addresses does not hold ours."),
    19024: Coded(Meaning.ACCOUNT, "The robot asks for a keyword: secure it by a signature instead."),
}

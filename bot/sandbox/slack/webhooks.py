"""Slack: incoming webhooks: a message goes in, nothing comes back to edit it by."""

from __future__ import annotations

import json

from werkzeug.wrappers import Response

from bot.sandbox.slack.message_rows import insert_message
from bot.sandbox.slack.messages import read_content, respect_the_pace
from bot.sandbox.slack.method_calls import Arguments, api_error
from bot.sandbox.web.call import Call, Refusal
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Routes

routes = Routes()


@routes.on("POST", "/services/<team>/<channel_id>/<secret>")
def webhook(call: Call, team: str, channel_id: str, secret: str) -> Response:
    channel = next((one for one in call.seed.channels if one.id == channel_id), None)
    is_known = team == call.seed.slack_team and channel is not None and same(secret, call.seed.slack_webhook_secret)
    if not is_known or channel is None or call.rulebook.slack.webhook_revoked:
        return _plain("no_service", 404)
    if channel.archived:
        return _plain("channel_is_archived", 410)
    try:
        content = read_content(call, _webhook_payload(call))
    except Refusal as refusal:
        said = json.loads(refusal.response.get_data()).get("error", "invalid_payload")
        return _plain({"invalid_json": "invalid_payload"}.get(said, said), 400)
    if call.rulebook.slack.one_message_a_second:
        try:
            respect_the_pace(call, channel)
        except Refusal:
            answer = _plain("rate_limited", 429)
            answer.headers["Retry-After"] = "1"
            return answer
    insert_message(call, channel, content, author="B0WEBHOOK", username=call.seed.bot.display_name)
    return _plain("ok", 200)


def _webhook_payload(call: Call) -> Arguments:
    if call.request.mimetype == "application/x-www-form-urlencoded":
        text = call.request.form.get("payload", "")
        value = Arguments({"payload": text}).structure("payload", "invalid_payload")
    else:
        value = call.json_body()
    if not isinstance(value, dict):
        raise api_error("invalid_payload")
    return Arguments(value)


def _plain(text: str, status: int) -> Response:
    return Response(text, status=status, content_type="text/html")

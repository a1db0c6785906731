"""Teams: a workflow that posts the Adaptive Card it is sent: 28 KB, four a second, accepted before it is posted."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.robots.post_rows import add_post, is_too_fast
from bot.sandbox.robots.refusals import workflow_error
from bot.sandbox.web.call import Call
from bot.sandbox.web.credentials import same
from bot.sandbox.web.site import Routes

routes = Routes()

_LARGEST = 28 * 1024  # bytes
_CARD = "application/vnd.microsoft.card.adaptive"
_ELEMENTS = {"Container", "RichTextBlock", "TextBlock"}


@routes.on("POST", "/workflows/<workflow>/triggers/manual/paths/invoke")
def run_workflow(call: Call, workflow: str) -> Response:
    rules, seed = call.rulebook.robots(call.service), call.seed.robots
    if rules.revoked or workflow != seed.teams_workflow:
        return workflow_error(404, "WorkflowNotFound", f"The workflow '{workflow}' could not be found.")
    if not same(call.request.args.get("sig", ""), seed.teams_signature):
        return workflow_error(401, "DirectApiAuthorizationRequired", "The request has an invalid signature.")
    if rules.disabled:
        said = f"Could not execute workflow '{workflow}' trigger 'manual' with state 'Disabled'."
        return workflow_error(400, "WorkflowTriggerIsNotEnabled", said)
    if len(call.request.get_data()) > _LARGEST:
        return workflow_error(413, "RequestEntityTooLarge", "The message size limit is 28 KB.")
    if is_too_fast(call, workflow):
        answer = workflow_error(429, "TooManyRequests", "Rate limit is exceeded. Try again later.")
        answer.headers["Retry-After"] = "1"
        return answer
    card = _card_in(call.json_object())
    if card is None:
        return workflow_error(400, "TriggerInputSchemaMismatch", "The input body does not match input schema type.")
    add_post(call, workflow, card)
    return Response(status=202)


def _card_in(body: dict[str, Any]) -> dict[str, Any] | None:
    attachments = body.get("attachments")
    if body.get("type") != "message" or not isinstance(attachments, list) or len(attachments) != 1:
        return None
    first = attachments[0]
    if not isinstance(first, dict) or first.get("contentType") != _CARD or not isinstance(first.get("content"), dict):
        return None
    card: dict[str, Any] = first["content"]
    elements = card.get("body") if card.get("type") == "AdaptiveCard" else None
    is_known = isinstance(elements, list) and all(one.get("type") in _ELEMENTS for one in elements)
    return card if is_known else None

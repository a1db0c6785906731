"""Version 2 of Confluence Cloud's interface: lists page by page, and how it words errors."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bot.sandbox.web.call import Call, json_answer, row_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.wrappers import Response

API = "/wiki/api/v2"
PAGE_SIZE = 25
LARGEST_PAGE = 250


def error(status: int, text: str) -> Response:
    codes = {400: "INVALID_REQUEST_PARAMETER", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT"}
    said = {"status": status, "code": codes.get(status, "ERROR"), "title": text, "detail": None}
    return json_answer({"errors": [said]}, status)


def paged_answer(call: Call, items: Sequence[dict[str, Any]]) -> Response:
    """Answer one page of a list, with a cursor to the next."""
    size = call.number("limit", PAGE_SIZE, low=1, high=LARGEST_PAGE)
    start = _cursor(call)
    answer: dict[str, Any] = {"results": list(items[start : start + size]), "_links": {"base": f"{call.base}/wiki"}}
    headers = {}
    if start + size < len(items):
        cursor = base64.urlsafe_b64encode(f"at:{start + size}".encode()).decode()
        query = [(key, value) for key, value in call.request.args.items(multi=True) if key != "cursor"]
        following = f"{call.request.path}?{urlencode([*query, ('cursor', cursor)])}"
        answer["_links"]["next"] = following
        headers["Link"] = f'<{following}>; rel="next"'
    return json_answer(answer, headers=headers)


def _cursor(call: Call) -> int:
    text = call.request.args.get("cursor", "")
    if not text:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(text.encode()).decode().partition(":")
    except (binascii.Error, ValueError) as problem:
        raise call.refuse(400, "The cursor is invalid.") from problem
    if word != "at" or not number.isascii() or not number.isdigit():
        raise call.refuse(400, "The cursor is invalid.")
    return int(number[:9])


def ids_of(call: Call, name: str) -> frozenset[int]:
    words = call.words(name)
    ids = [row_id(word) for word in words]
    if None in ids:
        raise call.refuse(400, f"The parameter {name} must hold whole numbers.")
    return frozenset(one for one in ids if one is not None)

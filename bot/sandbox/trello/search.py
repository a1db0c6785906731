"""Trello: searching cards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.sandbox.rules import Service
from bot.sandbox.search.index import visible_documents
from bot.sandbox.search.query import words_of
from bot.sandbox.trello.arguments import TEXT_LIMIT, only_fields
from bot.sandbox.trello.board_json import card_json
from bot.sandbox.trello.board_rows import find_card, labels_of
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()
LARGEST_SEARCH = 1000


@routes.on("GET", "/1/search")
def search(call: Call) -> Response:
    query = call.request.args.get("query", "")
    if not 1 <= len(query) <= TEXT_LIMIT:
        raise call.refuse(400, "invalid value for query")
    boards = call.words("idBoards")
    size = call.number("cards_limit", 10, high=LARGEST_SEARCH)
    skipped = call.number("cards_page", 0, high=100) * size
    wants_here = not boards or boards == ("mine",) or call.seed.board.id in boards
    documents = visible_documents(call.db, Service.TRELLO, call.now - call.rulebook.trello.search_lag)
    found = [number for number, one in documents.items() if wants_here and _is_hit(call, one, query)]
    rows = [row for number in found[skipped : skipped + size] if (row := find_card(call, number)) is not None]
    kinds = call.words("modelTypes")
    shown = [only_fields(call, card_json(call, row), "card_fields") for row in rows]
    answer: dict[str, Any] = {"options": {"terms": [{"text": query}], "modelTypes": list(kinds) or ["cards"]}}
    return json_answer(answer | {"cards": shown if not kinds or {"cards", "all"} & set(kinds) else []})


def _is_hit(call: Call, document: dict[str, Any], query: str) -> bool:
    """Match all words (whole ones, unless `partial`), and the operators is: and label: ."""
    partial = call.flag("partial")
    words = words_of(document["text"])
    names = {row.id: row.name.casefold() for row in labels_of(call)}
    for term in re.findall(r'[a-z]+:"[^"]*"|"[^"]*"|\S+', query):
        operator, colon, value = term.partition(":")
        if colon and operator == "is" and value in ("open", "archived"):
            if document["closed"] is not (value == "archived"):
                return False
        elif colon and operator == "label":
            if value.strip('"').casefold() not in {names.get(one, "") for one in document["labels"]}:
                return False
        else:
            for word in words_of(term):
                if word not in words and not (partial and any(one.startswith(word) for one in words)):
                    return False
    return True

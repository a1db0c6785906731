"""Trello's pages: the board, and one card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from werkzeug.utils import redirect

from bot.sandbox.markup import markdown
from bot.sandbox.markup.safe_html import hue
from bot.sandbox.trello.board_json import attachment_id, attachment_url, card_url
from bot.sandbox.trello.board_rows import cards_of, comments_of, find_card, labels_of, lists_of
from bot.sandbox.web.html_pages import ShownComment, ShownFile, face, moment, not_there, page, size_words
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import SHOWN_INLINE, attachments_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.web.call import Call

routes = Routes()


@dataclass(frozen=True, slots=True)
class Stripe:
    """A label: a name on a colour."""

    name: str
    hue: str


@dataclass(frozen=True, slots=True)
class Tile:
    name: str
    url: str
    stripes: list[Stripe]
    due: str
    comments: int
    files: int
    cover: str


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    tiles: list[Tile]


def _stripes(call: Call, ids: list[str]) -> list[Stripe]:
    known = {row.id: row for row in labels_of(call)}
    return [Stripe(known[one].name, hue(known[one].color or "grey")) for one in ids if one in known]


def _tile(call: Call, card: Any) -> Tile:
    files = attachments_of(call, card.id)
    cover = next((attachment_url(call, one) for one in files if attachment_id(one) == card.cover), "")
    return Tile(
        name=card.name,
        url=card_url(call, card),
        stripes=_stripes(call, card.labels),
        due=(card.due or "")[:10],
        comments=len(comments_of(call, card.id)),
        files=len(files),
        cover=cover,
    )


@routes.on("GET", "/", is_open=True)
def front(call: Call) -> Response:
    return redirect(f"{call.base}/b/{call.seed.board.short_link}")


@routes.on("GET", "/b/<board>", is_open=True)
@routes.on("GET", "/b/<board>/<path:name>", is_open=True)
def show_board(call: Call, board: str, name: str = "") -> Response:  # noqa: ARG001 - the name only reads well
    if board not in (call.seed.board.short_link, call.seed.board.id):
        return not_there("the board")
    reader = replace(call, account=None)
    cards = cards_of(reader)
    lanes = [Lane(one.name, [_tile(reader, card) for card in cards if card.list == one.id]) for one in lists_of(reader)]
    archived = [_tile(reader, card) for card in cards_of(reader, closed=True)]
    return page("lanes.html.j2", product="Trello (sandbox)", board=call.seed.board, lanes=lanes, archived=archived)


@routes.on("GET", "/c/<card>", is_open=True)
@routes.on("GET", "/c/<card>/<path:name>", is_open=True)
def show_card(call: Call, card: str, name: str = "") -> Response:  # noqa: ARG001 - the name only reads well
    reader = replace(call, account=None)
    row = find_card(reader, card)
    if row is None:
        return not_there("the card")
    files = [
        ShownFile(
            name=one.filename,
            url=attachment_url(reader, one),
            size="link" if one.url else size_words(one.size),
            is_picture=one.media_type in SHOWN_INLINE,
        )
        for one in attachments_of(reader, row.id)
    ]
    comments = [
        ShownComment(
            author=face(call.seed.account(one.author)),
            at=moment(one.at),
            is_edited=one.edited is not None,
            body=Markup(markdown.render(one.data["text"])),  # noqa: S704 - the renderer escapes
        )
        for one in comments_of(reader, row.id)
    ]
    return page(
        "card.html.j2",
        product="Trello (sandbox)",
        board=call.seed.board,
        board_url=f"{call.base}/b/{call.seed.board.short_link}",
        card=row,
        lane=next(one.name for one in lists_of(reader, closed=None) if one.id == row.list),
        stripes=_stripes(reader, row.labels),
        description=Markup(markdown.render(row.description)),  # noqa: S704 - the renderer escapes
        files=files,
        comments=comments,
        updated=moment(row.updated),
    )

"""Slack's pages: a channel, and one message with its thread."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from werkzeug.utils import redirect

from bot.sandbox.markup import mrkdwn
from bot.sandbox.markup.safe_html import hue, is_web_address
from bot.sandbox.slack.file_rows import file_path, files_of, media_type_of
from bot.sandbox.slack.message_rows import messages_of
from bot.sandbox.slack.method_calls import is_member
from bot.sandbox.web.html_pages import (
    Face,
    Moment,
    ShownFile,
    clock_time,
    day_words,
    face_of,
    not_there,
    page,
    size_words,
)
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import SHOWN_INLINE

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.web.call import Call

routes = Routes()


NOTHING = Markup()


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    url: str
    style: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, ready for the page."""

    kind: str  # text, header, fields, context, divider, actions, picture, unknown
    body: Markup = NOTHING
    parts: list[Markup] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bar:
    """An attachment: pieces behind a coloured bar."""

    hue: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class MessageFile(ShownFile):
    alt: str


@dataclass(frozen=True, slots=True)
class Message:
    anchor: str
    url: str
    author: Face
    is_app: bool
    at: Moment
    day: str
    is_edited: bool
    is_new_day: bool
    is_marked: bool
    pieces: list[Piece]
    bars: list[Bar]
    files: list[MessageFile]
    replies: list[Message]


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A channel in the list at the side."""

    name: str
    url: str
    is_here: bool
    is_private: bool
    is_archived: bool


class _MessageReader:
    """Turns rows into what the page shows, knowing people and channels by name."""

    def __init__(self, call: Call, marked: str | None) -> None:
        self._call = call
        self._marked = marked
        self._names = {one.id: one.name for one in call.seed.channels} | {
            call.seed.slack_bot_user: call.seed.bot.display_name
        }

    def text(self, text: str) -> Markup:
        return Markup(mrkdwn.render(text, self._names.get))  # noqa: S704 - the renderer escapes

    def _object(self, value: Any) -> Markup:
        if not isinstance(value, dict):
            return Markup()
        text = str(value.get("text", ""))
        return Markup.escape(text) if value.get("type") == "plain_text" else self.text(text)

    def piece(self, block: dict[str, Any]) -> Piece:
        match block.get("type"):
            case "header":
                return Piece("header", self._object(block.get("text")))
            case "divider":
                return Piece("divider")
            case "section":
                fields = [self._object(one) for one in block.get("fields") or []]
                buttons = self._buttons([block["accessory"]] if "accessory" in block else [])
                return Piece("section", self._object(block.get("text")), fields, buttons)
            case "context":
                parts = [self._object(one) for one in block.get("elements") or [] if one.get("type") != "image"]
                return Piece("context", parts=parts)
            case "actions":
                return Piece("actions", buttons=self._buttons(block.get("elements") or []))
            case "image":
                return Piece("picture", Markup.escape(str(block.get("alt_text", "picture"))))
            case _:
                return Piece("unknown", Markup.escape(str(block.get("type", ""))))

    @staticmethod
    def _buttons(elements: list[Any]) -> list[Button]:
        found = [one for one in elements if isinstance(one, dict) and one.get("type") == "button"]
        buttons = []
        for one in found:
            address = str(one.get("url") or "")
            shown = str((one.get("text") or {}).get("text", ""))
            buttons.append(Button(shown, address if is_web_address(address) else "", str(one.get("style", ""))))
        return buttons

    def pieces(self, text: str, blocks: list[dict[str, Any]]) -> list[Piece]:
        """Show the blocks; the text beside them is only for notifications."""
        if blocks:
            return [self.piece(one) for one in blocks]
        return [Piece("section", self.text(text))] if text else []

    def bar(self, attachment: dict[str, Any]) -> Bar:
        pieces = [self.piece(one) for one in attachment.get("blocks") or []]
        if not pieces:
            pieces = self._old_form(attachment)
        return Bar(hue(str(attachment.get("color") or "grey")), pieces)

    def _old_form(self, attachment: dict[str, Any]) -> list[Piece]:
        """Show the fields that attachments had before blocks, and that other receivers of webhooks read."""
        pieces = []
        if attachment.get("pretext"):
            pieces.append(Piece("section", self.text(str(attachment["pretext"]))))
        if attachment.get("title"):
            title, address = str(attachment["title"]), str(attachment.get("title_link") or "")
            inner = Markup.escape(title)
            linked = Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, inner)
            pieces.append(
                Piece("section", linked if is_web_address(address) else Markup("<strong>{}</strong>").format(inner))
            )
        if attachment.get("text"):
            pieces.append(Piece("section", self.text(str(attachment["text"]))))
        fields = [one for one in attachment.get("fields") or [] if isinstance(one, dict)]
        if fields:
            parts = [
                Markup("<strong>{}</strong><br>{}").format(
                    str(one.get("title", "")), self.text(str(one.get("value", "")))
                )
                for one in fields
            ]
            pieces.append(Piece("section", parts=parts))
        if attachment.get("footer"):
            pieces.append(Piece("context", parts=[self.text(str(attachment["footer"]))]))
        return pieces or [Piece("section", self.text(str(attachment.get("fallback", ""))))]

    def files(self, ids: list[str]) -> list[MessageFile]:
        return [
            MessageFile(
                name=row.title,
                url=self._call.base + file_path(row),
                size=size_words(row.length),
                is_picture=media_type_of(row.name) in SHOWN_INLINE,
                alt=row.alt_text or row.title,
            )
            for row in files_of(self._call, ids)
        ]

    def message(self, row: Any, day_before: str, replies: list[Any]) -> Message:
        at = float(row.ts)
        day = day_words(at)
        anchor = "p" + row.ts.replace(".", "")
        return Message(
            anchor=anchor,
            url=f"{self._call.base}/archives/{row.channel}/{anchor}",
            author=face_of(row.username),
            is_app=True,
            at=clock_time(at),
            day=day,
            is_edited=row.edited is not None,
            is_new_day=day != day_before,
            is_marked=row.ts == self._marked,
            pieces=self.pieces(row.text, row.blocks),
            bars=[self.bar(one) for one in row.attachments],
            files=self.files(row.files),
            replies=[self.message(reply, day, []) for reply in replies],
        )


def _entries(call: Call, here: str) -> list[ChannelEntry]:
    return [
        ChannelEntry(one.name, f"{call.base}/archives/{one.id}", one.id == here, one.private, one.archived)
        for one in call.seed.channels
    ]


@routes.on("GET", "/", is_open=True)
def front(call: Call) -> Response:
    return redirect(f"{call.base}/archives/{call.seed.channels[0].id}")


@routes.on("GET", "/archives/<channel_id>", is_open=True)
@routes.on("GET", "/archives/<channel_id>/<anchor>", is_open=True)
def show_channel(call: Call, channel_id: str, anchor: str = "") -> Response:
    reader = replace(call, account=None)
    channel = next((one for one in call.seed.channels if one.id == channel_id), None)
    if channel is None:
        return not_there("the channel")
    match = re.fullmatch(r"p([0-9]{1,10})([0-9]{6})", anchor)
    marked = f"{match[1]}.{match[2]}" if match else None
    rows = messages_of(reader, channel)
    if anchor and marked not in {row.ts for row in rows}:
        return not_there("the message")
    shows = _MessageReader(reader, marked)
    messages: list[Message] = []
    for row in rows:
        if row.thread_ts and not row.broadcast:
            continue
        replies = [one for one in rows if one.thread_ts == row.ts]
        messages.append(shows.message(row, messages[-1].day if messages else "", replies))
    return page(
        "channel.html.j2",
        product="Slack (sandbox)",
        base=call.base,
        team=call.seed.slack_team_name,
        channel=channel,
        entries=_entries(call, channel.id),
        messages=messages,
        is_member=is_member(reader, channel),
        people=[face_of(one.display_name) for one in call.seed.accounts],
    )

"""Trello: files and links attached to a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.markup.safe_html import is_web_address
from bot.sandbox.trello.arguments import ID, flag_of, given_values, may_write, only_fields, required_text, text_of
from bot.sandbox.trello.board_json import attachment_id, attachment_json
from bot.sandbox.trello.board_rows import card_or_refuse, change_card, note_action
from bot.sandbox.web import uploads
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import attachments_of, find_upload, read_upload, send_file, store_upload

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = Routes()


@routes.on("GET", "/1/cards/<number>/attachments")
def get_attachments(call: Call, number: str) -> Response:
    card = card_or_refuse(call, number)
    return json_answer([only_fields(call, attachment_json(call, row)) for row in attachments_of(call, card.id)])


@routes.on("POST", "/1/cards/<number>/attachments")
def post_attachment(call: Call, number: str) -> Response:
    may_write(call)
    card = card_or_refuse(call, number)
    part = call.request.files.get("file")
    values = given_values(call)
    name = text_of(call, values, "name")
    if part is not None:
        upload = read_upload(part)
        row_number = store_upload(call, card.id, upload)
        if name:
            uploads.change_attachment(call, row_number, filename=name.replace("/", "_"))
    else:
        address = required_text(call, values, "url")
        row_number = attach_link(call, card, address, name or address)
    row = next(one for one in attachments_of(call, card.id) if one.id == row_number)
    if flag_of(call, values, "setCover"):
        change_card(call, card, {"cover": attachment_id(row)})
    note_action(call, card.id, "addAttachmentToCard", {"name": row.filename})
    return json_answer(attachment_json(call, row))


@routes.on("DELETE", "/1/cards/<number>/attachments/<attachment>")
def delete_attachment(call: Call, number: str, attachment: str) -> Response:
    may_write(call)
    card = card_or_refuse(call, number)
    row = next((one for one in attachments_of(call, card.id) if attachment_id(one) == attachment), None)
    if row is None:
        raise call.refuse(404, "attachment not found")
    uploads.delete_attachment(call, row.id)
    return json_answer({"limits": {}})


def attach_link(call: Call, card: Any, address: str, name: str) -> int:
    if not is_web_address(address):
        raise call.refuse(400, "invalid value for url")
    return store_upload(call, card.id, uploads.Upload(name, "", b""), url=address)


@routes.on("GET", "/1/cards/<number>/attachments/<attachment>/download/<path:name>", is_open=True)
def download(call: Call, number: str, attachment: str, name: str) -> Response:  # noqa: ARG001 - the name only reads well
    row = find_upload(call, row_id(str(int(attachment[8:], 16))) if ID.fullmatch(attachment) else None)
    if row is None or row.owner != number or row.url:
        raise call.refuse(404, "attachment not found")
    return send_file(row.media_type, row.filename, row.content)

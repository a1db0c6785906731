"""Version 2 of Confluence Cloud's interface: properties of a page."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.confluence import tables
from bot.sandbox.confluence.page_rows import Page, properties_of
from bot.sandbox.confluence.v2.content import page_or_refuse, property_json, version_of_body
from bot.sandbox.confluence.v2.paging import API, paged_answer
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes

routes = Routes()


@routes.on("GET", f"{API}/pages/<number>/properties")
def list_properties(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    wanted = call.request.args.get("key")
    return paged_answer(
        call, [property_json(row, page) for row in properties_of(call, page) if wanted in (None, row.key)]
    )


@routes.on("POST", f"{API}/pages/<number>/properties")
def post_property(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    key, value = _key_and_value(call)
    if any(row.key == key for row in properties_of(call, page)):
        raise call.refuse(409, f"A property with the key {key} already exists.")
    property_id = next_number(call.db, "page_property", 131_073)
    values = {"id": property_id, "page": page.id, "key": key, "value": value, "version": 1, "at": call.now}
    call.db.execute(tables.page_property.insert().values(**values))
    return json_answer(property_json(_property(call, page, str(property_id)), page))


def _key_and_value(call: Call) -> tuple[str, Any]:
    body = call.json_object()
    key = body.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= 255 or "value" not in body:  # noqa: PLR2004
        raise call.refuse(400, "key (at most 255 characters) and value are required.")
    return key, body["value"]


def _property(call: Call, page: Page, number: str) -> Any:
    if row_id(number) is None:
        raise call.refuse(400, f"The property id '{number[:40]}' must be a whole number; it is not the key.")
    row = next((one for one in properties_of(call, page) if str(one.id) == number), None)
    if row is None:
        raise call.refuse(404, f"The page {page.id} has no property with the id {number}.")
    return row


@routes.on("GET", f"{API}/pages/<number>/properties/<property_id>")
def get_property(call: Call, number: str, property_id: str) -> Response:
    page = page_or_refuse(call, number)
    return json_answer(property_json(_property(call, page, property_id), page))


@routes.on("PUT", f"{API}/pages/<number>/properties/<property_id>")
def put_property(call: Call, number: str, property_id: str) -> Response:
    page = page_or_refuse(call, number)
    row = _property(call, page, property_id)
    key, value = _key_and_value(call)
    version, _ = version_of_body(call, call.json_object().get("version"))
    if key != row.key:
        raise call.refuse(400, "The key of a property cannot be changed.")
    if version != row.version + 1:
        raise call.refuse(409, f"The version must be {row.version + 1}, not {version}.")
    where = tables.page_property.c.id == row.id
    call.db.execute(tables.page_property.update().where(where).values(value=value, version=version, at=call.now))
    return json_answer(property_json(_property(call, page, property_id), page))


@routes.on("DELETE", f"{API}/pages/<number>/properties/<property_id>")
def delete_property(call: Call, number: str, property_id: str) -> Response:
    page = page_or_refuse(call, number)
    row = _property(call, page, property_id)
    call.db.execute(tables.page_property.delete().where(tables.page_property.c.id == row.id))
    return Response(status=204)

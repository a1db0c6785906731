"""Confluence's older interface: properties of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bot.sandbox.confluence import tables
from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_rows import Page, properties_of
from bot.sandbox.confluence.v1.content import listed, page_or_refuse
from bot.sandbox.confluence.v1.labels import LABEL_LIMIT
from bot.sandbox.web.call import Call, iso_time, json_answer
from bot.sandbox.web.database import next_number

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

routes = DeploymentRoutes()


def _property_json(page: Page, row: Any, call: Call) -> dict[str, Any]:
    own = f"{call.base}/rest/api/content/{page.id}/property/{quote(row.key)}"
    version = {"number": row.version, "when": iso_time(row.at), "message": "", "minorEdit": False, "hidden": True}
    answer = {"id": str(row.id), "key": row.key, "value": row.value, "version": version, "_links": {"self": own}}
    return answer | {"_expandable": {"content": f"/rest/api/content/{page.id}"}}


def _property(call: Call, page: Page, key: str) -> Any | None:
    return next((row for row in properties_of(call, page) if row.key == key), None)


@routes.datacenter.on("GET", "/rest/api/content/<number>/property")
def list_properties(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    return json_answer(listed(call, [_property_json(page, row, call) for row in properties_of(call, page)]))


@routes.datacenter.on("GET", "/rest/api/content/<number>/property/<key>")
def get_property(call: Call, number: str, key: str) -> Response:
    page = page_or_refuse(call, number)
    row = _property(call, page, key)
    if row is None:
        raise call.refuse(404, f"No content property found with key: {key[:60]}")
    return json_answer(_property_json(page, row, call))


@routes.datacenter.on("POST", "/rest/api/content/<number>/property")
def post_property(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    body = call.json_object()
    key = body.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= LABEL_LIMIT or "value" not in body:
        raise call.refuse(400, "key (at most 255 characters) and value are required.")
    if _property(call, page, key) is not None:
        raise call.refuse(409, f"A property with the key {key} already exists.")
    return _insert_property(call, page, key, body["value"])


def _insert_property(call: Call, page: Page, key: str, value: Any) -> Response:
    number = next_number(call.db, "page_property", 131_073)
    values = {"id": number, "page": page.id, "key": key, "value": value, "version": 1, "at": call.now}
    call.db.execute(tables.page_property.insert().values(**values))
    return json_answer(_property_json(page, _property(call, page, key), call))


@routes.datacenter.on("PUT", "/rest/api/content/<number>/property/<key>")
def put_property(call: Call, number: str, key: str) -> Response:
    page = page_or_refuse(call, number)
    body = call.json_object()
    if "value" not in body:
        raise call.refuse(400, "value is required.")
    given = body.get("version")
    version = given.get("number") if isinstance(given, dict) else None
    row = _property(call, page, key)
    if row is None:
        if version not in (None, 1):
            raise call.refuse(409, f"The property {key} does not exist yet; its first version is 1.")
        return _insert_property(call, page, key, body["value"])
    if version != row.version + 1:
        raise call.refuse(409, f"The version must be {row.version + 1}, not {version}.")
    where = tables.page_property.c.id == row.id
    call.db.execute(
        tables.page_property.update().where(where).values(value=body["value"], version=version, at=call.now)
    )
    return json_answer(_property_json(page, _property(call, page, key), call))

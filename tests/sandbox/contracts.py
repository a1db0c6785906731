"""The services' own published descriptions, held against what the stand-in answers.

A folder named by HERALD_CONTRACTS holds them; they are not part of this project.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import requests
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.testing import MockRequest, MockResponse

VARIABLE = "HERALD_CONTRACTS"
FILES = {  # first part of the path -> the descriptions, of which one knows the call
    "jira-cloud": ("jira-cloud-v2.json", "jira-cloud-v3.json"),
    "jira-dc": ("jira-datacenter.json",),
    "confluence-cloud": ("confluence-cloud-v2.json", "confluence-cloud-v1.json"),
    "confluence-dc": ("confluence-datacenter.json",),
    "slack": ("slack-web.json",),
    "trello": ("trello.json",),
}
# Where a description contradicts what the live service answers: service, method, path, why.
WRONG = (
    ("jira-dc", "GET", r"/rest/api/2/(field|status|resolution|priority|issueLinkType)", "one item instead of a list"),
    ("jira-dc", "GET", r"/rest/api/2/project/\w+/components", "one item instead of a list"),
    ("jira-dc", "GET", r"/rest/api/2/user/assignable/search", "one item instead of a list"),
    ("jira-dc", "GET", r"/rest/api/2/issue/createmeta/.*", "one item instead of a page"),
    ("jira-dc", "POST", r"/rest/api/2/issue/[\w-]+/attachments", "one file instead of a list"),
    ("jira-(cloud|dc)", "GET", r"/rest/api/[23]/issue/[\w-]+/remotelink", "one link instead of a list"),
    ("jira-dc", "PUT", r"/rest/api/2/issue/[\w-]+/properties/\w+", "JSON inside a string instead of JSON"),
    ("confluence-dc", ".*", r".*", "errors of a RestError are an object in the description, a list on the wire"),
    ("jira-cloud", "GET", r"/rest/api/[23]/project/search", "taken for a project of that name"),
    ("trello", "GET", r"/search", "a list instead of an object with one list a kind"),
    ("trello", "POST", r"/cards/\w+/attachments", "a list instead of the attachment"),
)
ONLY_ERRORS = ("errors of a RestError",)


def folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named and Path(named).is_dir() else None


@dataclass(frozen=True, slots=True)
class Exchange:
    method: str
    service: str
    path: str
    query: dict[str, Any]
    sent: bytes
    sent_type: str
    status: int
    got: bytes
    got_type: str
    is_ours: bool = True  # else the request was some other client's, which the service takes as it is

    def __str__(self) -> str:
        return f"{self.method} {self.service}{self.path} -> {self.status}"


def exchange_of(response: httpx.Response | requests.Response) -> Exchange | None:
    """Read an exchange; None for what belongs to no service's interface."""
    request = response.request
    address = urlsplit(str(request.url))
    _, service, *rest = (*address.path.split("/"), "")
    rest = rest[:-1]
    path = "/" + "/".join(rest)
    if service == "slack":
        path = path.removeprefix("/api")
    if service == "trello":
        path = path.removeprefix("/1")
    if service not in FILES:
        return None
    if isinstance(request, httpx.Request):
        request.read()
        sent = request.content
    else:
        sent = request.body.encode() if isinstance(request.body, str) else request.body or b""
    status = response.status_code
    if service == "slack" and status == 200 and response.headers["Content-Type"].startswith("application/json"):
        status = 200 if response.json()["ok"] else 400  # the description calls a refusal another answer
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    return Exchange(
        request.method,
        service,
        path,
        query,
        sent,
        request.headers.get("Content-Type", ""),
        status,
        response.content,
        response.headers.get("Content-Type", ""),
        isinstance(request, httpx.Request),
    )


def complaint(exchange: Exchange) -> str | None:
    """Say what a description does not allow; None where it does, or declares nothing."""
    root = folder()
    if root is None or _is_known_wrong(exchange):
        return None
    for name in FILES[exchange.service]:
        description = _description(root / name)
        method = "post" if exchange.service == "slack" else exchange.method.lower()
        request = MockRequest(
            "http://host",
            method,
            exchange.path,
            args=exchange.query,
            data=exchange.sent,
            content_type=exchange.sent_type or "application/json",
        )
        response = MockResponse(exchange.got, exchange.status, content_type=exchange.got_type)
        try:
            description.validate_response(request, response)
            if exchange.status < 300 and "json" in exchange.sent_type and exchange.is_ours:
                description.validate_request(request)
        except (PathError, ResponseNotFound):
            continue
        except OpenAPIError as error:
            return f"{exchange}: {error!r} {_reasons(error)}"
        return None
    return None


def is_declared(exchange: Exchange) -> bool:
    return complaint(exchange) is None and not _is_known_wrong(exchange)


def _is_known_wrong(exchange: Exchange) -> bool:
    for service, method, path, why in WRONG:
        if not re.fullmatch(service, exchange.service) or not re.fullmatch(method, exchange.method):
            continue
        if re.fullmatch(path, exchange.path) and (exchange.status >= 400 or not why.startswith(ONLY_ERRORS)):
            return True
    return False


def _reasons(error: BaseException) -> list[str]:
    waiting = list(getattr(error.__cause__, "schema_errors", ()))
    found = []
    while waiting:
        each = waiting.pop()
        waiting += each.context or []
        if not each.context:
            found.append(f"{'.'.join(map(str, each.absolute_path))}: {each.message[:160]}")
    return found


@cache
def _description(path: Path) -> OpenAPI:
    spec = json.loads(path.read_text(encoding="utf-8"))
    if "swagger" in spec:
        spec = _as_openapi_3(spec)
    # Jira writes +0000 where the format wants a colon; Trello gives a time with its dates.
    lenient = {"date-time": lambda _: True, "date": lambda _: True}
    config = Config(spec_validator_cls=None, extra_format_validators=lenient)
    return OpenAPI.from_dict(_mended(spec), config=config)


def _mended(spec: dict[str, Any]) -> dict[str, Any]:
    """Free what no real answer keeps to, and leave credentials to tests of their own."""
    for schema in spec["components"]["schemas"].values():
        properties = schema.get("properties", {})
        if properties.get("fields", {}).get("additionalProperties") == {"type": "object"}:
            properties["fields"] = {}  # of a ticket: a label is no object
        if set(properties) == {"key", "value"}:
            properties["value"] = {}  # any JSON
        if "idLabels" in properties:
            properties["labels"] = {}  # of a card: objects, not ids
        if "bytes" in properties:
            properties["bytes"] = {}  # of Trello's attachments: a number
    for methods in spec["paths"].values():
        for operation in (one for one in methods.values() if isinstance(one, dict)):
            operation.pop("security", None)
            for status, response in operation["responses"].items():
                schemas = [_resolved(spec, one.get("schema", {})) for one in (response.get("content") or {}).values()]
                is_text_for_an_error = status >= "400" and any(one.get("type") == "string" for one in schemas)
                if not any(schemas) or is_text_for_an_error:
                    response.pop("content", None)
            operation["responses"].get("204", {}).pop("content", None)
    return spec


def _resolved(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference; an empty schema, which anything would meet, stays empty."""
    if "$ref" not in schema:
        return schema
    found: Any = spec
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {key: value for key, value in found.items() if key not in ("title", "description")}


def _as_openapi_3(old: dict[str, Any]) -> dict[str, Any]:
    """Turn Slack's Swagger 2 into OpenAPI 3: form parameters become a JSON body, every method a POST."""
    schemas = {name: _schema(one) for name, one in old["definitions"].items()}
    paths = {}
    for path, methods in old["paths"].items():
        ((_, operation),) = methods.items()
        answers = {
            status: {"description": "", "content": {"application/json": {"schema": _schema(one["schema"])}}}
            for status, one in operation["responses"].items()
        }
        form = [one for one in operation["parameters"] if one["in"] == "formData"]
        new: dict[str, Any] = {"operationId": operation["operationId"], "responses": answers}
        if form:
            names = [one["name"] for one in form if one.get("required")]
            body = {"type": "object", "properties": {one["name"]: _argument(one) for one in form}, "required": names}
            new["requestBody"] = {"content": {"application/json": {"schema": body}}}
        paths[path] = {"post": new}
    return {"openapi": "3.0.3", "info": old["info"], "paths": paths, "components": {"schemas": schemas}}


def _argument(parameter: dict[str, Any]) -> dict[str, Any]:
    return {} if parameter["name"] in ("blocks", "attachments") else {"type": parameter["type"]}


def _schema(old: Any) -> Any:
    """Move references, put lists of types as anyOf, and admit what Slack has added since 2021."""
    if isinstance(old, list):
        return [_schema(one) for one in old]
    if not isinstance(old, dict):
        return old
    if "$ref" in old:
        return {"$ref": old["$ref"].replace("#/definitions/", "#/components/schemas/")}
    dropped = ("additionalProperties", "minItems", "uniqueItems", "title")
    new = {key: value for key, value in old.items() if key not in dropped}
    if isinstance(new.get("items"), list):
        new = {**{key: value for key, value in new.items() if key not in ("items", "type")}, "anyOf": new["items"]}
        new["anyOf"] = [{"type": "array"}, *new["anyOf"]]
    if isinstance(new.get("type"), list):
        new["anyOf"] = [{"type": one} for one in new.pop("type")]
    if new.get("type") == "null":
        return {"nullable": True, "enum": [None]}
    if "invalid_auth" in new.get("enum", ()):
        del new["enum"]  # live answers use more words, and other spellings
    made = {
        key: _schema(value) if key != "properties" else {k: _schema(v) for k, v in value.items()}
        for key, value in new.items()
    }
    if made.get("properties", {}).get("blocks") == {"type": "object"}:
        made["properties"]["blocks"] = {"type": "array", "items": {}}
    return made

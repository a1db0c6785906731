"""The services' published descriptions, as something that a request and its answer can be held against."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from werkzeug.datastructures import Headers, ImmutableMultiDict

FOLDER = "HERALD_CONTRACTS"
FILES = {  # first part of a path at the stand-in -> descriptions, of which one knows the call
    "jira-cloud": ("jira-cloud-v2.json",),
    "jira-dc": ("jira-datacenter.json",),
    "confluence-cloud": ("confluence-cloud-v2.json", "confluence-cloud-v1.json"),
    "confluence-dc": ("confluence-datacenter.json",),
    "slack": ("slack-web.json",),
    "trello": ("trello.json",),
}


def folder() -> Path:
    """Find the descriptions; skip the test where there are none, fail it where CI should have them."""
    named = os.environ.get(FOLDER)
    if named and Path(named).is_dir():
        return Path(named)
    if os.environ.get("CI"):
        pytest.fail(f"{FOLDER} names no folder with the services' descriptions, which CI must have")
    pytest.skip(f"{FOLDER} names no folder with the services' descriptions")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as both crossed the wire."""

    sent: requests.PreparedRequest
    got: requests.Response

    @property
    def _address(self) -> tuple[str, str]:
        service, _, path = urlsplit(self.sent.url or "").path.lstrip("/").partition("/")
        return service, f"/{path.removeprefix('1/') if service == 'trello' else path}"

    @property
    def service(self) -> str:
        return self._address[0]

    @property
    def path(self) -> str:
        return self._address[1]

    def __str__(self) -> str:
        return f"{self.sent.method} {self.service}{self.path} -> {self.got.status_code}"


class _Request:
    """A request in openapi-core's words, without the stand-in's prefix."""

    host_url = ""

    def __init__(self, exchange: Exchange) -> None:
        sent = exchange.sent
        self.path = exchange.path
        self.method = (sent.method or "").lower()
        body = sent.body
        self.body = body.encode() if isinstance(body, str) else body
        self.content_type = sent.headers.get("Content-Type", "")
        query = parse_qs(urlsplit(sent.url or "").query)
        if "form-urlencoded" in self.content_type:  # how slack_sdk sends what the description calls a query
            query |= parse_qs((self.body or b"").decode())
        if exchange.service == "trello" and "json" in self.content_type:  # text too long for an address
            query |= {name: [value] for name, value in json.loads(self.body or b"{}").items()}
        self.parameters = RequestParameters(query=ImmutableMultiDict(query), header=Headers(dict(sent.headers)))


class _Response:
    def __init__(self, exchange: Exchange) -> None:
        got = exchange.got
        self.status_code = got.status_code
        if exchange.service == "slack" and got.ok and not got.json()["ok"]:
            self.status_code = 400  # Slack refuses with a 200; its description calls that another answer
        self.data = got.content
        self.content_type = got.headers.get("Content-Type", "")
        self.headers = Headers(dict(got.headers))


def hold(exchange: Exchange) -> bool:
    """Hold an exchange against the descriptions; return whether one declares it. Raises OpenAPIError."""
    for name in FILES[exchange.service]:
        description = _description(folder() / name)
        request, response = _Request(exchange), _Response(exchange)
        try:
            description.validate_request(request)
            description.validate_response(request, response)
        except (PathError, ResponseNotFound):
            continue
        return True
    return False


@cache
def _description(path: Path) -> OpenAPI:
    spec = json.loads(path.read_text())
    if "swagger" in spec:
        spec = _converted(spec)
    # Jira writes `+0000` where the format wants a colon, and Trello a whole moment where its description says a day
    formats = {"date-time": lambda _: True, "date": lambda value: bool(re.match(r"\d{4}-\d\d-\d\d", str(value)))}
    config = Config(spec_validator_cls=None, extra_format_validators=formats)
    return OpenAPI.from_dict(_eased(spec), config=config)


def _eased(spec: dict[str, Any]) -> dict[str, Any]:
    """Mend what no real answer keeps to, and leave credentials to tests of their own."""
    for name, properties in (
        (name, schema.get("properties", {})) for name, schema in spec["components"]["schemas"].items()
    ):
        if properties.get("fields", {}).get("additionalProperties") == {"type": "object"}:
            properties["fields"] = {}  # of an issue: a label is no object
        if "idLabels" in properties:
            properties["labels"] = {}  # of a card: labels, not their ids
        if properties.get("minorEdit", {}).get("type") == "boolean":
            properties["minorEdit"] = {}  # a word in a form
        if name == "EntityPropertyBean":
            properties["value"] = {}  # any JSON, as people send it to mark a comment internal
    for methods in spec["paths"].values():
        for operation in methods.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
                for status, response in operation["responses"].items():
                    if status == "204" or not response.get("content"):
                        response.pop("content", None)
                for parameter in operation.get("parameters", []):
                    _ease_parameter(parameter)
    return spec


def _ease_parameter(parameter: dict[str, Any]) -> None:
    if parameter.get("name") in ("idLabels", "idMembers"):
        parameter["explode"] = False  # a list with commas, as their explanation has it
    if parameter.get("schema", {}).get("type") == "string":
        parameter["schema"].pop("default", None)  # false, here and there
    if parameter.get("schema", {}).get("items") == {"$ref": "#/components/schemas/StringList"}:
        parameter["schema"] = {"type": "array", "items": {"type": "string"}}  # not a list of lists


def _converted(old: dict[str, Any]) -> dict[str, Any]:
    """Turn Slack's Swagger 2 into OpenAPI 3: form parameters as a JSON body, every method by POST."""
    definitions = {name: _schema(schema) for name, schema in old["definitions"].items()}
    paths = {}
    for path, methods in old["paths"].items():
        [operation] = methods.values()
        paths[old["basePath"] + path] = {"post": _operation(operation)}
    return {"openapi": "3.0.3", "info": old["info"], "paths": paths, "components": {"schemas": definitions}}


def _operation(old: dict[str, Any]) -> dict[str, Any]:
    form = [each for each in old["parameters"] if each["in"] == "formData"]
    query = [each for each in old["parameters"] if each["in"] == "query"]
    new: dict[str, Any] = {
        "operationId": old["operationId"],
        "parameters": [
            {"in": "query", "name": each["name"], "required": each.get("required", False), "schema": _typed(each)}
            for each in query
        ],
        "responses": {
            status: {"description": "", "content": {"application/json": {"schema": _schema(each["schema"])}}}
            for status, each in old["responses"].items()
        },
    }
    if form:
        properties = {each["name"]: _typed(each) for each in form}
        required = [each["name"] for each in form if each.get("required")]
        schema = {"type": "object", "properties": properties, "required": required}
        new["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return new


def _typed(parameter: dict[str, Any]) -> dict[str, Any]:
    if parameter["name"] in ("blocks", "attachments"):
        return {"type": "array", "items": {"type": "object"}}  # JSON in a string where the body is a form
    if parameter["name"] == "inclusive" or parameter.get("type") == "boolean":
        return {}  # 1 and 0 in a form
    return {"type": parameter["type"]}


def _schema(old: Any) -> Any:
    """Move references, widen what Slack has added since 2021, and put a list of types as anyOf."""
    match old:
        case {"$ref": str() as target}:
            return {"$ref": target.replace("#/definitions/", "#/components/schemas/")}
        case {"items": list() as items, **rest}:
            return _schema({**rest, "anyOf": items})
        case {"type": list() as types, **rest}:
            return _schema({**rest, "anyOf": [{"type": each} for each in types]})
        case {"type": "null"}:
            return {"nullable": True, "enum": [None]}
        case dict():
            dropped = ("additionalProperties", "minItems", "uniqueItems", "title")
            new = {key: _schema(value) for key, value in old.items() if key not in dropped}
            if new.get("blocks") == {"type": "object"}:
                new["blocks"] = {"type": "array"}  # as the same description has it elsewhere
            return new
        case list():
            return [_schema(each) for each in old]
        case _:
            return old


def reasons(error: BaseException) -> list[str]:
    """Say what exactly a description does not allow: the innermost complaints."""
    waiting = list(getattr(error.__cause__, "schema_errors", ()))
    found = []
    while waiting:
        each = waiting.pop()
        if each.context:
            waiting += each.context
        else:
            found.append(f"{'.'.join(map(str, each.absolute_path))}: {each.message[:200]}")
    return found

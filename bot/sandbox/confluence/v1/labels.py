"""Confluence's older interface: labels."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox.confluence import tables
from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_rows import index_page, labels_of
from bot.sandbox.confluence.page_writes import permit
from bot.sandbox.confluence.v1.content import LARGEST_PAGE, label_json, listed, page_or_refuse
from bot.sandbox.web.call import Call, json_answer

routes = DeploymentRoutes()

# Confluence takes none of these in a label.
_NOT_IN_A_LABEL = re.compile(r"[:;,.\s?&\[\]()#^*@!<>\\/|~`'\"{}=+%$]")
LABEL_LIMIT = 255


@routes.both("POST", "/rest/api/content/<number>/label")
def add_labels(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    permit(call, "label")
    given = call.json_body()
    for one in given if isinstance(given, list) else [given]:
        prefix, name = _label(call, one)
        statement = insert(tables.page_label).values(page=page.id, prefix=prefix, name=name)
        call.db.execute(statement.on_conflict_do_nothing())
    index_page(call, page)
    labels = [label_json(row) for row in labels_of(call, page)]
    return json_answer(listed(call, labels, limit=LARGEST_PAGE))


def _label(call: Call, given: Any) -> tuple[str, str]:
    name = given.get("name") if isinstance(given, dict) else None
    prefix = given.get("prefix", "global") if isinstance(given, dict) else None
    if not isinstance(name, str) or not name or prefix not in ("global", "my", "team"):
        raise call.refuse(400, "A label needs a name, and one of the prefixes global, my and team.")
    if _NOT_IN_A_LABEL.search(name) or len(name) > LABEL_LIMIT:
        raise call.refuse(400, f"The label '{name[:60]}' is too long or contains invalid characters.")
    return prefix, name.lower()


@routes.datacenter.on("GET", "/rest/api/content/<number>/label")
def get_labels(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    return json_answer(listed(call, [label_json(row) for row in labels_of(call, page)], limit=LARGEST_PAGE))


@routes.both("DELETE", "/rest/api/content/<number>/label")
def remove_label_by_query(call: Call, number: str) -> Response:
    return remove_label(call, number, call.request.args.get("name", ""))


@routes.both("DELETE", "/rest/api/content/<number>/label/<name>")
def remove_label(call: Call, number: str, name: str) -> Response:
    page = page_or_refuse(call, number)
    permit(call, "label")
    where = (tables.page_label.c.page == page.id) & (tables.page_label.c.name == name)
    if not call.db.execute(tables.page_label.delete().where(where)).rowcount:
        raise call.refuse(404, f"The page {number} has no label '{name[:60]}'.")
    index_page(call, page)
    return Response(status=204)

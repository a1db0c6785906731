"""The stand-in for Confluence, Cloud and Data Center: who may call, how it refuses, all addresses together."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bot.sandbox import (
    confluence_comments,
    confluence_files,
    confluence_pages,
    confluence_tree,
    confluence_v1,
    confluence_v2,
)
from bot.sandbox.jira_refusals import authenticate_cloud, authenticate_datacenter
from bot.sandbox.web import Dialect, Routes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

_NOT_KNOWN = "Authentication is required, or the credentials are wrong."


def _error_of_cloud(status: int, text: str, path: str) -> Response:
    """Answer in the form of the interface that was asked: version 2 and what is left of version 1 differ."""
    if path.startswith(confluence_v2.API):
        return confluence_v2.error(status, text)
    return confluence_v1.error(status, text)


def _unauthorized_on_cloud() -> Response:
    return confluence_v2.error(401, _NOT_KNOWN)


def _unauthorized_on_datacenter() -> Response:
    return confluence_v1.error(401, _NOT_KNOWN)


def _error_of_datacenter(status: int, text: str, _path: str) -> Response:
    return confluence_v1.error(status, text)


@cache  # compiling the addresses takes longer than all else at the start
def cloud() -> tuple[Routes, Dialect]:
    dialect = Dialect(authenticate_cloud, _error_of_cloud, _unauthorized_on_cloud)
    more = (confluence_tree.cloud, confluence_comments.cloud, confluence_files.cloud)
    return Routes(confluence_v2.routes, confluence_v1.cloud, *more, confluence_pages.cloud), dialect


@cache
def datacenter() -> tuple[Routes, Dialect]:
    dialect = Dialect(authenticate_datacenter, _error_of_datacenter, _unauthorized_on_datacenter)
    more = (confluence_tree.datacenter, confluence_comments.datacenter)
    return Routes(confluence_v1.datacenter, *more, confluence_pages.datacenter), dialect

"""Confluence's way of saying no, which differs from interface to interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.confluence.v1 import content as content_v1
from bot.sandbox.confluence.v2 import paging
from bot.sandbox.web.credentials import authenticate_cloud, authenticate_datacenter
from bot.sandbox.web.site import Dialect

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

_NOT_KNOWN = "Authentication is required, or the credentials are wrong."


def _error_of_cloud(status: int, text: str, path: str) -> Response:
    """Answer in the form of the interface that was asked: version 2 and what is left of version 1 differ."""
    if path.startswith(paging.API):
        return paging.error(status, text)
    return content_v1.error(status, text)


def _unauthorized_on_cloud() -> Response:
    return paging.error(401, _NOT_KNOWN)


def _unauthorized_on_datacenter() -> Response:
    return content_v1.error(401, _NOT_KNOWN)


def _error_of_datacenter(status: int, text: str, _path: str) -> Response:
    return content_v1.error(status, text)


CLOUD = Dialect(authenticate_cloud, _error_of_cloud, _unauthorized_on_cloud)
DATACENTER = Dialect(authenticate_datacenter, _error_of_datacenter, _unauthorized_on_datacenter)

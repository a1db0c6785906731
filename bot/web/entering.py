"""The page that a reader asked for before the token was asked of them: they are led there once it is named."""

from __future__ import annotations

import re

from starlette.requests import Request

_STEP = r"[A-Za-z0-9][A-Za-z0-9_.-]*"  # a slug: no scheme, no host, no way up
_OURS = re.compile(rf"(?:{_STEP}(?:/{_STEP})*)?(?:\?[A-Za-z0-9_.~%&=+-]*)?")
_LONGEST = 1_000  # characters


def wanted_by(request: Request) -> str:
    """Return the page that is asked for, from the root on, with its question; empty for what is no page of ours."""
    query = request.url.query
    return ours(str(request.scope["path"]).removeprefix("/") + (f"?{query}" if query else ""))


def ours(given: str) -> str:
    """Return a way within our own pages as it is, and nothing of what may lead anywhere else."""
    return given if len(given) <= _LONGEST and _OURS.fullmatch(given) else ""

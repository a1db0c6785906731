"""How a secret may stand in what others say."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus


def forms_of(secret: str) -> frozenset[str]:
    """Return a secret as it may stand in others' words: in an address, in JSON, in what Python shows of it, in part."""
    parts = {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}
    return frozenset(
        form
        for part in parts
        for form in (
            part,
            quote(part, safe="", errors="replace"),
            quote_plus(part, errors="replace"),
            json.dumps(part)[1:-1],
            json.dumps(part, ensure_ascii=False)[1:-1],
            repr(part)[1:-1],
            repr(part.encode("utf-8", "replace"))[2:-1],
        )
        if part
    )

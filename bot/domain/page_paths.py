"""What the pages in a browser are called, below wherever they are shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from bot.domain.views import LivePage

HOME = ""
DIGESTS = "digests"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


def pipeline_path(name: str) -> str:
    return f"pipelines/{slug(name)}"


def slices_path(name: str, metric: str) -> str:
    return f"slices/{slug(name)}/{slug(metric)}"


def run_path(name: str, run_id: str) -> str:
    return f"runs/{slug(name)}/{slug(run_id)}"


def comparison_path(name: str, before: str, after: str) -> str:
    return f"compare/{slug(name)}/{slug(before)}...{slug(after)}"


def incident_path(incident_id: str) -> str:
    return f"incidents/{slug(incident_id)}"


def digest_path(snapshot_id: str) -> str:
    return f"digests/{slug(snapshot_id)}"


def live_page(base: str, path: str) -> LivePage | None:
    """Return a page by its whole address; None where config does not say where the pages are."""
    return LivePage(f"{base}/{path}") if base else None


def named(wanted: str, names: Iterable[str]) -> str | None:
    """Return the name that stands in a path as *wanted*, of those that there are."""
    return next((name for name in names if slug(name) == wanted), None)


def slug(name: str) -> str:
    """Write a name so that it is one step of a path, whatever it is made of."""
    if _SAFE.fullmatch(name) and "..." not in name:
        return name
    return f"x-{hashlib.sha256(name.encode()).hexdigest()[:16]}"

"""What the doctor looks at for every cluster: whether its jobs could reach MLflow at the address they are given."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from bot.domain.checks import Check

_REMEDY = (
    "Give it the address of an MLflow server that the cluster reaches: tracking_uri in the section of the executor."
)


def check_tracking(address: str) -> Iterator[Check]:
    """Warn of an address of MLflow that means something else on another machine, or nothing."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        said = f"jobs are told to log to {parts.scheme or 'a folder'}:..., which is on this machine alone"
        yield Check("mlflow", ok=False, said=said, remedy=_REMEDY)
    elif _is_loopback(parts.hostname or ""):
        said = f"jobs are told to log to {parts.hostname}, which is each machine itself"
        yield Check("mlflow", ok=False, said=said, remedy=_REMEDY)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified

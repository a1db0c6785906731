"""What Herald sets in its environment for the libraries of its own process, and what no job of its takes over."""

from __future__ import annotations

import os

_own: dict[str, str] = {}


def set_for_herald_alone(name: str, value: str) -> None:
    """Set a variable, unless whoever started Herald has."""
    if name not in os.environ:
        os.environ[name] = _own[name] = value


def environment_for_others() -> dict[str, str]:
    """Return the environment that Herald was started with."""
    return {name: value for name, value in os.environ.items() if _own.get(name) != value}

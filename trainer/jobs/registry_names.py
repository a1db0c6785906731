"""Names that MLflow and its registry take: known before a fit, which registers its model last of all."""

import re
from collections.abc import Mapping
from posixpath import normpath
from typing import TypeVar

Values = TypeVar("Values", bound=Mapping[str, object])

RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
KEY = re.compile(r"[/\w.\- :]{1,250}")
ALIAS = re.compile(r"[\w-]{1,255}")


def check_registered(name: str) -> str:
    """Give a registered model's name; raise ValueError for one that stands for nothing in models:/NAME."""
    if not name.strip() or "/" in name or ":" in name:
        raise ValueError("the registry takes no name that is blank or holds / or :")
    return name


def check_alias(alias: str) -> str:
    """Give an alias of a version; raise ValueError for one that MLflow takes for none, or keeps for itself."""
    if not ALIAS.fullmatch(alias):
        raise ValueError("the registry takes letters, digits, _ and -, 255 at most")
    if RESERVED.fullmatch(alias):
        raise ValueError("the registry keeps latest, and v with a number, for itself; another word is right")
    return alias


def check_keys(named: Values) -> Values:
    """Give what is told by name; raise ValueError where MLflow takes none of that name."""
    for name in named:
        if not KEY.fullmatch(name) or normpath(name) != name or name.startswith((".", "/")):
            raise ValueError(
                f"no name {name!r} is taken by MLflow: letters, digits, _.-: blanks and / between them are, 250 at most"
            )
    return named

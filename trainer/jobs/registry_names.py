"""Names that MLflow's registry takes: known before a fit, which registers its model last of all."""

import re

RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
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

"""Keys of the configuration as its file has them: a part that TOML does not take as it is stands in quotes."""

from __future__ import annotations

import json
import re


def key_path(*parts: str) -> str:
    """Write the path to a key, such as `pipeline.search.metrics."ndcg@10"`, to be copied into the file."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quoted(part) for part in parts)


def quoted(text: str) -> str:
    """Write a text as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""A job fitted in this process, and what it came to."""

import json
from pathlib import Path

from trainer.__main__ import main


def fit(job: Path, *overrides: str) -> int:
    return main(["fit", str(job), *(word for override in overrides for word in ("--set", override))])


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())

"""What a run tells beside the numbers of its model: further metrics and params, a part of its summary, a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.results.result_files import write_json


@dataclass(frozen=True, slots=True)
class Appendix:
    """What the command that made the model knows of it."""

    params: Mapping[str, str | int | float | bool]
    metrics: Mapping[str, float]
    page: str  # of markdown, below the summary
    file: str  # its name
    content: Mapping[str, Any]

    def write(self, folder: Path, summary: Path) -> None:
        """Write the file, and the page below what the summary says."""
        write_json(self.content, folder / self.file)
        summary.write_text(f"{summary.read_text(encoding='utf-8')}\n{self.page}", encoding="utf-8")

"""The copy of a cluster's log in the job's own folder: fetched part by part, whole after any interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bot.executors.job_logs import log_in, make_room
from bot.ports import Executor, Job


@dataclass(frozen=True, slots=True)
class FetchedLog:
    """A job's log as far as it was fetched; a note beside it says how far that is.

    The note is put in its place after the part it speaks of is written, so what stands behind it is fetched again.
    """

    executor: Executor
    job: Job

    def fetch_part(self) -> bool:
        """Add the next part; says whether there was one.

        Raises:
            ExecutorAwayError: where the cluster cannot be asked.
            OSError: where it cannot be written.
        """
        offset, size = self._noted()
        part = self.executor.log(self.job, offset)
        if not part.data:
            return False
        path = log_in(self.job.folder)
        with path.open("r+b") as copy:
            copy.truncate(size)
            copy.seek(size)
            copy.write(part.data)
        self._note(part.offset, size + len(part.data))
        if self.job.log_limit is not None:
            make_room(path, self.job.log_limit)
        return True

    @property
    def _place(self) -> Path:
        return self.job.folder / "fetched"

    def _noted(self) -> tuple[int, int]:
        """Return how far the cluster's log was fetched, and the size of the copy then."""
        try:
            offset, size = json.loads(self._place.read_text(encoding="utf-8"))
            return int(offset), int(size)
        except (OSError, ValueError, TypeError, RecursionError):
            return 0, 0

    def _note(self, offset: int, size: int) -> None:
        new = self._place.with_name("fetched.new")
        new.write_text(json.dumps([offset, size]), encoding="utf-8")
        new.replace(self._place)

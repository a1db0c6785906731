"""What config says of running jobs on this machine: nothing but that."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from bot.sections import Section


class LocalSection(Section):
    kind: Literal["local"] = "local"

    is_local: ClassVar[bool] = True
    look_every: ClassVar[timedelta] = timedelta(0)  # each time that anybody looks at anything
    tracking_uri: ClassVar[str] = ""
    place: ClassVar[str] = ""  # its jobs_folder, which has a name of its own

    def page_of(self, job: str) -> str:
        """Return nothing: a process has no page."""
        del job
        return ""

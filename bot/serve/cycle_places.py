"""The places that pipelines take while they are seen to: of jobs as many as config says, of looks a few."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bot.config.models import Config
from bot.pipeline.rerun_places import places_taken

LOOKS_AT_ONCE = 8  # pipelines without a job; what they read is MLflow's, and that may be one SQLite file


@dataclass(slots=True)
class CyclePlaces:
    """What is taken, and by whom; counted when somebody comes, however many wait.

    Pipelines at which others are at work, such as `herald run`, take the places of jobs too; each takes one more a job
    beyond its first.
    """

    config: Config
    at_work: set[str]  # pipelines that this Herald is seeing to
    elsewhere: Collection[str]  # those that others are
    running: Mapping[str, int]  # jobs of each
    _looks: int = field(init=False)
    _jobs: int = field(init=False)

    def __post_init__(self) -> None:
        self._count()

    def are_left_for(self, name: str) -> bool:
        """Say whether the limit of jobs lets a pipeline start, or that of looks where it has no job."""
        return self._looks < LOOKS_AT_ONCE if self._only_looks(name) else self._jobs < self.config.jobs_at_once

    def take(self, name: str) -> None:
        self.at_work.add(name)
        self._count()

    def _count(self) -> None:
        self._looks = sum(self._only_looks(name) for name in self.at_work)
        self._jobs = places_taken(self.config, self.at_work.union(self.elsewhere), self.running)

    def _only_looks(self, name: str) -> bool:
        return name in self.config.pipeline and self.config.pipeline[name].job is None

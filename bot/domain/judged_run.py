"""A run as it was judged: what stays on record of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.incidents import SeriesKey
from bot.domain.judge.findings import Assessment, Finding, Outcome, SeriesState
from bot.domain.runs import DataCard, Run, Unread


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run as it was judged; what its artifacts held beyond the data card stays in MLflow."""

    run: Run
    series: SeriesKey
    card: DataCard
    findings: tuple[Finding, ...]
    outcome: Outcome
    accepted: bool  # without rules
    wants_confirmation: bool
    judged_at: datetime
    fire_id: str | None = None
    page_title: str | None = None
    unread: tuple[Unread, ...] = ()  # what it was judged without, since it could not be read
    plain: tuple[Finding, ...] | None = None  # what is found without rules; None: they changed nothing

    @property
    def assessment(self) -> Assessment:
        """What was said of the run; the state has moved on since."""
        return Assessment(self.run.run_id, self.findings, SeriesState(), self.wants_confirmation)

    @property
    def without_rules(self) -> JudgedRun:
        """The run as it would stand if no rule had been made."""
        if self.plain is None:
            return self
        said = Assessment(self.run.run_id, self.plain, SeriesState())
        return replace(self, findings=self.plain, outcome=said.outcome, plain=None)

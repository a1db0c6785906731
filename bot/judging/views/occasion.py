"""One run that was just judged, with everything that what is shown of it may need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.config.pipeline import PipelineSection
from bot.domain.incidents import Incident, Step
from bot.domain.judge import Assessment
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import Places
from bot.domain.objects import ObjectKey
from bot.domain.rerun_answers import Confirmation
from bot.domain.rules import Rule
from bot.domain.runs import Baseline, RunResult
from bot.domain.worst_examples import WorstExamples
from bot.text.locales import Locale


@dataclass(frozen=True, slots=True)
class Occasion:
    """One run that was just judged, with everything that what is shown of it may need."""

    title: str  # of the pipeline, and of the series where there are several
    config: PipelineSection
    locale: Locale
    channel_locale: Locale  # of what is said in the channel
    zone: ZoneInfo
    places: Places
    result: RunResult
    assessment: Assessment
    baseline: Baseline
    history: Sequence[JudgedRun]  # of the series, this run included, oldest first
    steps: Sequence[Step]
    standing: Sequence[Incident]  # open after this run
    now: datetime
    page: ObjectKey | None = None  # the run's own
    names: Mapping[str, JudgedRun] = field(default_factory=dict)  # of runs that incidents speak of, by id
    reruns: Mapping[str, Confirmation] = field(default_factory=dict)  # what they came to, by the run asked about
    rules: Sequence[Rule] = ()  # of the pipeline, that hold
    log_tail: str = ""
    said: str = ""  # why the runs, or a cluster, could not be asked, in the words of whoever was
    waiting: Sequence[str] = ()  # titles of the pipelines whose jobs wait for a cluster
    exit_code: str = ""
    worst: Mapping[str, WorstExamples] = field(default_factory=dict)  # examples, by the finding that they are of

    @property
    def for_channel(self) -> Occasion:
        """The same, for who reads the channel."""
        return replace(self, locale=self.channel_locale)

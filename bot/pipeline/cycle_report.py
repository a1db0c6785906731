"""What a cycle did, run by run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bot.domain.judge.findings import Outcome
from bot.domain.judged_run import JudgedRun
from bot.judging.unjudged_metrics import UnjudgedMetric
from bot.store.quarantine import SetAside

_GOOD = {Outcome.OK, Outcome.IMPROVED}
_BAD = {Outcome.SUSPICIOUS, Outcome.REGRESSED}


@dataclass(slots=True)
class CycleReport:
    """What a cycle did, run by run."""

    judged: list[JudgedRun] = field(default_factory=list)
    set_aside: Sequence[SetAside] = ()  # of the pipeline, since when ever
    history: int = 0  # runs that were there at first contact
    trouble: str = ""  # why there was nothing to look at
    unseen: str = ""  # why it could not be looked
    unjudged: Sequence[UnjudgedMetric] = ()  # metrics that cannot be judged
    busy: bool = False  # another Herald is at work on this pipeline
    elsewhere: bool = False  # a job of it lives, or may live, where only another Herald can see it

    def take(self, found: Iterable[JudgedRun]) -> None:
        """Add runs that were judged; of one that reruns settled only what is said of it now is kept."""
        for judged in found:
            self.judged = [each for each in self.judged if each.run.run_id != judged.run.run_id] + [judged]

    @property
    def bad_and_over(self) -> int:
        """Count the bad runs after which their series had a good one."""
        good = {
            each.series: each.run.place
            for each in sorted(self.judged, key=lambda run: run.run.place)
            if each.outcome in _GOOD
        }
        bad = [each for each in self.judged if each.outcome in _BAD]
        return sum(each.series in good and each.run.place < good[each.series] for each in bad)

    @property
    def is_hopeless(self) -> bool:
        """Say whether no run that was judged has ever had anything to be judged by."""
        found = [finding for judged in self.judged for finding in judged.findings]
        return bool(found) and all(finding.is_unheard_of for finding in found)

"""What the judge says: findings, the assessment of a run, and the state a series carries forward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.runs import Slice, Where


class Outcome(StrEnum):
    IMPROVED = "improved"
    OK = "ok"
    NO_BASELINE = "no_baseline"
    INSUFFICIENT_DATA = "insufficient_data"
    SUSPICIOUS = "suspicious"
    OUTSIDE = "outside"  # a limit is broken, and one run proves nothing
    BREACHED = "breached"  # a limit is broken for certain
    REGRESSED = "regressed"
    INVALID = "invalid"
    STALE = "stale"
    FAILED = "failed"
    BLIND = "blind"  # the runs cannot be looked at
    AWAY = "away"  # a cluster cannot be asked about jobs

    @property
    def severity(self) -> int:
        """Order outcomes from the best news to the worst."""
        return _SEVERITY[self]

    @property
    def is_acceptable(self) -> bool:
        """Say whether a run with this outcome becomes baseline without a person's word."""
        return self.severity < Outcome.SUSPICIOUS.severity

    @property
    def is_certain(self) -> bool:
        """Say whether a bad outcome is one for certain: it waits for no other run."""
        return self not in {Outcome.SUSPICIOUS, Outcome.OUTSIDE}


_SEVERITY = {outcome: order for order, outcome in enumerate(Outcome)}


class Reason(StrEnum):
    """Why a finding has its outcome; one name a reason, so that a sentence can be made of it."""

    WITHIN_SPREAD = "within_spread"
    BELOW_MIN_EFFECT = "below_min_effect"
    ROWS_AGREE = "rows_agree"  # the level moved, but example by example nothing is certain
    BEYOND_SPREAD = "beyond_spread"
    CONFIRMED = "confirmed"
    LEVEL_FELL = "level_fell"  # the runs since the onset, taken together
    FELL_FURTHER = "fell_further"  # from a level that had fallen before
    LEVEL_ROSE = "level_rose"
    DECAYED = "decayed"  # from the best level within memory, in steps too small to be seen one by one
    FIRST_RUNS = "first_runs"
    NOT_REPRODUCED = "not_reproduced"  # it looked worse, and reruns did not
    WITHIN_LIMITS = "within_limits"
    ABOVE_LIMIT = "above_limit"
    BELOW_LIMIT = "below_limit"
    MISSING = "missing"
    UNDEFINED = "undefined"  # missing, and the run says why: its data leave nothing to measure
    NOT_A_NUMBER = "not_a_number"
    ABSURD = "absurd"  # so large that floats hold no differences of it; MLflow keeps an infinity as such a number
    OUT_OF_BOUNDS = "out_of_bounds"
    DATA_CHANGED = "data_changed"
    RUN_FAILED = "run_failed"
    SILENCE = "silence"
    UNSEEN = "unseen"
    UNANSWERED = "unanswered"


class Against(StrEnum):
    """Which baseline a finding's numbers are held against."""

    RECENT = "recent"  # the recent accepted runs
    PINNED = "pinned"  # the pinned release
    BEST = "best"  # the best level that a number of accepted runs held within memory


class Method(StrEnum):
    NONE = "none"
    PREDICTIVE_T = "predictive_t"  # the run against the spread of accepted runs
    PREDICTIVE_AND_PAIRED_T = "predictive_and_paired_t"  # and example by example
    LEVELS = "levels"  # the level of recent runs against that of all before: evidence gathered over runs


class Caveat(StrEnum):
    """Why an alarm in such a metric is likelier to be false than others."""

    WANDERS = "wanders"  # neighbouring runs resemble each other
    TWO_LEVELS = "two_levels"  # runs stay at one of two levels for a while
    COPIES = "copies"  # runs hardly differ from those before, as retries do


def key_of(metric: str, part: Slice | None) -> str:
    """Name the series of a metric, or of one slice of it, within the run's series."""
    return metric if part is None else f"{metric} [{part}]"


def is_combination(key: str) -> bool:
    """Say whether a key is of a slice within another: of several columns, each with its value."""
    return key.partition(" [")[2].count("=") > 1 and ", " in key


def whole_of(key: str) -> str:
    """Return the metric of a key; the key itself where it is of no slice. MLflow allows no bracket in a metric."""
    return key.partition(" [")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of one metric (and slice) of a run, with the numbers that led to it.

    Changes and their interval are in the metric's unit, candidate minus baseline, whatever the direction.
    """

    metric: str
    outcome: Outcome
    reason: Reason
    part: Slice | None = None
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    change_low: float | None = None  # 95 % interval
    change_high: float | None = None
    spread: float | None = None  # standard deviation between runs
    p_runs: float | None = None  # one-sided in the direction of the change, against the spread of runs
    p_rows: float | None = None  # one-sided in the direction of the change, paired over examples
    detectable: float | None = None  # smallest change this much data could have shown, with a power of 80 %
    n_baseline: int = 0
    n_since: int = 1  # newest runs whose mean, less the baseline, is the change
    n_examples: int = 0
    share_of_loss: float | None = None  # of the whole metric's fall, by weight; slices only
    method: Method = Method.NONE
    onset: str | None = None  # id of the run at which it began
    against: Against = Against.RECENT
    caveat: Caveat | None = None
    where: Where | None = (
        None  # of whole metrics: the smallest set that explains a fall; None where there are no slices
    )
    confirms: bool = True  # whether it makes certain what the run before let suspect
    limit: float | None = None  # the end of its limits that the value is beyond, or nearer to

    @property
    def is_absent(self) -> bool:
        """Say whether the run has no such metric: of its level that says nothing."""
        return self.reason in {Reason.MISSING, Reason.UNDEFINED}

    @property
    def is_unheard_of(self) -> bool:
        """Say whether no run has ever had this metric: its name is wrong, rather than the run."""
        return self.reason is Reason.MISSING and self.outcome is Outcome.NO_BASELINE

    @property
    def relative(self) -> float | None:
        if self.change is None or not self.baseline:
            return None
        return self.change / abs(self.baseline)

    @property
    def level(self) -> float | None:
        """The level that the change leads to from the baseline: this run's value, or the mean of the newest runs."""
        return self.value if self.change is None or self.baseline is None else self.baseline + self.change

    @property
    def key(self) -> str:
        """Name the series this finding belongs to within the run's series."""
        return key_of(self.metric, self.part)


def unjudged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those that say of a whole metric nothing but that it cannot be judged."""
    whole = (finding for finding in findings if finding.part is None)
    return tuple(f for f in whole if f.outcome is Outcome.INVALID or f.is_unheard_of or f.reason is Reason.UNDEFINED)


def serving(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the metrics that are there and nothing is wrong with."""
    whole = (finding for finding in findings if finding.part is None)
    return frozenset(f.metric for f in whole if f.outcome.is_acceptable and f.value is not None)


@dataclass(frozen=True, slots=True)
class Streak:
    """Bad runs in a row of one metric or slice: suspicious or regressed ones, or such as break a limit."""

    onset: str  # run id
    length: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class SeriesState:
    """What a series carries from run to run, so that judging costs what is new."""

    judged: int = 0
    streaks: Mapping[str, Streak] = field(default_factory=dict)  # by Finding.key
    memory: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by metric: numbers only the judge reads
    level_from: Mapping[str, str] = field(default_factory=dict)  # by metric: the run a person accepted a fall with
    watched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by metric: ids of its runs, newest last
    levels: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by metric: what `best_level` keeps
    unfit: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # by slice: runs in which it was bad, newest last
    made_by: str = ""  # the newest run's parameters, told apart from others by it
    breaches: Mapping[str, Streak] = field(default_factory=dict)  # by metric: runs in a row that break its limits


@dataclass(frozen=True, slots=True)
class Assessment:
    """All findings of one run, judged together, and the series' state after it."""

    run_id: str
    findings: tuple[Finding, ...]
    state: SeriesState
    wants_confirmation: bool = False

    @property
    def outcome(self) -> Outcome:
        """The worst of the findings on whole metrics; slices explain, they do not decide."""
        whole = [f for f in self.findings if f.part is None]
        known = [f.outcome for f in whole if not f.is_unheard_of]
        return max(known, key=lambda outcome: outcome.severity, default=Outcome.NO_BASELINE)

    @property
    def accepted(self) -> bool:
        """Say whether the run may serve as baseline: for what it has, so that a metric it lacks starves no other."""
        whole = [f for f in self.findings if f.part is None]
        there = [f for f in whole if not f.is_absent]
        return all(f.outcome.is_acceptable for f in there) and bool(there or not whole)

    @property
    def serves(self) -> frozenset[str]:
        """The metrics that the run may serve as baseline for, whatever is wrong with its others."""
        return serving(self.findings)

    def with_outcome(self, *outcomes: Outcome) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.outcome in outcomes)

"""The life of an incident: opened once, joined, ended by recovery or doubt; long, since a life is read as one page.

candidate --confirmed--> open --recovered or answered--> resolved
|                        | ^
|                        v | said to be fixed, and bad once more
|                       watched --good runs confirm it, or bad only long after a person closed it--> resolved
+--not reproduced--> dismissed
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from bot.domain.judge.findings import Assessment, Finding, Outcome, Reason, is_combination, whole_of
from bot.domain.last_words import NOTHING_SAID, LastWord, News, Worst, news_since, worsened
from bot.domain.owners import OwnedPart, share_out
from bot.domain.policy import IncidentPolicy


class Kind(StrEnum):
    REGRESSED = "regressed"
    BREACHED = "breached"  # a metric is beyond its limits
    INVALID = "invalid"
    FAILED = "failed"
    STALE = "stale"
    BLIND = "blind"  # its runs cannot be looked at
    AWAY = "away"  # a cluster cannot be asked about jobs, of this pipeline and others


def kind_of(outcome: Outcome) -> Kind | None:
    """Return the kind of incident that an outcome opens or joins; None where it is no cause for one."""
    match outcome:
        case Outcome.SUSPICIOUS | Outcome.REGRESSED:
            return Kind.REGRESSED
        case Outcome.OUTSIDE | Outcome.BREACHED:
            return Kind.BREACHED
        case Outcome.INVALID:
            return Kind.INVALID
        case Outcome.FAILED:
            return Kind.FAILED
        case Outcome.STALE:
            return Kind.STALE
        case Outcome.BLIND:
            return Kind.BLIND
        case Outcome.AWAY:
            return Kind.AWAY
        case Outcome.IMPROVED | Outcome.OK | Outcome.NO_BASELINE | Outcome.INSUFFICIENT_DATA:
            return None
        case _:
            assert_never(outcome)


UNSEEN = frozenset({Kind.STALE, Kind.BLIND, Kind.AWAY})  # the next run, look or answer ends them by itself
_NO_RUN = frozenset({Outcome.STALE, Outcome.BLIND, Outcome.AWAY})
_NO_VALUE = frozenset({Reason.NOT_A_NUMBER, Reason.ABSURD, Reason.OUT_OF_BOUNDS})  # that limits could be asked of


class IncidentState(StrEnum):
    CANDIDATE = "candidate"
    OPEN = "open"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"

    @property
    def is_over(self) -> bool:
        return self in {IncidentState.RESOLVED, IncidentState.DISMISSED}


@dataclass(frozen=True, slots=True)
class SeriesKey:
    pipeline: str
    series: str = ""  # `params.model=two-tower`, empty where the pipeline is one series


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody says that it is fixed: the next runs show whether it is."""

    since: datetime  # runs that ended before say nothing of it
    runs: int  # good ones in a row that confirm it
    unclear: int = 0  # runs that could be of the level before as well as of the fallen one


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that went wrong; its id is minted when it opens and never computed again."""

    incident_id: str
    kind: Kind
    series: SeriesKey
    state: IncidentState
    opened_by: str  # the first bad run; the fire, where a job left no run
    opened_at: datetime  # by Herald's clock
    metrics: tuple[str, ...] = ()  # keys of the findings that fell, slices included
    bad_runs: tuple[str, ...] = ()
    good_runs: int = 0  # in a row, since the last bad one
    told_at: datetime | None = None  # when the ticket last heard of it
    closed_at: datetime | None = None  # by Herald's clock
    estimated_onset: str = ""  # the run at which the judge holds that it began
    began_at: datetime | None = None  # end of the onset's run, or of the last run before a silence
    recovered_at: datetime | None = None  # end of the first of the good runs
    recovered_by: str = ""  # that run
    worst: tuple[Worst, ...] = ()  # of what fell, over all bad runs
    last_word: LastWord = NOTHING_SAID
    watch: Watch | None = None
    is_hushed: bool = False  # a rule keeps, or has kept, people from hearing how it goes on
    parts: tuple[OwnedPart, ...] = ()  # a ticket each; none: one ticket, the pipeline's own
    closed_by_herald: bool = False  # it was over by its runs alone, and Herald closed its tickets for that
    waits_since: datetime | None = None  # for an answer: when people were told of it anew
    reminded_at: datetime | None = None  # that nobody has answered since then
    closed_by_people: bool = False  # its ticket, while it goes on: a person's word, which Herald does not undo
    ticket_gone_at: datetime | None = None  # when it was noticed that its ticket was deleted or hidden
    follows: str = ""  # the id of an earlier incident of the same

    @property
    def fallen(self) -> frozenset[str]:
        """Keys of all that fell by itself: whole metrics, and slices of others."""
        return self.whole | self.slices

    @property
    def whole(self) -> frozenset[str]:
        """The whole metrics that fell."""
        return frozenset(key for key in self.metrics if whole_of(key) == key)

    @property
    def slices(self) -> frozenset[str]:
        """The keys of slices that fell by themselves: where the whole metric fell too, its slices only explain."""
        return frozenset(key for key in self.metrics if whole_of(key) not in self.whole)

    @property
    def onset(self) -> str:
        return self.estimated_onset or (self.bad_runs[0] if self.bad_runs else self.opened_by)

    @property
    def since(self) -> datetime:
        """When it began, by the runs' own clock."""
        return self.began_at or self.opened_at

    @property
    def was_seen_recovering(self) -> bool:
        """Say whether good runs ended it: not somebody's word, nor late runs by which it never was for certain."""
        return self.recovered_at is not None

    def split(self) -> tuple[Incident, ...]:
        """Return the incident as each owner has it, in the order of their tickets."""
        if not self.parts:
            return (self,)
        return tuple(replace(self, metrics=self._keys_of(part), parts=(part,)) for part in self.parts)

    def _keys_of(self, part: OwnedPart) -> tuple[str, ...]:
        """Return what fell of a part, with the slices that only explain its metrics."""
        others = {key for each in self.parts if each is not part for key in each.keys}
        return tuple(k for k in self.metrics if k in part.keys or (whole_of(k) in part.keys and k not in others))

    @property
    def part_id(self) -> str:
        """Name it as one owner has it; by its own id where several do."""
        return f"{self.incident_id}-{self.parts[0].place}" if len(self.parts) == 1 else self.incident_id

    def lasted(self, now: datetime) -> timedelta:
        """Return how long it lasted by the runs' own clock: from its onset to the first good run, or until *now*."""
        return max((self.recovered_at or now) - self.since, timedelta(0))


class Turn(StrEnum):
    """What an assessment did to an incident."""

    SUSPECTED = "suspected"
    FILED = "filed"
    REPEATED = "repeated"
    COUNTED = "counted"  # repeated, too soon after the last word to say so again
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"  # no run showed it well again: with late runs in their places it never was for certain
    DISMISSED = "dismissed"
    LEFT = "left"  # where a person closed it, and long after that a new one begins: of this one nothing more is said
    WATCHED = "watched"  # a run after somebody said that it is fixed, which does not settle it yet
    CONFIRMED = "confirmed"  # it is fixed, as somebody said
    REOPENED = "reopened"  # it is not
    HUSHED = "hushed"  # what people would have heard, but for a rule
    SAID_AGAIN = "said_again"  # a rule that kept it quiet is over, and it still stands
    RETURNED = "returned"  # it was over, and is back
    REMINDED = "reminded"  # nobody has answered for long


@dataclass(frozen=True, slots=True)
class Step:
    """An incident after one assessment, and the turn it took."""

    incident: Incident
    turn: Turn
    news: News | None = None  # since the last word; where there is a word now

    @property
    def is_recovery(self) -> bool:
        return self.turn in {Turn.RESOLVED, Turn.CONFIRMED}

    @property
    def is_end(self) -> bool:
        """Say whether people hear with it that an incident is over."""
        return self.is_recovery or self.turn is Turn.WITHDRAWN

    def split(self) -> tuple[Step, ...]:
        """Return the step as each owner hears of it: who had nothing before hears of something new, or of nothing."""
        return tuple(replace(self, incident=part, turn=self._heard_by(part)) for part in self.incident.split())

    def _heard_by(self, part: Incident) -> Turn:
        again = {Turn.REPEATED, Turn.REOPENED, Turn.SAID_AGAIN, Turn.RETURNED}
        if len(self.incident.parts) <= 1 or self.turn not in again or self.news is None:
            return self.turn
        keys = part.parts[0].keys
        if self.news.opens(keys):
            return Turn.FILED
        return self.turn if self.turn is not Turn.REPEATED or self.news.concerns(keys) else Turn.COUNTED


def speak(incident: Incident, turn: Turn, now: datetime, shown: Iterable[str] | None = None) -> Step:
    """Let people hear of an incident as it stands, and note what they hear; by a run that has *shown* what fell."""
    told = LastWord(len(incident.bad_runs), tuple(sorted(incident.fallen)), incident.worst)
    news = news_since(incident.last_word, told.bad_runs, told.fallen, told.worst, shown)
    incident = replace(incident, told_at=now, last_word=told)
    if turn is not Turn.REPEATED:
        incident = replace(incident, waits_since=now, reminded_at=None, closed_by_people=False)
    return Step(incident, turn, news)


def mint_id(series: SeriesKey, kind: Kind, opened_by: str) -> str:
    """Make the id of an incident from what it is about and what opened it."""
    text = "\x1f".join((series.pipeline, series.series, kind, opened_by))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def advance(
    incidents: Sequence[Incident],
    assessment: Assessment,
    series: SeriesKey,
    policy: IncidentPolicy,
    now: datetime,
    ends: Mapping[str, datetime] = MappingProxyType({}),
) -> tuple[Step, ...]:
    """Apply the assessment of one run to the series' incidents that are not over, opening one where needed.

    Returns a step for each incident that changed. *opened_by* of a new incident is the assessed run. *ends* says when
    the series' runs ended, by their ids: by them people are told since when, and for how long; *now*, Herald's own
    clock, stands in for a run that it lacks.
    """
    steps = _steps(incidents, assessment, series, policy, now, ends)
    return tuple(_dated(step, assessment, ends, now) for step in steps)


def _dated(step: Step, assessment: Assessment, ends: Mapping[str, datetime], now: datetime) -> Step:
    """Note when an incident began and when it was over, by its runs' own ends."""
    incident = step.incident
    if step.turn is Turn.FILED:
        onset = _earliest_onset(assessment, incident, ends)
        incident = replace(incident, estimated_onset=onset, began_at=ends.get(onset, incident.began_at))
    if incident.began_at is None:
        incident = replace(incident, began_at=ends.get(incident.onset))
    if incident.good_runs == 0 and step.turn is not Turn.DISMISSED:
        incident = replace(incident, recovered_at=None, recovered_by="")
    elif incident.recovered_at is None:
        by = assessment.run_id
        incident = replace(incident, recovered_at=ends.get(by, now), recovered_by=by)
    return replace(step, incident=incident)


def _earliest_onset(assessment: Assessment, incident: Incident, ends: Mapping[str, datetime]) -> str:
    """Return the run with which the judge holds that it began, of several metrics the first that fell; or nothing."""
    fallen = assessment.with_outcome(Outcome.REGRESSED) if incident.kind is Kind.REGRESSED else ()
    onsets = [f.onset for f in fallen if (f.part is None or f.key in incident.slices) and f.onset in ends]
    return min((onset for onset in onsets if onset is not None), key=lambda onset: ends[onset], default="")


def _steps(
    incidents: Sequence[Incident],
    assessment: Assessment,
    series: SeriesKey,
    policy: IncidentPolicy,
    now: datetime,
    ends: Mapping[str, datetime],
) -> tuple[Step, ...]:
    steps: list[Step] = []
    ended = ends.get(assessment.run_id, now)
    standing_of = {incident.kind: incident for incident in reversed(incidents) if not incident.state.is_over}
    alone = fallen_alone(assessment, standing_of.get(Kind.REGRESSED))
    bad = _bad_findings(assessment, alone)
    for kind, findings in bad.items():
        standing = standing_of.get(kind)
        certain = any((f.part is None or f in alone) and f.outcome.is_certain for f in findings)
        if certain or standing is None or standing.state is IncidentState.CANDIDATE:
            opened = standing or Incident(
                mint_id(series, kind, assessment.run_id),
                kind,
                series,
                IncidentState.CANDIDATE,
                opened_by=assessment.run_id,
                opened_at=now,
            )
            worsened_step = _worsen(opened, findings, assessment.run_id, policy, now, certain=certain)
            if opened.watch is None:
                steps.append(worsened_step)
                continue
            doubted = _doubt_fix(opened, worsened_step, findings, ended, now)
            is_anew = doubted.turn is Turn.REOPENED and _was_left(opened, policy, ended)
            steps += _begin_anew(opened, findings, assessment.run_id, policy, now) if is_anew else (doubted,)
    for incident in incidents:
        if not incident.state.is_over and incident.kind not in bad:
            steps.extend(_mend(incident, assessment, policy, now, ended))
    return tuple(steps)


def fallen_alone(assessment: Assessment, standing: Incident | None = None) -> tuple[Finding, ...]:
    """Return the slices that have fallen for certain and whose whole metric has not: that is a problem of its own."""
    told = {f.metric for f in assessment.with_outcome(Outcome.REGRESSED, Outcome.INVALID) if f.part is None}
    told |= standing.whole if standing is not None else frozenset()
    fallen = assessment.with_outcome(Outcome.REGRESSED)
    return tuple(f for f in fallen if f.part is not None and f.metric not in told)


def _bad_findings(assessment: Assessment, alone: Sequence[Finding]) -> dict[Kind, tuple[Finding, ...]]:
    """Return the findings that are a cause for an incident, with the slices that explain them."""
    found = {kind: tuple(f for f in assessment.findings if kind_of(f.outcome) is kind) for kind in Kind}
    bad = {kind: findings for kind, findings in found.items() if any(f.part is None for f in findings)}
    whole = {f.metric for f in bad.get(Kind.REGRESSED, ()) if f.part is None}
    fell = tuple(f for f in found[Kind.REGRESSED] if (f.metric in whole if f not in alone else True))
    return {**bad, Kind.REGRESSED: fell} if whole or alone else bad


def _worsen(
    incident: Incident,
    findings: tuple[Finding, ...],
    run_id: str,
    policy: IncidentPolicy,
    now: datetime,
    *,
    certain: bool,
) -> Step:
    """Add a bad run to its incident: what was only suspected is filed once it is certain."""
    is_open, before = incident.state is IncidentState.OPEN, incident
    fallen = {f.key for f in findings if f.outcome.is_certain or not is_open}
    incident = replace(
        incident,
        metrics=tuple(sorted(fallen.union(incident.metrics))),
        bad_runs=incident.bad_runs if run_id in incident.bad_runs[-1:] else (*incident.bad_runs, run_id),
        good_runs=0,
    )
    incident = replace(
        incident,
        worst=worsened(incident.worst, findings, incident.fallen),
        parts=share_out(incident.parts, incident.fallen, policy.owners, told=before.fallen if is_open else ()),
    )
    if not is_open and not certain:
        return Step(incident, Turn.SUSPECTED)
    if not is_open:
        return speak(replace(incident, state=IncidentState.OPEN), Turn.FILED, now)
    shown = fallen & incident.fallen
    if any(f.reason is Reason.FELL_FURTHER for f in findings):  # news, however lately it was spoken of
        return speak(incident, Turn.REPEATED, now, shown)
    # A clock that was set back makes the last word lie in the future: then it says nothing about how long ago it was.
    is_lately_told = incident.told_at is not None and timedelta(0) <= now - incident.told_at < policy.comment_every
    if is_lately_told and not _reaches_further(before, incident):
        return Step(incident, Turn.COUNTED)
    return speak(incident, Turn.REPEATED, now, shown)


def _reaches_further(before: Incident, after: Incident) -> bool:
    """Say whether another slice joined those that fell, the whole metric, or what another owner has: news at once."""
    joined = len(after.parts) > max(len(before.parts), 1)  # whoever has it has not heard of it yet
    return joined or not after.slices <= before.slices or bool(before.slices and after.whole > before.whole)


def _doubt_fix(watched: Incident, worse: Step, findings: Iterable[Finding], ended: datetime, now: datetime) -> Step:
    """Hold a bad run against somebody's word that it is fixed.

    A level that fell is back by the evidence of several runs. The first good one is therefore called bad still, though
    by itself it could be of either level: as many of these as would have confirmed the fix refute it.
    """
    watch = watched.watch
    assert watch is not None
    if ended <= watch.since:
        before = replace(worse.incident, told_at=watched.told_at, last_word=watched.last_word)
        return Step(before, Turn.COUNTED)
    if not any(_is_clear(finding) for finding in findings) and watch.unclear + 1 < watch.runs:
        return Step(replace(watched, watch=replace(watch, unclear=watch.unclear + 1)), Turn.WATCHED)
    reopened = replace(worse.incident, watch=None, last_word=watched.last_word)
    return speak(reopened, Turn.REOPENED, now)


def _was_left(watched: Incident, policy: IncidentPolicy, ended: datetime) -> bool:
    """Say whether a person had closed the ticket as fixed so long before that it is not opened again."""
    since = None if watched.watch is None else watched.watch.since
    return watched.closed_by_people and since is not None and ended - since > policy.reopen_within


def _begin_anew(
    left: Incident, findings: tuple[Finding, ...], run_id: str, policy: IncidentPolicy, now: datetime
) -> tuple[Step, Step]:
    """End an incident where a person had closed it, and file what is bad now as one of its own that names it."""
    over = replace(left, state=IncidentState.RESOLVED, closed_at=now, watch=None, good_runs=0)
    new = Incident(
        mint_id(left.series, left.kind, run_id),
        left.kind,
        left.series,
        IncidentState.CANDIDATE,
        opened_by=run_id,
        opened_at=now,
        follows=left.incident_id,
    )
    return Step(over, Turn.LEFT), _worsen(new, findings, run_id, policy, now, certain=True)


def _is_clear(finding: Finding) -> bool:
    """Say whether a run is bad by its own numbers."""
    if finding.outcome is not Outcome.REGRESSED or finding.change_low is None or finding.change_high is None:
        return finding.outcome.is_certain
    return finding.change_low > 0 or finding.change_high < 0


def _mend(
    incident: Incident, assessment: Assessment, policy: IncidentPolicy, now: datetime, ended: datetime
) -> tuple[Step, ...]:
    """Count a good run towards recovery, or dismiss a candidate that did not reproduce."""
    if not _speaks_of(incident, assessment):
        return ()
    if incident.state is IncidentState.CANDIDATE:
        return (Step(replace(incident, state=IncidentState.DISMISSED, closed_at=now), Turn.DISMISSED),)
    mended = replace(incident, good_runs=incident.good_runs + 1)
    if incident.watch is not None:
        if ended <= incident.watch.since:
            return ()
        if mended.good_runs < incident.watch.runs:
            return (Step(mended, Turn.WATCHED),)
        return (Step(replace(mended, state=IncidentState.RESOLVED, closed_at=now, watch=None), Turn.CONFIRMED),)
    wanted = 1 if incident.kind in UNSEEN else policy.recovery_runs  # one run ends a silence
    if mended.good_runs < wanted:
        return (Step(mended, Turn.RECOVERING),)
    is_ours = policy.resolves and not incident.closed_by_people
    over = replace(mended, state=IncidentState.RESOLVED, closed_at=now, closed_by_herald=is_ours)
    return (Step(over, Turn.RESOLVED),)


def _speaks_of(incident: Incident, assessment: Assessment) -> bool:
    """Say whether a run that does not show an incident shows that it is over.

    A failed run says nothing about its metrics, an invalid one nothing about their level, and one that lacks a metric
    nothing about that.
    """
    match incident.kind:
        case Kind.BLIND | Kind.STALE | Kind.AWAY:
            return True  # of what is not seen only a look is asked, never a run
        case Kind.FAILED:
            return assessment.outcome not in _NO_RUN
        case Kind.INVALID:
            return assessment.outcome not in _NO_RUN | {Outcome.FAILED}
        case Kind.BREACHED:
            there = {f.key for f in assessment.findings if f.value is not None and f.reason not in _NO_VALUE}
            return incident.whole <= there
        case Kind.REGRESSED:
            missing = {f.key for f in assessment.findings if f.is_absent}
            well = {f.key for f in assessment.findings if f.outcome in {Outcome.OK, Outcome.IMPROVED}}
            well |= _well_unsaid(incident, assessment)
            there = {f.key for f in assessment.findings}.union(well) - missing
            lacks_it = bool(incident.metrics) and there.isdisjoint(incident.metrics)
            is_back = not lacks_it and missing.isdisjoint(incident.metrics) and incident.slices <= well
            return assessment.accepted and is_back
        case _:
            assert_never(incident.kind)


def _well_unsaid(incident: Incident, assessment: Assessment) -> set[str]:
    """Return the fallen combinations of columns that a run says nothing of since they were well before.

    Of the hundreds of combinations only those have a finding that are low, or were so at the run before; once a good
    run has spoken of them, that others of their metric were looked at is all there is to hear.
    """
    if not incident.good_runs:
        return set()
    said = {f.key for f in assessment.findings}
    looked_at = {f.metric for f in assessment.findings if f.part is not None}
    return {key for key in incident.slices - said if is_combination(key) and whole_of(key) in looked_at}

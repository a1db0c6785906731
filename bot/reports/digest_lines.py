"""The lines of a digest, each one thing that happened or stands; long, since a digest is read as one page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.config.metric import MetricSection
from bot.config.pipeline import PipelineSection
from bot.domain.answers import ended_by
from bot.domain.blindness import Visibility, visibility
from bot.domain.digest import Chosen, DigestHeading
from bot.domain.due_dates import Missed
from bot.domain.headlines import most_telling, told_of
from bot.domain.hush import word_on
from bot.domain.incidents import Incident, IncidentState, Kind
from bot.domain.judge import Finding, Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.precision import Tally, below_their_floors
from bot.domain.reminding import waits_since
from bot.domain.rules import Rule
from bot.domain.views import DigestKind, DigestLine, DigestPart, ExplanationView
from bot.judging.facts import rules_in_force
from bot.judging.titles import series_title
from bot.judging.unjudged_metrics import unjudged_of, unjudged_stretch
from bot.judging.views.answer import RuleNaming
from bot.judging.views.metric_rows import metric_row, spoken_name
from bot.judging.views.verdict import cluster_of, concerns_whole_runs
from bot.reports.explanations import explain
from bot.reports.own_health import own_health
from bot.reports.precision import floors, is_first_of_month, tallies
from bot.reports.reader import Readable
from bot.store import backlog, incidents, inquiries, looks, quarantine, rules, runs
from bot.store.owed import EffectState
from bot.text import formats
from bot.text.locales import Locale

_NEXT = timedelta(days=7)  # what is due later is no news
Line = Callable[[], DigestLine]  # writes it: of thousands, fifteen are read


@dataclass(slots=True)
class LineGathering:
    """Makes lines of what the state holds."""

    herald: Readable
    tx: Connection
    since: datetime
    now: datetime
    locale: Locale
    zone: ZoneInfo
    links: dict[str, ObjectKey] = field(default_factory=dict)
    held: tuple[Rule, ...] = field(init=False)  # rules, now
    looked_into: frozenset[str] = field(init=False)  # incidents that somebody asked the cause of
    ahead: Mapping[tuple[str, str], JudgedRun] = field(default_factory=dict)  # runs that were read ahead of their lines

    def __post_init__(self) -> None:
        self.held = rules_in_force(self.tx, self.now)
        self.looked_into = inquiries.looked_into(self.tx)

    def written(self, chosen: Iterable[Chosen[Line]]) -> tuple[DigestPart, ...]:
        """Write the lines that there is room for; why a metric matters is said once."""
        glossed: set[str] = set()
        parts = []
        for part in chosen:
            lines = [self._glossed_once(write(), glossed) for write in part.lines]
            parts.append(DigestPart(part.section, tuple(lines), str(part.left_out) if part.left_out else ""))
        return tuple(parts)

    def _glossed_once(self, line: DigestLine, glossed: set[str]) -> DigestLine:
        if line.kind is not DigestKind.STANDING:
            return line
        metric = line.row.metric if line.row else ""
        why = "" if metric in glossed else line.why
        glossed.add(metric)
        return replace(line, why=why)

    def of_each(self, name: str | None = None) -> Mapping[str, Sequence[tuple[DigestHeading, Line]]]:
        """Return what stands of each pipeline, what waits for somebody first; of one where nothing does, nothing.

        Only of the one with that *name*, where there is one.
        """
        found: dict[str, list[tuple[DigestHeading, Line]]] = {}

        def note(own: str, heading: DigestHeading, kind: DigestKind, incident: Incident) -> None:
            found.setdefault(own, []).append((heading, partial(self._line, kind, own, incident)))

        def those(state: IncidentState) -> Iterable[tuple[str, Incident]]:
            if name is None:
                return self._incidents(state)
            return self._of_configured(incidents.of_pipeline(self.tx, name, state))

        standing = list(those(IncidentState.OPEN))
        standing.sort(key=lambda pair: self._told(pair[1]), reverse=True)
        for own, incident in standing:
            rule = word_on(incident, self.held)
            if rule is None:
                note(own, DigestHeading.NEEDS_YOU, DigestKind.STANDING, incident)
            else:
                found.setdefault(own, []).append(
                    (DigestHeading.WATCHING, partial(self._quiet_line, rule, own, incident))
                )
        for own, incident in those(IncidentState.CANDIDATE):
            note(own, DigestHeading.WATCHING, DigestKind.SUSPECTED, incident)
        for lines in found.values():
            lines.sort(key=lambda each: each[0] is not DigestHeading.NEEDS_YOU)
        return found

    def read_ahead(self, standing: Iterable[Incident]) -> None:
        """Read the runs of incidents that will be told, all at once."""
        ids = ((i.series.pipeline, i.bad_runs[-1] if i.bad_runs else i.onset) for i in standing)
        self.ahead = runs.find_each(self.tx, ids)

    def line_of(self, incident: Incident) -> DigestLine:
        """Say how one incident stands, or how it ended."""
        name = incident.series.pipeline
        match incident.state:
            case IncidentState.CANDIDATE:
                return self._line(DigestKind.SUSPECTED, name, incident)
            case IncidentState.DISMISSED:
                return self._line(DigestKind.DISMISSED, name, incident)
            case IncidentState.OPEN:
                rule = word_on(incident, self.held)
                if rule is not None:
                    return self._quiet_line(rule, name, incident)
                return replace(self._line(DigestKind.STANDING, name, incident), is_new=False)
            case IncidentState.RESOLVED if incident.was_seen_recovering:
                return self._line(DigestKind.RECOVERED, name, incident)
            case IncidentState.RESOLVED:
                rule = self._ended_by(incident)
                line = self._line(DigestKind.WITHDRAWN, name, incident)
                if rule is None:
                    return line
                section = self.herald.config.pipeline[name]
                row = RuleNaming(line.pipeline, section.metrics, self.locale, self.zone).row(rule)
                return replace(line, kind=DigestKind.ANSWERED, rule=row)

    def undelivered(self) -> Iterator[Line]:
        parked, unsure = backlog.count(self.tx)[EffectState.PARKED], backlog.count_lost(self.tx)
        if parked > unsure:
            yield partial(DigestLine, DigestKind.UNDELIVERED, count=str(parked - unsure))
        if unsure:
            yield partial(DigestLine, DigestKind.UNSURE, count=str(unsure))
        for refusal in backlog.refusals(self.tx):
            where = " ".join(part for part in (refusal.service, refusal.channel) if part)
            since = formats.moment(refusal.since, self.zone, self.locale)
            kind = DigestKind.MISSING if refusal.is_missing else DigestKind.REFUSED
            yield partial(DigestLine, kind, service=where, when=since, count=str(refusal.waiting))

    def ailing(self) -> Iterator[Line]:
        """Yield what ails Herald itself: each service that is down, all schedules in one line, and a clock."""
        health = own_health(self.tx, self.herald.config, self.now)
        for outage in health.down:
            since = formats.moment(outage.since, self.zone, self.locale)
            yield partial(DigestLine, DigestKind.DOWN, service=outage.service, when=since, count=str(outage.waiting))
        if health.latest is not None:
            title = self.herald.config.pipeline[health.latest].title or health.latest
            since, others = formats.moment(health.late[health.latest], self.zone, self.locale), len(health.late) - 1
            yield partial(DigestLine, DigestKind.LATE, title, when=since, count=str(others) if others else "")
        if health.clock_off is not None:
            yield partial(DigestLine, DigestKind.CLOCK, duration=formats.duration(abs(health.clock_off), self.locale))
        for each in health.differing:
            host = each.herald.partition("/")[0]
            yield partial(DigestLine, DigestKind.CONFIG, service=host, said=each.named)

    def out_of_sight(self) -> Iterator[Line]:
        """Yield the pipelines whose runs could not be looked at, or were not: that nothing was found says nothing."""
        found = looks.of_pipelines(self.tx)
        told = {name for name, incident in self._incidents(IncidentState.OPEN) if incident.kind is Kind.BLIND}
        for name, section in self.herald.config.pipeline.items():
            look, title = found.get(name), section.title or name
            match visibility(look, self.since):
                case Visibility.UNSEEN if look is not None and look.unseen_since is not None and name not in told:
                    since = formats.moment(look.unseen_since, self.zone, self.locale)
                    yield partial(DigestLine, DigestKind.UNSEEN, title, when=since, said=look.said)
                case Visibility.NOT_LOOKED if look is not None and look.seen_at is not None:
                    yield partial(DigestLine, DigestKind.NOT_LOOKED, title, when=self._day(look.seen_at))

    def never_looked_at(self) -> Iterator[Line]:
        """Yield the pipelines at which the first look is still to come: nothing is known of them."""
        found = looks.of_pipelines(self.tx)
        for name, section in self.herald.config.pipeline.items():
            if visibility(found.get(name), self.since) is Visibility.NEVER:
                yield partial(DigestLine, DigestKind.NOT_LOOKED, section.title or name)

    def unjudged(self) -> Iterator[Line]:
        """Yield metrics that cannot be judged and of which no incident speaks: they may have fallen."""
        opened = [i for _, i in self._incidents(IncidentState.OPEN) if i.kind is Kind.INVALID]
        told = {(incident.series, metric) for incident in opened for metric in incident.metrics}
        newest = runs.latest_by_pipeline(self.tx)
        for name, section in self.herald.config.pipeline.items():
            for each in unjudged_of(self.tx, newest[name].of_series if name in newest else ()):
                key = each.last.series, each.finding.metric
                if key in told and each.since is not None:
                    continue
                metric = section.metrics.get(each.finding.metric, MetricSection())
                title = series_title(section.title or name, each.last.run, section.series_by)
                plain = metric.name.get(self.locale, each.finding.metric)
                since = "" if each.since is None else self._day(each.since.run.ended)
                yield partial(DigestLine, DigestKind.UNJUDGED, title, metric=plain, when=since)

    def _day(self, when: datetime) -> str:
        return formats.day(when, self.zone, self.locale)

    def set_aside(self) -> Iterator[Line]:
        for name, some in quarantine.of_each(self.tx).items():
            if name in self.herald.config.pipeline and some:
                title = self.herald.config.pipeline[name].title or name
                yield partial(DigestLine, DigestKind.SET_ASIDE, title, count=str(len(some)))

    def standing(self) -> list[Line]:
        """Return the open incidents that wait for somebody: those that opened since first, then the latest first."""
        waiting = [pair for pair in self._incidents(IncidentState.OPEN) if word_on(pair[1], self.held) is None]
        found = [(name, part) for name, incident in waiting for part in incident.split()]
        found.sort(key=lambda pair: self._told(pair[1]), reverse=True)
        return [partial(self._line, DigestKind.STANDING, *pair) for pair in found]

    def quiet(self) -> list[Line]:
        """Return the open incidents that nobody need see to now, as somebody said: what ends first comes first."""
        pairs = self._incidents(IncidentState.OPEN)
        found = [(rule, name, i) for name, i in pairs if (rule := word_on(i, self.held)) is not None]
        found.sort(key=lambda each: (each[0].until is None, each[0].until or each[0].made_at))
        return [partial(self._quiet_line, *each) for each in found]

    def _quiet_line(self, rule: Rule, name: str, incident: Incident) -> DigestLine:
        line, section = self._line(DigestKind.QUIET, name, incident), self.herald.config.pipeline[name]
        row = RuleNaming(line.pipeline, section.metrics, self.locale, self.zone).row(rule)
        return replace(line, rule=row, why="", ticket=line.ticket if incident.told_at is not None else "")

    def _unanswered(self, incident: Incident) -> str:
        """Return for how long nobody has answered what people were reminded of."""
        since = waits_since(incident)
        if since is None or incident.reminded_at is None:
            return ""
        return formats.duration(self.now - since, self.locale)

    def answered(self) -> Iterator[Line]:
        """Yield what is over by somebody's word, which still holds: that it is the new normal, or noise."""
        for name, incident in self._closed(IncidentState.RESOLVED):
            rule = self._ended_by(incident)
            if rule is not None and rule.holds_at(self.now):
                section = self.herald.config.pipeline[name]
                title = section.title or name
                row = RuleNaming(title, section.metrics, self.locale, self.zone).row(rule)
                ticket = self._ticket(section, incident)
                yield partial(DigestLine, DigestKind.ANSWERED, title, rule=row, ticket=ticket)

    def _ended_by(self, incident: Incident) -> Rule | None:
        return ended_by(incident, rules.of_incident(self.tx, incident.incident_id))

    def lapsing(self) -> Iterator[Line]:
        """Yield the rules that end within a week: what they keep quiet is told again, and somebody asked for it.

        What stands says so itself.
        """
        standing = (word_on(incident, self.held) for _, incident in self._incidents(IncidentState.OPEN))
        said = {rule.number for rule in standing if rule is not None}
        for rule in rules.lapsing(self.tx, self.now, self.now + _NEXT):
            name = rule.scope.series.pipeline
            section = self.herald.config.pipeline.get(name)
            if section is not None and rule.number not in said:
                title = section.title or name
                row = RuleNaming(title, section.metrics, self.locale, self.zone).row(rule)
                yield partial(DigestLine, DigestKind.LAPSES, title, rule=row)

    def precision(self) -> Iterator[Line]:
        """Yield, in the first digest of a month, how often each metric's tickets were right."""
        if not is_first_of_month(self.since, self.now, self.zone):
            return
        config = self.herald.config
        found = tallies(self.tx, config)
        low = below_their_floors(found, floors(config))
        alike: dict[tuple[str, int, int, str], list[Tally]] = {}  # one ticket is about several metrics as a rule
        for each in found:
            alone = each.metric if each in low else ""
            alike.setdefault((each.pipeline, each.fixed, each.judged, alone), []).append(each)
        for first, *others in alike.values():
            if first.interval is None:
                continue
            section = config.pipeline[first.pipeline]
            metrics = (section.metrics.get(each.metric, MetricSection()) for each in (first, *others))
            names = [m.name.get(self.locale, each.metric) for m, each in zip(metrics, (first, *others), strict=True)]
            kind = DigestKind.PRECISION
            if first in low:
                kind = DigestKind.DIGEST_ONLY if section.tickets.digest_only == "automatic" else DigestKind.IMPRECISE
            lowest, highest = (formats.as_percent(f"{100 * end:.0f}", self.locale) for end in first.interval)
            yield partial(
                DigestLine,
                kind,
                section.title or first.pipeline,
                metric=names[0],
                also=tuple(names[1:]),
                count=str(first.fixed),
                of=str(first.judged),
                between=formats.between(lowest, highest, self.locale),
            )

    def recovered(self) -> Iterator[Line]:
        """Yield what is over, unless it came back: nothing stands under what needs you and under what got better."""
        for kind, name, incident in self._over():
            if kind is DigestKind.RECOVERED:
                yield partial(self._line, kind, name, incident)

    def withdrawn(self) -> Iterator[Line]:
        """Yield what never was for certain, as runs that came late have shown."""
        for kind, name, incident in self._over():
            if kind is DigestKind.WITHDRAWN:
                yield partial(self._line, kind, name, incident)

    def _over(self) -> Iterator[tuple[DigestKind, str, Incident]]:
        again = {(i.series, i.kind, m) for _, i in self._incidents(IncidentState.OPEN) for m in i.metrics or ("",)}
        unseen = {name for name, look in looks.of_pipelines(self.tx).items() if look.unseen_since is not None}
        closed = list(self._closed(IncidentState.RESOLVED))
        anew = {incident.follows for _, incident in (*self._incidents(IncidentState.OPEN), *closed)}
        for name, incident in closed:
            if incident.incident_id in anew and not incident.recovered_by:  # what it was goes on as another
                continue
            fell = {(incident.series, incident.kind, metric) for metric in incident.metrics or ("",)}
            if incident.kind is Kind.REGRESSED:  # what cannot be judged now is not said to be back
                fell |= {(incident.series, Kind.INVALID, metric) for metric in incident.metrics}
            is_said = self._ended_by(incident) is not None  # somebody's word ended it
            if not is_said and not fell & again and not (incident.kind is Kind.BLIND and name in unseen):
                yield DigestKind.RECOVERED if incident.was_seen_recovering else DigestKind.WITHDRAWN, name, incident

    def improved(self) -> Iterator[Line]:
        """Yield what improved, the latest word on each series."""
        bad = incidents.series_of_standing(self.tx)
        for name in self.herald.config.pipeline:
            for judged in runs.latest_with(self.tx, name, Outcome.IMPROVED, self.since):
                if judged.series not in bad:
                    told = [f for f in judged.findings if f.part is None and f.outcome is Outcome.IMPROVED]
                    yield partial(self._metric_line, DigestKind.IMPROVED, name, judged, told)

    def watching(self) -> Iterator[Line]:
        for pair in self._incidents(IncidentState.CANDIDATE):
            yield partial(self._line, DigestKind.SUSPECTED, *pair)
        for pair in self._closed(IncidentState.DISMISSED):
            yield partial(self._line, DigestKind.DISMISSED, *pair)

    def missed(self, found: Iterable[Missed]) -> Iterator[Line]:
        """Yield the experiments that can have no result by the day that their tickets are due."""
        for each in found:
            section = self.herald.config.pipeline[each.pipeline]
            zone = self.herald.config.zone_of(each.pipeline)
            yield partial(
                DigestLine,
                DigestKind.MISSED,
                section.title or each.pipeline,
                task=each.ticket,
                due=formats.day(each.due, zone, self.locale),
                when=formats.coming(each.comes, self.zone, self.locale),
            )

    def next(self, due: Mapping[str, datetime]) -> Iterator[Line]:
        """Yield jobs that are due soon; that somebody's runs are looked for every ten minutes is no news."""
        for name, when in sorted(due.items(), key=lambda pair: pair[1]):
            section = self.herald.config.pipeline[name]
            if section.job is not None and when <= self.now + _NEXT:
                yield partial(
                    DigestLine,
                    DigestKind.DUE,
                    pipeline=section.title or name,
                    task=section.ticket,
                    when=formats.coming(max(when, self.now), self.zone, self.locale),
                )

    def _incidents(self, *states: IncidentState) -> Iterator[tuple[str, Incident]]:
        return self._of_configured(incidents.in_states(self.tx, *states))

    def _closed(self, state: IncidentState) -> Iterator[tuple[str, Incident]]:
        return self._of_configured(incidents.closed_since(self.tx, state, self.since))

    def _of_configured(self, found: Iterable[Incident]) -> Iterator[tuple[str, Incident]]:
        """Yield the incidents of the pipelines in the order of the configuration."""
        of_each: dict[str, list[Incident]] = {}
        for incident in found:
            of_each.setdefault(incident.series.pipeline, []).append(incident)
        return ((name, incident) for name in self.herald.config.pipeline for incident in of_each.get(name, ()))

    def _told(self, incident: Incident) -> tuple[bool, datetime]:
        return incident.opened_at >= self.since, incident.opened_at

    def _line(self, kind: DigestKind, name: str, incident: Incident) -> DigestLine:
        section = self.herald.config.pipeline[name]
        shown = self._shown(incident)
        line = DigestLine(kind, section.title or name)
        if shown is not None and incident.kind in {Kind.REGRESSED, Kind.BREACHED, Kind.INVALID}:
            told = told_of(incident, shown.findings, is_over=incident.state.is_over)
            line = self._metric_line(kind, name, shown, told)
        line = replace(line, when=self._day(incident.since))
        if shown is not None and incident.kind is Kind.INVALID:
            told = [finding for finding in told if finding.metric in section.metrics]
            line = self._unjudged_line(line, section, incident, shown, told)
        waits, explained = self._unanswered(incident), self._explained(section, incident)
        has_it = " & ".join(explained.owners) if explained is not None else ""  # of what did it, as reruns say
        return replace(
            line,
            is_gone=incident.ticket_gone_at is not None and incident.ticket_gone_at >= self.since,
            unanswered=waits,
            asked=section.tickets.escalate_to if waits else "",
            incident=incident.kind,
            cluster=cluster_of(incident),
            is_new=self._told(incident)[0],
            duration=formats.duration(incident.lasted(self.now), self.locale),
            owner=has_it or (incident.parts[0].owner if incident.parts else "") or section.owner,
            ticket=self._ticket(section, incident),
            explained=explained,
            incident_id=incident.incident_id,
        )

    def _explained(self, section: PipelineSection, incident: Incident) -> ExplanationView | None:
        if incident.incident_id not in self.looked_into:
            return None
        return explain(self.tx, section, incident, self.zone, self.locale)

    def _unjudged_line(
        self,
        line: DigestLine,
        section: PipelineSection,
        incident: Incident,
        shown: JudgedRun,
        told: Sequence[Finding],
    ) -> DigestLine:
        """Say since when which metrics could not be judged: of whole runs only where that is so of all of them."""
        line = replace(line, whole=concerns_whole_runs(section, incident, shown.findings))
        if incident.state is IncidentState.RESOLVED or not told:
            return line
        stretches = {finding: unjudged_stretch(self.tx, shown, finding) for finding in told}
        since = {finding: stretch.first.run.ended for finding, stretch in stretches.items()}
        if line.whole:
            return replace(line, when=self._day(max(since.values())))
        told = sorted(told, key=lambda finding: since[finding])
        first, *rest = told
        reasons = {f: f.reason if stretches[f].is_alike else None for f in told}  # None: of several in turn
        alike = [f for f in rest if reasons[f] is reasons[first] and self._day(since[f]) == self._day(since[first])]
        names = {f: section.metrics[f.metric].name.get(self.locale, f.metric) for f in told}
        return replace(
            line,
            row=replace(metric_row(first, section.metrics[first.metric], self.locale), reason=reasons[first]),
            also=tuple(names[f] for f in alike),
            others=tuple(names[f] for f in rest if f not in alike),
            why=section.metrics[first.metric].why.get(self.locale, ""),
            when=self._day(since[first]),
        )

    def _shown(self, incident: Incident) -> JudgedRun | None:
        """Return the run whose numbers are told: the last bad one, or the one that showed it well again."""
        pipeline = incident.series.pipeline
        if incident.state is IncidentState.RESOLVED and incident.was_seen_recovering:
            resolved_by = incident.closed_at and runs.judged_at(self.tx, incident.series, incident.closed_at)
            return resolved_by or runs.find(self.tx, pipeline, incident.recovered_by)
        last = self._find(pipeline, incident.bad_runs[-1]) if incident.bad_runs else None
        return last or self._find(pipeline, incident.onset)

    def _find(self, pipeline: str, run_id: str) -> JudgedRun | None:
        return self.ahead.get((pipeline, run_id)) or runs.find(self.tx, pipeline, run_id)

    def _metric_line(self, kind: DigestKind, name: str, judged: JudgedRun, told: Sequence[Finding]) -> DigestLine:
        section = self.herald.config.pipeline[name]
        line = DigestLine(kind, series_title(section.title or name, judged.run, section.series_by))
        told = [finding for finding in told if finding.metric in section.metrics]
        if not told:
            return line
        first, *others = most_telling(told)
        metric = section.metrics.get(first.metric, MetricSection())
        return replace(
            line,
            row=metric_row(first, metric, self.locale),
            also=tuple(spoken_name(f, section.metrics[f.metric], self.locale) for f in others),
            why=metric.why.get(self.locale, ""),
        )

    def _ticket(self, section: PipelineSection, incident: Incident) -> str:
        if section.tracker is None or incident.state in {IncidentState.CANDIDATE, IncidentState.DISMISSED}:
            return ""
        place = incident.parts[0].place if incident.parts else 0
        marker = str(Marker(self.herald.config.instance, incident.incident_id, place))
        self.links[marker] = ObjectKey(section.tracker, ObjectKind.TICKET, marker)
        return marker

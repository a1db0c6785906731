"""The digest: what those who plan the work should know of the last days, in a few sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.app import Herald
from bot.config.models import DIGEST
from bot.config.pipeline import MetricSection, PipelineSection
from bot.config.timetable import latest_until
from bot.domain.blindness import Visibility, visibility
from bot.domain.digest import LINES, Chosen, DigestHeading, choose_lines, is_quiet
from bot.domain.effects import Effect, PostDigest, PublishDigest
from bot.domain.fires import FireState
from bot.domain.headlines import most_telling, told_of
from bot.domain.incidents import Incident, IncidentState, Kind
from bot.domain.judge import Finding, Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.views import DigestKind, DigestLine, DigestPart, DigestView, Tone, View
from bot.judging.doubts import find_doubts, first_unjudged
from bot.judging.titles import series_title
from bot.judging.views.metric_rows import metric_row
from bot.judging.views.verdict import concerns_whole_runs
from bot.pipeline.scheduling import next_due_times
from bot.render.renderer import Renderer, clean_title
from bot.store import aside, backlog, fires, incidents, looks, outbox, pipelines, runs
from bot.store.outbox import EffectState
from bot.text import formats
from bot.text.locales import Locale, conventions

WEEK = timedelta(days=7)
_NEXT = timedelta(days=7)  # what is due later is no news


@dataclass(frozen=True, slots=True)
class Digest:
    """One digest before it is told."""

    view: DigestView
    locale: Locale


def compose_digest(herald: Herald, since: datetime | None = None, locale: Locale | None = None) -> Digest:
    """Gather what happened since a moment: by default since the last digest, or in the last week.

    It is written in *locale*, by default in the language of the channel that it goes to.
    """
    now = herald.around.clock()
    section = herald.config.digest
    where = (section.chat, section.channel) if section else ()
    locale = locale or herald.config.locale_of(DIGEST, *where)
    zone = ZoneInfo((section.time_zone if section else None) or herald.config.time_zone)
    with herald.database.begin() as tx:
        due = next_due_times(herald.config, pipelines.find_all(tx), now)
        since = since or outbox.last_digest(tx, now) or now - WEEK
        found = _Gathering(herald, tx, since, now, locale, zone)
        unknown = [*found.out_of_sight(), *found.unjudged()]
        lines = {
            DigestHeading.NEEDS_YOU: [*found.undelivered(), *found.standing(), *unknown],
            DigestHeading.BETTER: [*found.recovered(), *found.improved()],
            DigestHeading.WATCHING: [*found.watching(), *found.set_aside()],
            DigestHeading.NEXT: list(found.next(due)),
        }
        judged = sum(runs.count_since(tx, name, since) for name in herald.config.pipeline)
        parts = found.written(choose_lines(lines, LINES))
    shown = [line for part in parts for line in part.lines]
    until = formats.moment(now, zone, locale)
    view = DigestView(
        title=clean_title(conventions(locale).digest_page.format(until=until, instance=herald.config.instance)),
        tone=_tone(lines),
        since=formats.day(since, zone, locale),
        until=formats.day(now, zone, locale),
        is_quiet=is_quiet(lines),
        runs=str(judged),
        pipelines=str(len(herald.config.pipeline)),
        parts=parts,
        mark=f"{herald.config.instance}-digest-{now:%Y%m%d%H%M%S}",
        links={line.ticket: found.links[line.ticket] for line in shown if line.ticket},
    )
    return Digest(view, locale)


Line = Callable[[], DigestLine]  # writes it: of thousands, fifteen are read


def _tone(lines: Mapping[DigestHeading, Sequence[Line]]) -> Tone:
    if lines[DigestHeading.NEEDS_YOU]:
        return Tone.BAD
    return Tone.WATCH if lines[DigestHeading.WATCHING] else Tone.GOOD


def owe_due_digest(herald: Herald) -> None:
    """Owe the digest that is due, if one is: the latest due time since the last one."""
    section = herald.config.digest
    if section is None:
        return
    now = herald.around.clock()
    zone = ZoneInfo(section.time_zone or herald.config.time_zone)
    timetable = section.schedule.timetable(zone)
    with herald.database.begin() as tx:
        known = pipelines.know(tx, DIGEST, now)
        since = fires.last_due(tx, DIGEST, now) or known.known_since
    due = latest_until(timetable, since, now) if timetable else None
    if due is not None:
        owe_digest(herald, due)


def owe_digest(herald: Herald, due_at: datetime, since: datetime | None = None) -> bool:
    """Owe the digest of a due time to the places that config names, once; False where a quiet week is skipped."""
    section = herald.config.digest
    if section is None:
        return False
    digest = compose_digest(herald, since)
    view, instance = digest.view, herald.config.instance
    owed: list[tuple[Effect, View]] = []
    if section.chat is not None:
        name = f"{section.channel} {instance}-digest-{due_at:%Y%m%dT%H%M%S}"
        message = ObjectKey(section.chat, ObjectKind.MESSAGE, name)
        owed.append((PostDigest(message, "digest"), view))
    if section.wiki is not None:
        paged = compose_digest(herald, since, herald.config.locale_of(DIGEST)).view
        page = ObjectKey(section.wiki, ObjectKind.PAGE, paged.title)
        owed.append((PublishDigest(page, "digest"), paged))
    is_skipped = section.skip_if_quiet and view.is_quiet
    now = herald.around.clock()
    with herald.database.begin() as tx:
        fire = fires.record(tx, DIGEST, due_at)
        if fire.state.is_over:
            return not is_skipped
        fires.save(tx, replace(fire, state=FireState.ENDED, started_at=now, ended_at=now))
        if not is_skipped:
            outbox.owe(tx, DIGEST, owed, now)
    return not is_skipped


def preview(herald: Herald, digest: Digest) -> str:
    """Render the digest for a terminal."""
    with herald.database.begin() as tx:
        known = outbox.known_objects(tx, digest.view.links.values())
    bound = {name: known[key].bound if key in known else None for name, key in digest.view.links.items()}
    return Renderer(digest.locale, herald.overrides).render_digest_text(digest.view, bound)


@dataclass(slots=True)
class _Gathering:
    """Makes lines of what the state holds."""

    herald: Herald
    tx: Connection
    since: datetime
    now: datetime
    locale: Locale
    zone: ZoneInfo
    links: dict[str, ObjectKey] = field(default_factory=dict)

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

    def undelivered(self) -> Iterator[Line]:
        parked, unsure = backlog.count(self.tx)[EffectState.PARKED], backlog.count_lost(self.tx)
        if parked > unsure:
            yield partial(DigestLine, DigestKind.UNDELIVERED, count=str(parked - unsure))
        if unsure:
            yield partial(DigestLine, DigestKind.UNSURE, count=str(unsure))
        for refusal in outbox.refusals(self.tx):
            where = " ".join(part for part in (refusal.service, refusal.channel) if part)
            since = formats.moment(refusal.since, self.zone, self.locale)
            kind = DigestKind.MISSING if refusal.is_missing else DigestKind.REFUSED
            yield partial(DigestLine, kind, service=where, when=since, count=str(refusal.waiting))

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
                case Visibility.NOT_LOOKED:
                    since = formats.day(look.seen_at, self.zone, self.locale) if look and look.seen_at else ""
                    yield partial(DigestLine, DigestKind.NOT_LOOKED, title, when=since)

    def unjudged(self) -> Iterator[Line]:
        """Yield metrics that cannot be judged and of which no incident speaks: they may have fallen."""
        opened = [i for _, i in self._incidents(IncidentState.OPEN) if i.kind is Kind.INVALID]
        told = {(incident.series, metric) for incident in opened for metric in incident.metrics}
        for name, section in self.herald.config.pipeline.items():
            for doubt in find_doubts(self.tx, name):
                key = doubt.last.series, doubt.finding.metric
                if key in told and doubt.since is not None:
                    continue
                metric = section.metrics.get(doubt.finding.metric, MetricSection())
                title = series_title(section.title or name, doubt.last.run, section.series_by)
                plain = metric.name.get(self.locale, doubt.finding.metric)
                since = "" if doubt.since is None else self._day(doubt.since.run.ended)
                yield partial(DigestLine, DigestKind.UNJUDGED, title, metric=plain, when=since)

    def _day(self, when: datetime) -> str:
        return formats.day(when, self.zone, self.locale)

    def set_aside(self) -> Iterator[Line]:
        for name, some in aside.of_each(self.tx).items():
            if name in self.herald.config.pipeline and some:
                title = self.herald.config.pipeline[name].title or name
                yield partial(DigestLine, DigestKind.SET_ASIDE, title, count=str(len(some)))

    def standing(self) -> list[Line]:
        """Return the open incidents: those that opened since first, then the others, the latest first."""
        found = list(self._incidents(IncidentState.OPEN))
        found.sort(key=lambda pair: self._told(pair[1]), reverse=True)
        return [partial(self._line, DigestKind.STANDING, *pair) for pair in found]

    def recovered(self) -> Iterator[Line]:
        """Yield what is over, unless it came back: nothing stands under what needs you and under what got better."""
        again = {(i.series, i.kind, m) for _, i in self._incidents(IncidentState.OPEN) for m in i.metrics or ("",)}
        unseen = {name for name, look in looks.of_pipelines(self.tx).items() if look.unseen_since is not None}
        for name, incident in self._closed(IncidentState.RESOLVED):
            fell = {(incident.series, incident.kind, metric) for metric in incident.metrics or ("",)}
            if incident.kind is Kind.REGRESSED:  # what cannot be judged now is not said to be back
                fell |= {(incident.series, Kind.INVALID, metric) for metric in incident.metrics}
            if not fell & again and not (incident.kind is Kind.BLIND and name in unseen):
                yield partial(self._line, DigestKind.RECOVERED, name, incident)

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

    def next(self, due: Mapping[str, datetime]) -> Iterator[Line]:
        """Yield jobs that are due soon; that somebody's runs are looked for every ten minutes is no news."""
        for name, when in sorted(due.items(), key=lambda pair: pair[1]):
            section = self.herald.config.pipeline[name]
            if section.job is not None and when <= self.now + _NEXT:
                yield partial(
                    DigestLine,
                    DigestKind.DUE,
                    pipeline=section.title or name,
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
        if shown is not None and incident.kind in {Kind.REGRESSED, Kind.INVALID}:
            told = told_of(incident, shown.findings, is_over=incident.state is IncidentState.RESOLVED)
            line = self._metric_line(kind, name, shown, told)
        line = replace(line, when=self._day(incident.since))
        if shown is not None and incident.kind is Kind.INVALID:
            told = [finding for finding in told if finding.metric in section.metrics]
            line = self._unjudged_line(line, section, incident, shown, told)
        return replace(
            line,
            incident=incident.kind,
            is_new=self._told(incident)[0],
            duration=formats.duration(incident.lasted(self.now), self.locale),
            owner=section.owner,
            ticket=self._ticket(section, incident),
        )

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
        since = {finding: first_unjudged(self.tx, shown, finding.metric).run.ended for finding in told}
        if line.whole:
            return replace(line, when=self._day(max(since.values())))
        told = sorted(told, key=lambda finding: since[finding])
        first, *rest = told
        alike = [f for f in rest if f.reason is first.reason and self._day(since[f]) == self._day(since[first])]
        names = {f: section.metrics[f.metric].name.get(self.locale, f.metric) for f in told}
        return replace(
            line,
            row=metric_row(first, section.metrics[first.metric], self.locale),
            also=tuple(names[f] for f in alike),
            others=tuple(names[f] for f in rest if f not in alike),
            why=section.metrics[first.metric].why.get(self.locale, ""),
            when=self._day(since[first]),
        )

    def _shown(self, incident: Incident) -> JudgedRun | None:
        """Return the run whose numbers are told: the last bad one, or the one that the ticket was resolved with."""
        pipeline = incident.series.pipeline
        if incident.state is IncidentState.RESOLVED:
            resolved_by = incident.closed_at and runs.judged_at(self.tx, incident.series, incident.closed_at)
            return resolved_by or runs.find(self.tx, pipeline, incident.recovered_by)
        last = runs.find(self.tx, pipeline, incident.bad_runs[-1]) if incident.bad_runs else None
        return last or runs.find(self.tx, pipeline, incident.onset)

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
            also=tuple(section.metrics[f.metric].name.get(self.locale, f.metric) for f in others),
            why=metric.why.get(self.locale, ""),
        )

    def _ticket(self, section: PipelineSection, incident: Incident) -> str:
        if section.tracker is None or incident.state in {IncidentState.CANDIDATE, IncidentState.DISMISSED}:
            return ""
        marker = str(Marker(self.herald.config.instance, incident.incident_id))
        self.links[marker] = ObjectKey(section.tracker, ObjectKind.TICKET, marker)
        return marker

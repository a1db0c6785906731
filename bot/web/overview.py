"""The overview: every pipeline in a line, what waits for somebody first."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.config.models import Config
from bot.domain.blindness import Look, Visibility, visibility
from bot.domain.digest import DigestHeading
from bot.domain.health import Health
from bot.domain.incidents import Incident, Kind
from bot.domain.judge.findings import Finding, Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.page_charts import Sparkline
from bot.domain.page_paths import HOME, incident_path, pipeline_path
from bot.domain.page_views import HealthTile, OverviewLine, OverviewPage, OverviewRow, OwnerLink
from bot.domain.views import DigestKind, DigestLine, VerdictView
from bot.judging.unjudged_metrics import UnjudgedMetric, find_unjudged
from bot.judging.views.metric_rows import metric_row, shown_value
from bot.pipeline.scheduling import next_due_times
from bot.render.renderer import shared
from bot.reports.digest_lines import Line, LineGathering
from bot.store import glances, incidents, looks, objects, pipelines, runs
from bot.store.glances import Extent
from bot.text import formats
from bot.web.job_lines import job_lines
from bot.web.reading import Reading, frame
from bot.web.ways import Ways

_DRAWN = 24  # runs of a sparkline
LATELY = timedelta(days=7)
_KEPT_SECONDS = 60.0  # what late runs change of a pipeline that has no new one is seen after so long
_CALM = {Outcome.OK, Outcome.IMPROVED, Outcome.NO_BASELINE, Outcome.INSUFFICIENT_DATA}


@dataclass(frozen=True, slots=True)
class Glance:
    """What a pipeline's runs come to at a glance."""

    last: JudgedRun | None
    values: tuple[float, ...]
    outcomes: tuple[Outcome, ...]
    unjudged: tuple[UnjudgedMetric, ...]


@dataclass(slots=True)
class Glances:
    """Keeps the glances at pipelines that have no new run: reading them is most of the work of an overview."""

    _kept: dict[str, tuple[Extent, float, Glance]] = field(default_factory=dict)
    _calm: dict[tuple[str, str], tuple[Glance, VerdictView | None]] = field(default_factory=dict)
    _written: dict[tuple[str, str, str], tuple[OverviewRow, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of_these(self, page: Reading, names: Sequence[str]) -> dict[str, Glance]:
        found, now = glances.extents(page.tx, names[0] if len(names) == 1 else None), time.monotonic()
        return {name: self._one(page, name, found.get(name, Extent()), now) for name in names}

    def _one(self, page: Reading, name: str, extent: Extent, now: float) -> Glance:
        with self._lock:
            kept = self._kept.get(name)
        if kept is not None and kept[0] == extent and now - kept[1] < _KEPT_SECONDS:
            return kept[2]
        made = _look(page, name) if extent.count else Glance(None, (), (), ())
        spread = hash(name) % 1000 / 1000 * _KEPT_SECONDS / 2  # so that they are not all read anew at once
        with self._lock:
            self._kept[name] = extent, now - spread, made
        return made

    def verdict(self, page: Reading, name: str, glance: Glance) -> VerdictView | None:
        """Return what is said of a pipeline of which nothing stands: the same for as long as no run comes."""
        kept = self._calm.get((name, page.locale))
        if kept is None or kept[0] is not glance:
            kept = glance, calm_verdict(page, name, glance.last)
            self._calm[name, page.locale] = kept
        return kept[1]

    def write(self, page: Reading, row: OverviewRow) -> str:
        """Return a line of the overview, which is seldom another than it was for the reader before."""
        key = page.locale, page.ways.suffix, row.href
        kept = self._written.get(key)
        if kept is None or kept[0] != row:
            kept = row, shared(page.locale).render_piece("row", OverviewLine(row))
            self._written[key] = kept
        return kept[1]


def _look(page: Reading, name: str) -> Glance:
    last = runs.latest(page.tx, name)
    metric = next(iter(page.section(name).metrics))
    newest = () if last is None else glances.newest_points(page.tx, last.series, metric, _DRAWN)
    return Glance(
        last,
        tuple(value for value, _ in newest),
        tuple(outcome for _, outcome in newest),
        tuple(find_unjudged(page.tx, name)),
    )


def overview_page(page: Reading, kept: Glances, owner: str = "", health: str = "") -> OverviewPage:
    """Make the overview; of one *owner* or one *health* alone where asked for."""
    every = _rows(page, kept, list(page.config.pipeline))
    owners = owners_of(page.config)
    chosen = [r for r in every if (not owner or r.owner == owner) and (not health or r.health == health)]
    asked = {"owner": owner, "health": health}

    def to(**changes: str) -> str:
        return filtered(page.ways, owners, {**asked, **changes})

    counts = Counter(row.health for row in every if not owner or row.owner == owner)
    return OverviewPage(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        tiles=tuple(
            HealthTile(each, str(counts[each]), to(health="" if each == health else each), is_chosen=each == health)
            for each in Health
        ),
        owners=tuple(OwnerLink(o, to(owner="" if o == owner else o), is_chosen=o == owner) for o in owners),
        rows=tuple(kept.write(page, row) for row in sorted(chosen, key=lambda row: row.health.place)),
        is_filtered=bool(owner or health),
        all_href=page.ways.to(HOME),
        troubles=_troubles(page),
        jobs=() if owner or health else job_lines(page),
    )


def owners_of(config: Config) -> list[str]:
    """Return who has pipelines, in the order of their names."""
    return sorted({section.owner for section in config.pipeline.values() if section.owner})


def filtered(from_here: Ways, owners: Sequence[str], asked: Mapping[str, str]) -> str:
    """Return the way to the overview of some pipelines; in a folder there is one for each owner, and each health."""
    wanted = {key: value for key, value in asked.items() if value}
    if not from_here.is_folder or not wanted:
        return from_here.to(HOME, **wanted)
    return from_here.to(folder_path(owners, **wanted))


def folder_path(owners: Sequence[str], owner: str = "", health: str = "") -> str:
    parts = [f"owner-{list(owners).index(owner) + 1}"] if owner else []
    return "-".join([*parts, *([health.replace("_", "-")] if health else [])])


def _rows(page: Reading, kept: Glances, names: Sequence[str]) -> list[OverviewRow]:
    seen = kept.of_these(page, names)
    due = next_due_times(page.config, pipelines.find_all(page.tx), page.now)
    gathering = LineGathering(page.herald, page.tx, page.now - LATELY, page.now, page.locale, page.zone())
    standing, looked = gathering.of_each(names[0] if len(names) == 1 else None), looks.of_pipelines(page.tx)
    counts = incidents.count_standing(page.tx)
    newest = {i.series.pipeline: i for i in incidents.standing_of_each(page.tx, 1)}
    gathering.read_ahead(newest[name] for name in names if name in newest)
    rows = []
    for name, glance in seen.items():
        is_told = newest.get(name) is not None and newest[name].kind is Kind.BLIND
        sight = None if is_told else _out_of_sight(page, name, looked.get(name))
        health, line = _stands(page, name, glance, standing.get(name, ()), sight)
        row = _row(
            page, kept, name, glance, health, line, newest.get(name), count=counts.get(name, 0), due=due.get(name)
        )
        rows.append(row)
    known = objects.known_objects(page.tx, gathering.links.values())
    bound = {name: known[key].bound if key in known else None for name, key in gathering.links.items()}
    return [
        replace(row, tickets={row.line.ticket: bound.get(row.line.ticket)}) if row.line and row.line.ticket else row
        for row in rows
    ]


def row_of_pipeline(page: Reading, kept: Glances, name: str) -> OverviewRow:
    """Say of one pipeline how it stands."""
    (row,) = _rows(page, kept, [name])
    return row


def _stands(
    page: Reading, name: str, glance: Glance, lines: Iterable[tuple[DigestHeading, Line]], sight: DigestLine | None
) -> tuple[Health, DigestLine | None]:
    """Say how a pipeline stands, and why, by the digest's rule: what needs somebody is off track."""
    first = next(iter(lines), None)
    if first is not None and first[0] is DigestHeading.NEEDS_YOU:
        return Health.OFF_TRACK, replace(first[1](), is_new=False)
    if sight is not None and sight.when:
        return Health.OFF_TRACK, sight
    if first is not None:
        return Health.AT_RISK, first[1]()
    if glance.unjudged:
        each = glance.unjudged[0]
        since = "" if each.since is None else formats.day(each.since.run.ended, page.zone(name), page.locale)
        plain = page.plain(name, each.finding.metric)
        return Health.AT_RISK, DigestLine(DigestKind.UNJUDGED, page.title(name), metric=plain, when=since)
    return (Health.AS_PLANNED, None) if sight is None else (Health.AT_RISK, sight)


def _out_of_sight(page: Reading, name: str, look: Look | None) -> DigestLine | None:
    """Say that a pipeline's runs cannot be looked at, or were not; without a time where a first look is to come."""
    match visibility(look, page.now - LATELY):
        case Visibility.UNSEEN if look is not None:
            since = page.moment(look.unseen_since, name)
            return DigestLine(DigestKind.UNSEEN, page.title(name), when=since, said=look.said)
        case Visibility.NOT_LOOKED if look is not None and look.seen_at is not None:
            when = formats.day(look.seen_at, page.zone(name), page.locale)
            return DigestLine(DigestKind.NOT_LOOKED, page.title(name), when=when)
        case Visibility.NEVER:
            return DigestLine(DigestKind.NOT_LOOKED, page.title(name))
    return None


def _row(
    page: Reading,
    kept: Glances,
    name: str,
    glance: Glance,
    health: Health,
    line: DigestLine | None,
    newest: Incident | None,
    *,
    count: int,
    due: datetime | None,
) -> OverviewRow:
    section = page.section(name)
    metric, policy = next(iter(section.metrics.items()))
    value = next((each for each in reversed(glance.values) if math.isfinite(each)), None)
    after = section.schedule.after if section.schedule is not None else None
    return OverviewRow(
        title=page.title(name),
        href=page.ways.to(pipeline_path(name)),
        health=health,
        owner=section.owner,
        line=line,
        verdict=kept.verdict(page, name, glance) if line is None else None,
        spark=Sparkline(glance.values, glance.outcomes) if glance.values else None,
        metric=page.plain(name, metric),
        value=shown_value(value, policy),
        incidents=str(count) if count else "",
        incident_href="" if newest is None else page.ways.to(incident_path(newest.incident_id)),
        next_due="" if due is None else formats.coming(max(due, page.now), page.zone(name), page.locale),
        after=page.title(after) if after in page.config.pipeline and after is not None else "",
    )


def calm_verdict(page: Reading, name: str, last: JudgedRun | None) -> VerdictView | None:
    """Say of the newest run of a pipeline of which nothing stands how its main metric is; None where there is none."""
    if last is None:
        return None
    section = page.section(name)
    whole = {f.metric: f for f in last.findings if f.part is None and f.metric in section.metrics}
    told: Finding | None = next((whole[metric] for metric in section.metrics if metric in whole), None)
    outcome = last.outcome if last.outcome in _CALM else Outcome.OK
    improved = [f for f in whole.values() if f.outcome is Outcome.IMPROVED]
    if outcome is Outcome.IMPROVED and improved:
        told = improved[0]
    row = None if told is None else metric_row(told, section.metrics[told.metric], page.locale)
    baseline = "0" if told is None else str(told.n_baseline)
    return VerdictView(outcome, None, page.title(name), row, (), (), baseline, "0")


def _troubles(page: Reading) -> tuple[DigestLine, ...]:
    """Return what is wrong with Herald itself."""
    gathering = LineGathering(page.herald, page.tx, page.now - LATELY, page.now, page.locale, page.zone())
    return tuple(write() for write in (*gathering.undelivered(), *gathering.ailing()))

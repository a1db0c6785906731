"""The digest: what those who plan the work should know of the last days, in a few sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.config.models import DIGEST
from bot.domain.digest import LINES, WEEK, WEEKS, DigestHeading, choose_lines, is_quiet, progress, weekly_health
from bot.domain.due_dates import Missed
from bot.domain.incidents import Incident
from bot.domain.views import ChartView, ChartWeek, DigestView, ProgressView, Tone
from bot.judging.titles import digest_title
from bot.pipeline.scheduling import next_due_times
from bot.render.charts import chart_filename
from bot.render.renderer import Renderer
from bot.reports.digest_lines import Line, LineGathering
from bot.reports.reader import Readable
from bot.store import incidents, objects, outbox, pipelines, runs
from bot.text import formats
from bot.text.locales import Locale

_FEWEST_WEEKS = 2  # of which a chart shows more than the words do


@dataclass(frozen=True, slots=True)
class Digest:
    """One digest before it is told."""

    view: DigestView
    locale: Locale


def compose_digest(
    herald: Readable,
    since: datetime | None = None,
    locale: Locale | None = None,
    missed: Sequence[Missed] = (),
) -> Digest:
    """Gather what happened since a moment: by default since the last digest, or in the last week.

    It is written in *locale*, by default in the language of the channel that it goes to. *missed* is what the trackers
    were asked.
    """
    now = herald.around.clock()
    section = herald.config.digest
    where = (section.chat, section.channel) if section else ()
    locale = locale or herald.config.locale_of(DIGEST, *where)
    zone = ZoneInfo((section.time_zone if section else None) or herald.config.time_zone)
    with herald.database.begin() as tx:
        known = pipelines.find_all(tx)
        due = next_due_times(herald.config, known, now)
        since = since or outbox.last_digest(tx, now) or now - WEEK
        found = LineGathering(herald, tx, since, now, locale, zone)
        unknown = [*found.out_of_sight(), *found.unjudged()]
        lines = {
            DigestHeading.NEEDS_YOU: [
                *found.undelivered(),
                *found.ailing(),
                *found.standing(),
                *found.missed(missed),
                *unknown,
            ],
            DigestHeading.BETTER: [*found.recovered(), *found.improved()],
            DigestHeading.WATCHING: [
                *found.never_looked_at(),
                *found.watching(),
                *found.withdrawn(),
                *found.quiet(),
                *found.answered(),
                *found.lapsing(),
                *found.precision(),
                *found.set_aside(),
            ],
            DigestHeading.NEXT: list(found.next(due)),
        }
        judged = sum(runs.count_since(tx, name, since) for name in herald.config.pipeline)
        parts = found.written(choose_lines(lines, LINES))
        begin = min(since, now - WEEK * WEEKS)
        stood = [i for i in incidents.standing_since(tx, begin) if i.series.pipeline in herald.config.pipeline]
    shown = [line for part in parts for line in part.lines]
    until = formats.moment(now, zone, locale)
    view = DigestView(
        title=digest_title(until, herald.config.instance, locale),
        tone=_tone(lines),
        since=formats.day(since, zone, locale),
        until=formats.day(now, zone, locale),
        is_quiet=is_quiet(lines),
        runs=str(judged),
        pipelines=str(len(herald.config.pipeline)),
        parts=parts,
        mark=f"{herald.config.instance}-digest-{now:%Y%m%d%H%M%S}",
        links={line.ticket: found.links[line.ticket] for line in shown if line.ticket},
        progress=_progress(stood, since, now),
        health=_health({name: known[name].known_since for name in herald.config.pipeline if name in known}, stood, now),
    )
    return Digest(view, locale)


def _progress(stood: Sequence[Incident], since: datetime, now: datetime) -> ProgressView | None:
    counts = progress(stood, since, now)
    if not (counts.now or counts.before or counts.new):
        return None
    return ProgressView(str(counts.now), str(counts.before), str(counts.new), str(counts.over))


def _health(known_since: Mapping[str, datetime], stood: Sequence[Incident], now: datetime) -> ChartView | None:
    weeks = weekly_health(known_since, stood, now)
    if len(weeks) < _FEWEST_WEEKS:
        return None
    drawn = tuple(ChartWeek(f"{week.moment:%m-%d}", week.good, week.watch, week.bad) for week in weeks)
    chart = ChartView("", (), (), (), weeks=drawn)
    return replace(chart, filename=chart_filename(chart))


def _tone(lines: Mapping[DigestHeading, Sequence[Line]]) -> Tone:
    if lines[DigestHeading.NEEDS_YOU]:
        return Tone.BAD
    return Tone.WATCH if lines[DigestHeading.WATCHING] else Tone.GOOD


def preview(herald: Readable, digest: Digest) -> str:
    """Render the digest for a terminal."""
    with herald.database.begin() as tx:
        known = objects.known_objects(tx, digest.view.links.values())
    bound = {name: known[key].bound if key in known else None for name, key in digest.view.links.items()}
    return Renderer(digest.locale, herald.overrides).render_digest_text(digest.view, bound)

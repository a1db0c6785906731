"""What a rehearsal shows, in finished strings; long, since a view is a list of what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from zoneinfo import ZoneInfo

from bot.config.metric import MetricSection
from bot.config.models import Config
from bot.domain.backtest.choice import MOST_FALSE, TriedSetting, Variant
from bot.domain.backtest.drops import SIZES, DropShape
from bot.domain.backtest.figures import Catch, Filing, Rate, by_week
from bot.domain.backtest.walk import Passed
from bot.domain.headlines import spoken_of
from bot.domain.incidents import Incident, IncidentState, SeriesKey, Step, Turn
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.notifications import Places
from bot.domain.policy import MinEffect
from bot.domain.replay_views import (
    CatchChart,
    CatchLine,
    CatchPoint,
    CatchRow,
    DigestRow,
    Dot,
    FalseRow,
    HistoryChart,
    ReplayView,
    TicketRow,
    TradeChart,
    TradePoint,
    TriedRow,
    WeeksChart,
)
from bot.domain.runs import Baseline, RunResult
from bot.judging.titles import series_title
from bot.judging.views.occasion import Occasion
from bot.judging.views.verdict import verdict_view
from bot.render.renderer import Renderer
from bot.replay.rehearsal import Rehearsal
from bot.text import formats
from bot.text.locales import Locale

_AROUND = 30  # runs before a ticket, and after its end, that its chart shows
_MOST_DOTS = 160  # of such a chart
_HEADLINE = (DropShape.STEP, 2.0)
_NOWHERE = Places("", "", "")


@dataclass(frozen=True)
class ReplayWording:
    """Says in one language what a rehearsal of one pipeline came to."""

    rehearsal: Rehearsal
    config: Config
    locale: Locale
    renderer: Renderer

    @cached_property
    def view(self) -> ReplayView:
        seen, found = self.rehearsal, self.rehearsal.catches
        section = self.config.pipeline[seen.pipeline]
        whole = [each for each in found if not each.metric]
        is_many = len({each.metric for each in found if each.metric}) > 1
        return ReplayView(
            pipeline=section.title or seen.pipeline,
            since=self._day(seen.since),
            until=self._day(seen.until),
            runs=f"{len(seen.seen):,}",
            preset=section.judge.preset,
            tickets=tuple(self._ticket(filing) for filing in seen.tickets),
            tickets_a_month=self._rate(Rate(len(seen.tickets), seen.until - seen.since)),
            weeks=self._weeks(),
            digest=tuple(self._digest(passed, step) for passed, step in seen.digest),
            improved=f"{seen.improved:,}" if seen.improved else "",
            quiet_days=f"{seen.quiet_days:,}",
            days=f"{seen.days:,}",
            overviews=tuple(self._overviews()),
            headline=next((self._catch(each) for each in whole if (each.shape, each.size) == _HEADLINE), None),
            smallest_told=self._smallest_told(),
            slices=seen.slices.standing,
            slice_effect=self._effect(section.policies.slice_min_effect),
            slices_told=self._from_to(*seen.slices.least) if seen.slices.least else "",
            catches=tuple(self._catch(each) for each in whole),
            catches_by_metric=tuple(self._catch(each) for each in found if each.metric) if is_many else (),
            catch_chart=self._catch_chart(whole) if whole else None,
            false=tuple(self._false(metric, rate) for metric, rate in seen.false.items()) if seen.histories else (),
            histories=str(seen.histories) if seen.histories else "",
            unjudged=tuple(self._metric(metric) for metric in seen.unjudged),
            too_short=tuple(self._metric(metric) for metric in seen.too_short),
            tried=tuple(self._tried(each) for each in seen.tried),
            trade=self._trade() if seen.chosen else None,
            is_bearable=seen.chosen is None or seen.chosen.false.a_month <= MOST_FALSE,
        )

    def sentence_of(self, filing: Filing) -> str:
        """Say what a ticket would have said when it was filed."""
        if filing.by is None:
            return self._say_silence(filing)
        filed = next(step for step in filing.by.steps if step.incident.incident_id == filing.incident.incident_id)
        return self.sentence_about(filing.by, filed)

    def sentence_about(self, passed: Passed, step: Step) -> str:
        on = self._occasion(passed, passed.assessment, [step])
        return self.renderer.render_judged(verdict_view(on, step))

    def _say_silence(self, filing: Filing) -> str:
        last = max(
            (each for each in self.rehearsal.passed if each.run.ended <= filing.filed), key=lambda e: e.run.place
        )
        section = self.config.pipeline[self.rehearsal.pipeline]
        assert section.silence_policy is not None
        lasted = (filing.filed - last.run.ended).total_seconds()
        cadence = section.silence_policy.cadence.total_seconds()
        silence = Finding("runs", Outcome.STALE, Reason.SILENCE, value=lasted, baseline=cadence)
        step = Step(filing.incident, Turn.FILED)
        on = self._occasion(last, Assessment(last.run.run_id, (silence,), SeriesState()), [step])
        return self.renderer.render_judged(verdict_view(on, step))

    def _occasion(self, passed: Passed, said: Assessment, steps: Sequence[Step]) -> Occasion:
        name = self.rehearsal.pipeline
        section = self.config.pipeline[name]
        return Occasion(
            title=series_title(section.title or name, passed.run, section.series_by),
            config=section,
            locale=self.locale,
            channel_locale=self.locale,
            zone=self.config.zone_of(name),
            places=_NOWHERE,
            result=RunResult(passed.run),
            assessment=said,
            baseline=Baseline(),
            history=(*passed.before.earlier, passed.judged),
            steps=steps,
            standing=(),
            now=passed.judged.judged_at,
        )

    def _ticket(self, filing: Filing) -> TicketRow:
        ended = filing.closed or self.rehearsal.until
        return TicketRow(
            sentence=self.sentence_of(filing),
            filed=formats.moment(filing.filed, self._zone, self.locale),
            lasted=formats.duration(ended - filing.filed, self.locale),
            is_open=filing.closed is None,
            series=filing.incident.series.series,
            comments=str(filing.comments) if filing.comments else "",
            chart=self._chart_of(filing),
        )

    def _digest(self, passed: Passed, step: Step) -> DigestRow:
        when = formats.moment(passed.judged.judged_at, self._zone, self.locale)
        return DigestRow(self.sentence_about(passed, step), when, passed.before.series.series)

    def _chart_of(self, filing: Filing) -> HistoryChart | None:
        """Draw the metric that a ticket speaks of, from some runs before it until some after its end."""
        if filing.by is None or filing.step is None:
            return None
        filed = next(step for step in filing.by.steps if step.incident.incident_id == filing.incident.incident_id)
        told = next((f for f in spoken_of(filing.by.assessment, filed)[1] if f.part is None), None)
        if told is None:
            return None
        own = [e for e in self.rehearsal.history_of(filing.incident.series) if told.metric in e.run.metrics]
        if not own:
            return None
        # Of a metric that went missing, the bad runs have no dot: what is shown then is what came before them.
        first = min(sum(each.run.place < filing.by.run.place for each in own), len(own) - 1)
        bad = [i for i, each in enumerate(own) if each.run.run_id in filing.incident.bad_runs]
        onset, last = (bad[0], bad[-1]) if bad else (first, first)
        start = max(0, onset - _AROUND)
        shown = own[start : min(last + _AROUND, start + _MOST_DOTS)]
        spans = [(onset - start, min(last - start, len(shown) - 1))] if bad else []
        return self._history(told.metric, shown, spans, told.baseline)

    def _overviews(self) -> Iterable[HistoryChart]:
        """Draw each metric of each series over the whole span, with what stood under a ticket."""
        by_series: dict[SeriesKey, list[Passed]] = {}
        for each in self.rehearsal.seen:
            by_series.setdefault(each.before.series, []).append(each)
        for series, own in by_series.items():
            for metric in self.config.pipeline[self.rehearsal.pipeline].metrics:
                shown = [each for each in own if metric in each.run.metrics]
                if shown:
                    bad = [f.incident for f in self.rehearsal.tickets if _is_of(f.incident, series, metric)]
                    spans = [span for incident in bad for span in _spans(shown, incident)]
                    name = " · ".join(filter(None, (self._metric(metric), series.series)))
                    yield self._history(name, shown, spans, None, of=metric, is_small=True)

    def _history(
        self,
        name: str,
        shown: Sequence[Passed],
        spans: Sequence[tuple[int, int]],
        baseline: float | None,
        *,
        of: str = "",
        is_small: bool = False,
    ) -> HistoryChart:
        metric = of or name
        dots = [
            Dot(
                each.run.metrics[metric],
                next((f.outcome for f in each.judged.findings if f.key == metric), None),
                "" if is_small else f"{each.run.name}: {formats.number(each.run.metrics[metric])}",
            )
            for each in shown
        ]
        ends = [self._day(each.run.ended) for each in (shown[0], shown[-1])]
        name = name if of else self._metric(name)
        return HistoryChart(name, tuple(dots), ends[0], ends[1], tuple(spans), baseline, is_small)

    def _weeks(self) -> WeeksChart:
        counts = by_week(self.rehearsal.tickets, self.rehearsal.since, self.rehearsal.until)
        return WeeksChart(tuple(count for _, count in counts), tuple(self._date(monday) for monday, _ in counts))

    def _catch(self, each: Catch) -> CatchRow:
        low, high = each.ticket.interval
        return CatchRow(
            metric=self._metric(each.metric) if each.metric else "",
            shape=each.shape,
            size=f"{each.size:g}",
            places=f"{each.ticket.of:,}",
            ticket=self._share(each.ticket.value),
            interval=formats.between(self._share(low), self._share(high), self.locale),
            digest=self._share(each.digest.value),
            after="" if each.after is None else f"{each.after:g}",
        )

    def _smallest_told(self) -> str:
        told = self.rehearsal.smallest_told.values()
        if not told or max(told) <= min(SIZES[DropShape.STEP]):
            return ""
        return self._from_to(min(told), max(told))

    def _effect(self, effect: MinEffect) -> str:
        return formats.as_percent(f"{effect.value * 100:g}", self.locale) if effect.relative else f"{effect.value:g}"

    def _from_to(self, low: float, high: float) -> str:
        least, most = f"{low:.1f}", f"{high:.1f}"
        return least if least == most else formats.between(least, most, self.locale)

    def _catch_chart(self, whole: Sequence[Catch]) -> CatchChart:
        def line(shape: DropShape) -> CatchLine:
            points = [CatchPoint(e.size, e.ticket.value, *e.ticket.interval) for e in whole if e.shape is shape]
            return CatchLine(shape, self.renderer.word(f"drop_{shape}"), tuple(points))

        lasting = [s for s in (DropShape.STEP, DropShape.DECAY, DropShape.SLICE) if any(e.shape is s for e in whole)]
        across, up = self.renderer.word("drop_across"), self.renderer.word("drop_up")
        return CatchChart(tuple(line(shape) for shape in lasting), across, up)

    def _false(self, metric: str, rate: Rate) -> FalseRow:
        low, high = rate.interval
        return FalseRow(
            metric=self._metric(metric) if metric else "",
            tickets=f"{rate.count:,}",
            months=f"{rate.months:,.0f}" if rate.months >= 10 else f"{rate.months:.1f}",  # noqa: PLR2004  digits
            a_month=_few(rate.a_month),
            interval=formats.between(_few(low), _few(high), self.locale),
        )

    def _tried(self, each: TriedSetting) -> TriedRow:
        low, high = each.false.interval
        return TriedRow(
            setting=setting_name(each.variant),
            tickets=f"{each.tickets:,}",
            a_month=_few(each.false.a_month),
            interval=formats.between(_few(low), _few(high), self.locale),
            caught=self._share(each.caught) if each.catches else "–",
            is_chosen=each is self.rehearsal.chosen,
        )

    def _trade(self) -> TradeChart:
        chosen = self.rehearsal.chosen
        points = [
            TradePoint(setting_name(each.variant), each.false.a_month, each.caught, each is chosen)
            for each in self.rehearsal.tried
        ]
        return TradeChart(tuple(points), MOST_FALSE, self.renderer.word("trade_across"), self.renderer.word("trade_up"))

    @cached_property
    def _zone(self) -> ZoneInfo:
        return self.config.zone_of(self.rehearsal.pipeline)

    def _metric(self, metric: str) -> str:
        section = self.config.pipeline[self.rehearsal.pipeline].metrics.get(metric, MetricSection())
        return section.name.get(self.locale, "") or metric

    def _day(self, when: datetime) -> str:
        return self._date(when.astimezone(self._zone).date())

    def _date(self, day: date) -> str:
        noon = datetime.combine(day, time(12), self._zone)
        return f"{formats.day(noon, self._zone, self.locale)}"

    def _share(self, share: float) -> str:
        return formats.as_percent(f"{100 * share:.0f}", self.locale)

    def _rate(self, rate: Rate) -> str:
        return _few(rate.a_month)


def setting_name(variant: Variant) -> str:
    """Name a setting as config writes it."""
    parts = [] if variant.preset is None else [str(variant.preset)]
    if variant.min_effect is not None:
        parts.append(effect_text(variant.min_effect))
    return " · ".join(parts)


def effect_text(effect: MinEffect) -> str:
    return f"{effect.value * 100:g} %" if effect.relative else f"{effect.value:g}"


def _few(rate: float) -> str:
    """Write a rate of rare things."""
    if not math.isfinite(rate):
        return "∞"
    return f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"


def _is_of(incident: Incident, series: SeriesKey, metric: str) -> bool:
    return incident.series == series and (metric in incident.whole or (not incident.metrics and not series.series))


def _spans(shown: Sequence[Passed], incident: Incident) -> Iterable[tuple[int, int]]:
    bad = [i for i, each in enumerate(shown) if each.run.run_id in incident.bad_runs]
    if bad:
        is_open = incident.state is IncidentState.OPEN
        yield bad[0], len(shown) - 1 if is_open else bad[-1]

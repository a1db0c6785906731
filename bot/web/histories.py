"""Histories of metrics as pages draw them: values, what runs differ by, and what happened meanwhile."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from bot.config.metric import MetricSection
from bot.domain.incidents import Incident, IncidentState, Kind
from bot.domain.judge.findings import Finding
from bot.domain.judged_run import JudgedRun
from bot.domain.manifest import ComponentKind, manifest_of
from bot.domain.page_charts import EventKind, HistoryEvent, HistoryPicture, IncidentSpan, RunPoint
from bot.domain.page_paths import incident_path, run_path, slices_path
from bot.domain.page_views import ChartCard
from bot.domain.rules import Rule, RuleKind
from bot.judging.views.metric_rows import each_over, metric_row, shown_value
from bot.render.renderer import shared
from bot.text import formats
from bot.web.reading import Reading
from bot.web.releases import released_in

_BAND = 2.0  # spreads on either side: what 95 of 100 runs keep to that are as before
_PARAMS_NAMED, _LONGEST = 6, 60
_OVER = (ComponentKind.DATA, ComponentKind.TEST_SET)


def chart_card(
    page: Reading,
    name: str,
    metric: str,
    history: Sequence[JudgedRun],
    happened: Iterable[Incident],
    events: Sequence[HistoryEvent],
    runs_id: str,
) -> ChartCard:
    """Draw one metric over the runs of a series, oldest first."""
    section = page.section(name).metrics.get(metric, MetricSection())
    findings = [_finding(judged, metric) for judged in history]
    newest = next((f for f in reversed(findings) if f is not None), None)
    limits = {f.limit for f in findings if f is not None and f.limit is not None and math.isfinite(f.limit)}
    plain = section.name.get(page.locale, metric)
    picture = HistoryPicture(
        key=metric,
        name=plain,
        points=tuple(
            _point(page, name, metric, section, judged, found) for judged, found in zip(history, findings, strict=True)
        ),
        days=formats.days([judged.run.ended for judged in history], page.zone(name), page.locale),
        spans=tuple(_spans(page, metric, history, happened)),
        events=tuple(events),
        limits=tuple(sorted(limits)),
        runs_at=runs_id,
    )
    has_slices = any(f.part is not None and f.metric == metric for judged in history[-3:] for f in judged.findings)
    return ChartCard(
        picture,
        metric,
        plain,
        section.why.get(page.locale, ""),
        None if newest is None else metric_row(newest, section, page.locale),
        page.ways.to(slices_path(name, metric)) if has_slices else "",
    )


def chart_cards(
    page: Reading,
    name: str,
    metrics: Iterable[str],
    history: Sequence[JudgedRun],
    happened: Sequence[Incident],
    events: Sequence[HistoryEvent],
    runs_id: str,
) -> tuple[ChartCard, ...]:
    """Draw metrics beside one another; where the number of one is of several runs, each says of how many it is."""
    cards = [chart_card(page, name, metric, history, happened, events, runs_id) for metric in metrics]
    rows = iter(each_over([card.newest for card in cards if card.newest is not None]))
    return tuple(card if card.newest is None else replace(card, newest=next(rows)) for card in cards)


def runs_json(page: Reading, name: str, history: Sequence[JudgedRun]) -> str:
    """Name the runs of a chart for whoever points at them, with the parameters that differ among them."""
    params = [judged.run.params for judged in history]
    names = sorted({key for each in params for key in each})
    telling = [key for key in names if len({each.get(key, "") for each in params}) > 1][:_PARAMS_NAMED]
    words = {outcome: shared(page.locale).outcome(outcome) for outcome in {judged.outcome for judged in history}}
    return json.dumps(
        [
            {
                "n": judged.run.name[:_LONGEST],
                "w": page.moment(judged.run.ended, name),
                "o": words[judged.outcome],
                "h": page.ways.to(run_path(name, judged.run.run_id)),
                "p": [f"{key} = {judged.run.params.get(key, '')[:_LONGEST]}" for key in telling],
            }
            for judged in history
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def metrics_drawn(section_metrics: Mapping[str, MetricSection], history: Sequence[JudgedRun]) -> list[str]:
    """Return the metrics of config that some run has."""
    return [metric for metric in section_metrics if any(metric in judged.run.metrics for judged in history)]


def _finding(judged: JudgedRun, metric: str) -> Finding | None:
    own = [f for f in judged.findings if f.metric == metric and f.part is None]
    return next((f for f in own if f.baseline is not None), own[0] if own else None)


def _point(
    page: Reading, name: str, metric: str, section: MetricSection, judged: JudgedRun, found: Finding | None
) -> RunPoint:
    value = judged.run.metrics.get(metric, math.nan)
    low = high = None
    if found is not None and found.baseline is not None and found.spread is not None:
        low, high = found.baseline - _BAND * found.spread, found.baseline + _BAND * found.spread
    shown = shown_value(None if math.isnan(value) else value, section, found.baseline if found else None)
    outcome = None if found is None else found.outcome
    return RunPoint(value, outcome, shown, low, high, page.ways.to(run_path(name, judged.run.run_id)))


def _spans(
    page: Reading, metric: str, history: Sequence[JudgedRun], happened: Iterable[Incident]
) -> Iterator[IncidentSpan]:
    places = {judged.run.run_id: number for number, judged in enumerate(history)}
    for incident in happened:
        whole = {key.partition(" [")[0] for key in incident.metrics}
        if incident.kind in {Kind.REGRESSED, Kind.BREACHED} and metric not in whole:
            continue
        bad = [places[run_id] for run_id in incident.bad_runs if run_id in places]
        if not bad or incident.state is IncidentState.DISMISSED:
            continue
        first = min([places.get(incident.onset, len(history)), *bad])
        until = places.get(incident.recovered_by, 0) - 1
        last = max(until, *bad) if incident.state.is_over else len(history) - 1
        label = formats.day(incident.since, page.zone(incident.series.pipeline), page.locale)
        yield IncidentSpan(first, last, label, page.ways.to(incident_path(incident.incident_id)))


def events_in(
    page: Reading, name: str, history: Sequence[JudgedRun], answered: Iterable[Rule]
) -> Iterator[HistoryEvent]:
    """Yield what happened to a series while it had these runs: what was accepted, released, and other data."""
    words = shared(page.locale)
    places = {judged.run.run_id: number for number, judged in enumerate(history)}
    for rule in answered:
        if rule.kind is RuleKind.EXPECTED and rule.from_run in places and rule.undone_at is None:
            label = f"{words.word('web_event_accepted')}: {rule.author}"
            yield HistoryEvent(places[rule.from_run], EventKind.ACCEPTED, label)
    if (released := released_in(page, name, history)) is not None:
        yield HistoryEvent(released, EventKind.RELEASE, words.word("web_event_release"))
    manifests = (manifest_of(judged.run, judged.card) for judged in history)
    for number, (then, since) in enumerate(pairwise(manifests), start=1):
        for component in since:
            if component.kind in _OVER and component in then and then[component].identity != since[component].identity:
                yield HistoryEvent(number, EventKind.DATA, words.word("web_event_data"))
                break

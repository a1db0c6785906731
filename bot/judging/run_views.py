"""State -> views: what a run, its findings and its incidents come to, in finished strings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import assert_never
from zoneinfo import ZoneInfo

from bot.config.pipeline import MetricSection, PipelineSection
from bot.domain.effects import (
    AttachComment,
    AttachText,
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    Effect,
    LabelPage,
    LinkTicket,
    MessageEffect,
    OpenTicket,
    PageEffect,
    PostDigest,
    PublishArchive,
    PublishDigest,
    PublishPage,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    TicketEffect,
    UpdateSection,
)
from bot.domain.headlines import CHART_RUNS, charted, kind_of, own_findings, prominence, spoken_of
from bot.domain.incidents import Incident, IncidentState, Kind, Step, Turn
from bot.domain.job_protocol import COMMIT_TAG, INTERVAL_ENDS
from bot.domain.judge import Against, Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import Places
from bot.domain.objects import ObjectKey, instance_label
from bot.domain.runs import Baseline, Run, RunResult
from bot.domain.views import (
    ArchivePageView,
    ChartView,
    CommentKind,
    CommentView,
    FactRow,
    HistoryRow,
    LabelsView,
    LinkView,
    MessageView,
    MetricRow,
    OpenIncidentRow,
    PeerRow,
    PipelinePageView,
    RunPageView,
    RunView,
    Source,
    TicketView,
    Tone,
    VerdictView,
    View,
)
from bot.judging.titles import page_title, year_of
from bot.render.charts import chart_filename
from bot.text import formats
from bot.text.locales import Locale

_HISTORY_RUNS = 25
_SLICES_TOLD = 5
_ROWS_IN_MESSAGE = 4
_PARTS_NAMED = 3
_MOST = 0.5
_WITHOUT_NUMBERS = {Outcome.FAILED, Outcome.STALE, Outcome.BLIND}  # said in a sentence, not in a table of metrics
_HASH = re.compile(r"\b[0-9a-f]{32,}\b")
_SHORT_HASH = 12


@dataclass(frozen=True, slots=True)
class Occasion:
    """One run that was just judged, with everything that telling about it may need."""

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
    log_tail: str = ""
    said: str = ""  # why the runs could not be looked at, in the words of whoever was asked
    exit_code: str = ""

    @property
    def for_channel(self) -> Occasion:
        """The same, for who reads the channel."""
        return replace(self, locale=self.channel_locale)


def view_of(effect: Effect, on: Occasion) -> View | None:
    """Return what the effect shows; None for what shows nothing, or what no single run says."""
    if isinstance(effect, TicketEffect):
        return _on_ticket(effect, on)
    if isinstance(effect, PageEffect):
        return _on_page(effect, on)
    if isinstance(effect, MessageEffect):
        return _in_channel(effect, on.for_channel)
    assert_never(effect)


def _on_ticket(effect: TicketEffect, on: Occasion) -> View | None:
    match effect:
        case OpenTicket():
            return ticket_view(on, _step_of(effect, on))
        case CommentTicket():
            return comment_view(on, _step_of(effect, on), effect)
        case AttachToTicket():
            return chart_view(on, _step_of(effect, on))
        case LinkTicket():
            return LinkView(_links(report=on.page))
        case ResolveTicket() | AttachText() | AttachComment():
            return None
        case _:
            assert_never(effect)


def _on_page(effect: PageEffect, on: Occasion) -> View | None:
    match effect:
        case PublishArchive():
            return archive_page_view(on)
        case PublishPage():
            return run_page_view(on)
        case LabelPage():
            return LabelsView(_labels(on))
        case AttachToPage():
            return chart_view(on)
        case UpdateSection():
            return pipeline_page_view(on)
        case PublishDigest():
            return None
        case _:
            assert_never(effect)


def _in_channel(effect: MessageEffect, on: Occasion) -> View | None:
    match effect:
        case TellChannel():
            return message_view(on, _step_of(effect, on))
        case ReplyInThread():
            return comment_view(on, _step_of(effect, on), effect)
        case ShareChart():
            return chart_view(on, _step_of(effect, on))
        case PostDigest():
            return None
        case _:
            assert_never(effect)


def _step_of(effect: Effect, on: Occasion) -> Step:
    return next(step for step in on.steps if step.incident.incident_id == effect.incident_id)


def ticket_view(on: Occasion, step: Step) -> TicketView:
    chart = chart_view(on, step)
    return TicketView(
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        onset=_onset(on, step.incident),
        rows=metric_rows(on, step),
        slices=_slice_rows(on, step)[:_SLICES_TOLD],
        facts=tuple(row for row in (*_commit(on), *_facts(on), *_params(on)) if row.changed),
        owner=on.config.owner,
        marker=_marker(on, step.incident),
        chart=chart.filename if chart else "",
        log_tail=on.log_tail,
        release=_release(on) if any(f.against is Against.PINNED for f in on.assessment.findings) else None,
        compared=_compared(on),
        links=_links(report=on.page),
    )


def comment_view(on: Occasion, step: Step, effect: Effect) -> CommentView:
    resolved = step.turn is Turn.RESOLVED
    return CommentView(
        kind=CommentKind.RECOVERY if resolved else CommentKind.REPEAT,
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        rows=metric_rows(on, step, only=step.incident.metrics),
        mark=hashlib.sha256(effect.effect_id.encode()).hexdigest()[:16],
        duration=_duration(on, step.incident) if resolved else "",
        links=_links(report=on.page),
    )


def message_view(on: Occasion, step: Step) -> MessageView:
    resolved = step.turn is Turn.RESOLVED
    rows = metric_rows(on, step, only=step.incident.metrics)
    return MessageView(
        tone=Tone.GOOD if resolved else Tone.BAD,
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        onset=_onset(on, step.incident),
        rows=rows[:_ROWS_IN_MESSAGE],
        owner=on.config.owner,
        mark=f"{on.places.instance}-{step.incident.incident_id}",
        duration=_duration(on, step.incident) if resolved else "",
        links=_links(ticket=on.places.ticket(step.incident), report=on.page),
    )


def run_page_view(on: Occasion) -> RunPageView:
    own = (step for step in on.steps if step.incident.kind is kind_of(on.assessment.outcome))
    step = next(chain(own, on.steps), None)
    incident = step.incident if step else next(iter(on.standing), None)
    previous = next((judged for judged in reversed(on.history[:-1]) if judged.page_title), None)
    previous_page = on.places.page(previous.page_title) if previous and previous.page_title else None
    return RunPageView(
        title=page_title(on.title, on.result.run, on.locale),
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        rows=metric_rows(on, reported=True),
        slices=_slice_rows(on),
        params=_params(on),
        facts=(*_commit(on), *_facts(on)),
        chart=chart_view(on),
        marker=_listed(on, incident) if incident else "",
        labels=_labels(on),
        peers=_peers(on),
        peer_metrics=tuple(_plain(on, name) for name in on.config.metrics),
        previous=run_view(on, previous.run) if previous_page and previous else None,
        release=_release(on),
        unread=on.result.unread,
        links=_links(
            previous=previous_page,
            pipeline=on.places.page(on.places.pipeline_page),
            archive=on.places.page(on.places.archive_page),
        ),
    )


def archive_page_view(on: Occasion) -> ArchivePageView:
    return ArchivePageView(
        title=on.places.archive_page,
        pipeline=on.title,
        year=str(year_of(on.result.run, on.zone)),
        links=_links(pipeline=on.places.page(on.places.pipeline_page)),
    )


def pipeline_page_view(on: Occasion) -> PipelinePageView:
    policies = on.config.metrics
    rows = [
        HistoryRow(
            run=run_view(on, judged.run),
            outcome=judged.outcome,
            values=tuple(_show(judged.run.metrics.get(name), section) for name, section in policies.items()),
            page_title=judged.page_title or "",
        )
        for judged in reversed(on.history[-_HISTORY_RUNS:])
    ]
    standing = [incident for incident in on.standing if incident.state is IncidentState.OPEN]
    open_rows = tuple(
        OpenIncidentRow(
            verdict=verdict_view(on, Step(incident, Turn.REPEATED), _last_word(on, incident)),
            since=formats.moment(incident.since, on.zone, on.locale),
            owner=on.config.owner,
            marker=_listed(on, incident),
            ticket="" if on.places.lists_tickets else _marker(on, incident),
        )
        for incident in standing
    )
    tickets = {row.ticket: on.places.ticket(i) for row, i in zip(open_rows, standing, strict=True) if row.ticket}
    return PipelinePageView(
        title=on.places.pipeline_page,
        pipeline=on.title,
        description=on.config.description,
        owner=on.config.owner,
        metrics=tuple(_plain(on, name) for name in policies),
        history=tuple(rows),
        incidents=open_rows,
        links=_links(**tickets),
    )


def _last_word(on: Occasion, incident: Incident) -> Assessment:
    """Return what last added to an incident: this verdict, or that on an earlier run."""
    if own_findings(incident, on.assessment.findings):
        return on.assessment
    if incident.kind is Kind.STALE:
        return Assessment("", (Finding("runs", Outcome.STALE, Reason.SILENCE),), SeriesState())
    if incident.kind is Kind.BLIND:
        return Assessment("", (Finding("looks", Outcome.BLIND, Reason.UNSEEN),), SeriesState())
    last = next((judged for judged in reversed(on.history) if judged.run.run_id in incident.bad_runs), None)
    return on.assessment if last is None else last.assessment


def concerns_whole_runs(config: PipelineSection, incident: Incident, findings: Iterable[Finding]) -> bool:
    """Say whether an incident is of all metrics of its runs: of the data behind them, or of each that must be there.

    While it goes on, *findings* of its last run say so; once it is over, what it knows of.
    """
    if incident.state.is_over:
        concerned = set(incident.metrics)
    else:
        concerned = {finding.metric for finding in own_findings(incident, findings)}
    wanted = {name for name, section in config.metrics.items() if not section.optional} or set(config.metrics)
    return not concerned <= config.metrics.keys() or wanted <= concerned


def verdict_view(on: Occasion, step: Step | None, assessment: Assessment | None = None) -> VerdictView:
    """Gather what one sentence about the run, or about the incident after it, needs.

    With an *assessment* of an earlier run it is told by that.
    """
    assessment = assessment or on.assessment
    outcome, findings = spoken_of(assessment, step)
    others = tuple(dict.fromkeys(_plain(on, f.metric) for f in findings[1:] if f.metric in on.config.metrics))
    told = next((f for f in findings if outcome is Outcome.INVALID and f.metric not in on.config.metrics), None)
    told = told or next((f for f in findings[:1] if f.metric in on.config.metrics), None)
    headline = None if told is None else _metric_row(on, told)
    silence = next((f for f in findings if f.outcome is Outcome.STALE), None)
    unseen = next((f for f in findings if f.outcome is Outcome.BLIND), None)
    incident = step.incident if step else None
    return VerdictView(
        outcome=outcome,
        kind=incident.kind if incident else None,
        pipeline=on.title,
        headline=headline if incident is None or incident.kind is not Kind.FAILED else None,
        also=others,
        slices=_most_of_the_loss(on, assessment, headline.metric) if headline else (),
        baseline_runs=str(findings[0].n_baseline) if findings else "0",
        bad_runs=str(len(incident.bad_runs)) if incident else "0",
        reruns_agree=on.config.confirm.reruns > 0 and any(f.reason is Reason.CONFIRMED for f in findings),
        exit_code=on.exit_code if assessment is on.assessment else "",
        silent_for="" if silence is None or silence.value is None else _seconds(on, silence.value),
        cadence="" if silence is None else _seconds(on, silence.baseline),
        unseen_for="" if unseen is None or unseen.value is None else _seconds(on, unseen.value),
        said=on.said,
        whole=incident is not None and concerns_whole_runs(on.config, incident, assessment.findings),
    )


def metric_rows(
    on: Occasion, step: Step | None = None, *, only: Sequence[str] | None = None, reported: bool = False
) -> tuple[MetricRow, ...]:
    """Return a row a judged metric, the incident's own and then the worst first.

    With *reported*, then one a metric that is only reported.
    """
    findings = [f for f in on.assessment.findings if f.part is None and (only is None or f.key in only)]
    findings = [f for f in findings if f.outcome not in _WITHOUT_NUMBERS]
    own = () if step is None else own_findings(step.incident, findings)
    rows = [
        _metric_row(on, f) for f in sorted(findings, key=lambda f: (f not in own, -f.outcome.severity, -prominence(f)))
    ]
    if reported:
        judged = {f.metric for f in findings}
        rows += [
            _plain_row(on, name, value)
            for name, value in sorted(on.result.run.metrics.items())
            if name not in judged and "/" not in name  # a slash: a slice, a method, a step
        ]
    return tuple(rows)


def chart_view(on: Occasion, step: Step | None = None) -> ChartView | None:
    """Return the history of the metric that the verdict speaks of; None where there is nothing to draw."""
    told = charted(on.assessment, step, on.config.metrics, on.history)
    if told is None:
        return None
    points = [judged for judged in on.history[-CHART_RUNS:] if told.metric in judged.run.metrics]
    chart = ChartView(
        metric=told.metric,
        labels=tuple(judged.run.name for judged in points),
        values=tuple(judged.run.metrics[told.metric] for judged in points),
        outcomes=tuple(judged.outcome for judged in points),
        baseline=told.baseline,
        band=None if told.spread is None else 2 * told.spread,
    )
    return replace(chart, filename=chart_filename(chart))


def run_view(on: Occasion, run: Run) -> RunView:
    return RunView(
        name=run.name,
        run_id=run.run_id,
        url=run.url,
        when=formats.moment(run.ended, on.zone, on.locale) if run.run_id else "",
        seed=run.params.get("seed", ""),
        duration=formats.duration(run.ended - run.started, on.locale) if run.ended > run.started else "",
    )


def _metric_row(on: Occasion, finding: Finding) -> MetricRow:
    section = on.config.metrics.get(finding.metric, MetricSection())
    return metric_row(finding, section, on.locale)


def metric_row(finding: Finding, section: MetricSection, locale: Locale) -> MetricRow:
    """Write a finding in finished strings."""
    scale = finding.baseline if finding.baseline is not None else finding.value
    value, level = _show(finding.value, section, scale), _show(finding.level, section, scale)
    is_mean = finding.n_since > 1 and level != value
    detectable = "" if finding.detectable is None else formats.number(finding.detectable, scale=scale)
    interval = ""
    if finding.change_low is not None and finding.change_high is not None:
        low = formats.number(finding.change_low, scale=scale, signed=True)
        high = formats.number(finding.change_high, scale=scale, signed=True)
        interval = formats.between(low, high, locale)
    return MetricRow(
        metric=finding.metric,
        plain=section.name.get(locale, finding.metric),
        outcome=finding.outcome,
        reason=finding.reason,
        value=value,
        baseline=_show(finding.baseline, section, scale),
        change="" if finding.change is None else formats.number(finding.change, scale=scale, signed=True),
        relative="" if finding.relative is None else formats.percent(finding.relative, locale, signed=True),
        interval=interval,
        spread=_relative_spread(finding, locale),
        detectable="" if formats.is_nothing(detectable) else _show(finding.detectable, section, scale),
        part="" if finding.part is None else f"{finding.part.column} = {finding.part.value}",
        share_of_loss="" if finding.share_of_loss is None else formats.percent(finding.share_of_loss, locale),
        examples=f"{finding.n_examples:,}" if finding.part is not None else "",
        higher_is_better=section.direction.sign > 0,
        why=section.why.get(locale, ""),
        is_release=finding.against is Against.PINNED,
        now=level if is_mean else "",
        over=str(finding.n_since) if is_mean else "",
    )


def _plain_row(on: Occasion, name: str, value: float) -> MetricRow:
    accepted = [r.run.metrics[name] for r in on.baseline.recent if name in r.run.metrics]
    before = sum(accepted) / len(accepted) if accepted else None
    change = None if before is None else value - before
    relative = change / abs(before) if change is not None and before else None
    return MetricRow(
        metric=name,
        plain=name,
        outcome=None,
        reason=None,
        value=formats.number(value),
        baseline="" if before is None else formats.number(before, scale=before or value),
        change="" if change is None else formats.number(change, scale=before or value, signed=True),
        relative="" if relative is None else formats.percent(relative, on.locale, signed=True),
        interval="",
        spread="",
        detectable="",
    )


def _slice_rows(on: Occasion, step: Step | None = None) -> tuple[MetricRow, ...]:
    """Return a row a slice of the metric that is told, the largest share of the loss first."""
    parts = [f for f in on.assessment.findings if f.part is not None]
    told = on.assessment.findings if step is None else spoken_of(on.assessment, step)[1]
    whole = [f for f in told if f.part is None and f.metric in {p.metric for p in parts}]
    if not whole:
        return ()
    first = max(whole, key=lambda f: (f.outcome.severity, prominence(f)))
    chosen = sorted((f for f in parts if f.metric == first.metric), key=lambda f: -(f.share_of_loss or 0.0))
    return tuple(_metric_row(on, f) for f in chosen)


def _most_of_the_loss(on: Occasion, assessment: Assessment, metric: str) -> tuple[MetricRow, ...]:
    """Return the few parts that hold more than half of the metric's fall; none where the fall is spread out."""
    parts = [f for f in assessment.findings if f.part is not None and f.metric == metric]
    parts.sort(key=lambda f: -(f.share_of_loss or 0.0))
    for few in range(1, _PARTS_NAMED + 1):
        if sum(f.share_of_loss or 0.0 for f in parts[:few]) > _MOST:
            return tuple(_metric_row(on, f) for f in parts[:few])
    return ()


def _peers(on: Occasion) -> tuple[PeerRow, ...]:
    """Return the run beside the simpler methods that it logged as `METHOD/METRIC`; nothing where it logged none."""
    metrics = on.result.run.metrics
    pairs = (name.split("/") for name in metrics if name.count("/") == 1)
    found = {method for method, metric in pairs if metric in on.config.metrics} - INTERVAL_ENDS

    def row(name: str, prefix: str) -> PeerRow:
        shown = tuple(_show(metrics.get(f"{prefix}{metric}"), section) for metric, section in on.config.metrics.items())
        return PeerRow(name, shown)

    rows = [row(name.replace("_", " "), f"{name}/") for name in sorted(found)]
    return (*rows, row("", "")) if rows else ()


def _facts(on: Occasion) -> tuple[FactRow, ...]:
    """Return the data card, beside that of the latest accepted run."""
    before = on.baseline.recent[-1].card if on.baseline.recent else None
    rows: list[FactRow] = []
    for name, value in on.result.card.numbers.items():
        old = before.numbers.get(name) if before else None
        shown = "" if old is None else formats.fact(old)
        rows.append(FactRow(name, formats.fact(value), shown, changed=old is not None and old != value))
    for name, text in on.result.card.texts.items():
        earlier = before.texts.get(name) if before else None
        changed = earlier is not None and earlier != text
        rows.append(FactRow(name, _shortened(text), _shortened(earlier or ""), changed=changed))
    return tuple(rows)


def _params(on: Occasion) -> tuple[FactRow, ...]:
    """Return the parameters, beside those of the latest accepted run; one that only one of both has is a change."""
    now = on.result.run.params
    before: Mapping[str, str] = on.baseline.recent[-1].run.params if on.baseline.recent else {}
    are_compared = bool(now and before)
    return tuple(
        FactRow(
            name,
            _shortened(now.get(name, "")),
            _shortened(before.get(name, "")),
            changed=are_compared and name != "seed" and now.get(name) != before.get(name),  # seeds differ on purpose
        )
        for name in sorted(now.keys() | before.keys() if are_compared else now.keys())
    )


def _commit(on: Occasion) -> tuple[FactRow, ...]:
    """Return the commit that the run's code came from, beside that of the latest accepted run."""
    commit = on.result.run.tags.get(COMMIT_TAG, "")
    before = on.baseline.recent[-1].run.tags.get(COMMIT_TAG, "") if on.baseline.recent else ""
    if not commit:
        return ()
    return (FactRow("git commit", _shortened(commit), _shortened(before), changed=bool(before) and before != commit),)


def _compared(on: Occasion) -> tuple[Source, ...]:
    """Return of what both this run and the latest accepted one have something on record."""
    if not on.baseline.recent:
        return ()
    now, before = on.result, on.baseline.recent[-1]
    there = {
        Source.PARAMS: now.run.params.keys() - {"seed"} and before.run.params.keys() - {"seed"},
        Source.CARD: now.card and before.card,
        Source.COMMIT: COMMIT_TAG in now.run.tags and COMMIT_TAG in before.run.tags,
    }
    return tuple(source for source, is_there in there.items() if is_there)


def _shortened(text: str) -> str:
    """Leave of a hash what a person compares."""
    return _HASH.sub(lambda found: found[0][:_SHORT_HASH], text)


def _onset(on: Occasion, incident: Incident) -> RunView:
    judged = on.names.get(incident.onset)
    return run_view(on, (judged or on.history[-1]).run)


def _release(on: Occasion) -> RunView | None:
    return None if on.baseline.pinned is None else run_view(on, on.baseline.pinned.run)


def _duration(on: Occasion, incident: Incident) -> str:
    return formats.duration(incident.lasted(on.now), on.locale)


def _seconds(on: Occasion, seconds: float | None) -> str:
    return formats.duration(timedelta(seconds=seconds or 0), on.locale)


def _relative_spread(finding: Finding, locale: Locale) -> str:
    if finding.spread is None or not finding.baseline:
        return ""
    share = formats.percent(finding.spread / abs(finding.baseline), locale)
    return "" if formats.is_nothing(share) else share


def _show(value: float | None, section: MetricSection, scale: float | None = None) -> str:
    return "" if value is None else formats.number(value, section.unit, scale=scale)


def _plain(on: Occasion, metric: str) -> str:
    section = on.config.metrics.get(metric)
    return section.name.get(on.locale, metric) if section else metric


def _marker(on: Occasion, incident: Incident) -> str:
    ticket = on.places.ticket(incident)
    return ticket.name if ticket else ""


def _listed(on: Occasion, incident: Incident) -> str:
    """Return the marker where the wiki can list tickets by it."""
    return _marker(on, incident) if on.places.lists_tickets else ""


def _labels(on: Occasion) -> tuple[str, ...]:
    """Label a run's page with Herald's name, this Herald's, and the markers of the incidents it belongs to."""
    markers = [_marker(on, incident) for incident in (*(s.incident for s in on.steps), *on.standing)]
    return tuple(
        dict.fromkeys(["herald", instance_label(on.places.instance), *(marker for marker in markers if marker)])
    )


def _links(**named: ObjectKey | None) -> dict[str, ObjectKey]:
    return {name: key for name, key in named.items() if key is not None}

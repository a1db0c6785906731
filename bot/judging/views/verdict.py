"""What one sentence about a run, or about an incident after it, needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from bot.config.metric import MetricSection
from bot.config.pipeline import PipelineSection
from bot.domain.cluster_outages import executor_in
from bot.domain.headlines import own_findings, spoken_of
from bot.domain.incidents import Incident, Kind, Step
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.rerun_answers import Cause
from bot.domain.views import RerunsView, VerdictView
from bot.judging.views.differences import differences_of
from bot.judging.views.metric_rows import most_of_the_loss, row_of, shown_value, spoken_name, where_view
from bot.judging.views.occasion import Occasion
from bot.text import formats


def verdict_view(on: Occasion, step: Step | None, assessment: Assessment | None = None) -> VerdictView:
    """Gather what one sentence about the run, or about the incident after it, needs.

    With an *assessment* of an earlier run it is told by that.
    """
    assessment = assessment or on.assessment
    outcome, findings = spoken_of(assessment, step)
    others = tuple(dict.fromkeys(spoken_of_also(on, f) for f in findings[1:] if f.metric in on.config.metrics))
    told = next((f for f in findings if outcome is Outcome.INVALID and f.metric not in on.config.metrics), None)
    told = told or next((f for f in findings[:1] if f.metric in on.config.metrics), None)
    headline = None if told is None else row_of(on, told)
    silence = next((f for f in findings if f.outcome is Outcome.STALE), None)
    unseen = next((f for f in findings if f.outcome is Outcome.BLIND), None)
    incident = step.incident if step else None
    return VerdictView(
        outcome=outcome,
        kind=incident.kind if incident else None,
        pipeline=on.title,
        headline=headline if incident is None or incident.kind is not Kind.FAILED else None,
        also=others,
        slices=most_of_the_loss(on, assessment, headline.metric) if headline and not headline.part else (),
        baseline_runs=str(findings[0].n_baseline) if findings else "0",
        bad_runs=str(len(incident.bad_runs)) if incident else "0",
        reruns=None if told is None else _reruns(on, incident, told, assessment.run_id),
        exit_code=on.exit_code if assessment is on.assessment else "",
        silent_for="" if silence is None or silence.value is None else _seconds(on, silence.value),
        cadence="" if silence is None else _seconds(on, silence.baseline),
        unseen_for="" if unseen is None or unseen.value is None else _seconds(on, unseen.value),
        said=on.said,
        cluster=cluster_of(incident),
        since=_since(on, incident),
        waiting=tuple(on.waiting),
        other_test_set=outcome is Outcome.REGRESSED and differences_of(on, step).has_other_test_set,
        whole=incident is not None and concerns_whole_runs(on.config, incident, assessment.findings),
        where=where_view(on, told),
    )


def _reruns(on: Occasion, incident: Incident | None, told: Finding, run_id: str) -> RerunsView | None:
    """Return what reruns said of a finding: of the latest run of its incident that had any, else of the run itself."""
    spoken_of = (run_id,) if incident is None else (run_id, *reversed(incident.bad_runs))
    found = next((on.reruns[each] for each in spoken_of if each in on.reruns), None)
    answer = None if found is None else found.of(told.key)
    if answer is None or answer.cause is Cause.NOT_YET:
        return None
    section = on.config.metrics.get(told.metric, MetricSection())
    scale = told.baseline if told.baseline is not None else told.value
    own, baseline = (
        tuple(shown_value(value, section, scale) for value in some) for some in (answer.own, answer.baseline)
    )
    return RerunsView(answer.cause, own, baseline)


def spoken_of_also(on: Occasion, finding: Finding) -> str:
    return spoken_name(finding, on.config.metrics.get(finding.metric, MetricSection()), on.locale)


def last_word(on: Occasion, incident: Incident) -> Assessment:
    """Return what last added to an incident: this verdict, or that on an earlier run."""
    if own_findings(incident, on.assessment.findings):
        return on.assessment
    if incident.kind is Kind.STALE:
        return Assessment("", (Finding("runs", Outcome.STALE, Reason.SILENCE),), SeriesState())
    if incident.kind is Kind.BLIND:
        return Assessment("", (Finding("looks", Outcome.BLIND, Reason.UNSEEN),), SeriesState())
    if incident.kind is Kind.AWAY:
        found = tuple(Finding(key, Outcome.AWAY, Reason.UNANSWERED) for key in incident.metrics)
        return Assessment("", found, SeriesState())
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


def cluster_of(incident: Incident | None) -> str:
    """Name the cluster that an incident says cannot be asked."""
    return executor_in(incident.metrics[0]) if incident is not None and incident.kind is Kind.AWAY else ""


def _since(on: Occasion, incident: Incident | None) -> str:
    is_told = incident is not None and incident.kind is Kind.AWAY
    return formats.moment(incident.since, on.zone, on.locale) if incident is not None and is_told else ""


def _seconds(on: Occasion, seconds: float | None) -> str:
    return formats.duration(timedelta(seconds=seconds or 0), on.locale)

"""Which findings of a run are spoken of: of an incident its own, and first the one that moved most."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence

from bot.domain.incidents import Incident, Step, kind_of
from bot.domain.judge.findings import Assessment, Finding, Outcome
from bot.domain.judged_run import JudgedRun

CHART_RUNS = 30
_FALLEN = {Outcome.SUSPICIOUS, Outcome.OUTSIDE, Outcome.BREACHED, Outcome.REGRESSED}


def prominence(finding: Finding) -> float:
    """Order findings by how far they moved, counted in what runs differ by."""
    if finding.change is None or not finding.spread:
        return 0.0
    return abs(finding.change) / finding.spread


def most_telling(findings: Iterable[Finding]) -> list[Finding]:
    """Order findings by which to speak of first: the one that moved most, in what runs differ by."""
    return sorted(
        findings,
        key=lambda f: (f.part is None, f.change is not None, prominence(f), abs(f.relative or 0.0)),
        reverse=True,
    )


def own_findings(incident: Incident, findings: Iterable[Finding]) -> list[Finding]:
    """Return what a run says of whole metrics, and of slices that fell alone, that belongs to an incident.

    That is what is of its kind, and it knows of.
    """
    return [
        finding
        for finding in findings
        if kind_of(finding.outcome) is incident.kind
        and ((finding.part is None and not incident.metrics) or _is_of(incident, finding))
    ]


def _is_of(incident: Incident, finding: Finding) -> bool:
    return finding.key in (incident.metrics if finding.part is None else incident.slices)


def told_of(incident: Incident, findings: Iterable[Finding], *, is_over: bool) -> list[Finding]:
    """Return what a run says of an incident: the worst of its own kind, or once it *is_over* how its metrics are."""
    if is_over:
        return [f for f in findings if _is_of(incident, f)]
    own = own_findings(incident, findings)
    worst = max((f.outcome for f in own), key=lambda outcome: outcome.severity, default=None)
    return [f for f in own if f.outcome is worst]


def spoken_of(assessment: Assessment, step: Step | None) -> tuple[Outcome, list[Finding]]:
    """Return the outcome that a verdict speaks of, and its findings: of an incident its own, of a run the worst."""
    outcome = assessment.outcome
    findings = [f for f in assessment.findings if f.part is None and f.outcome is outcome]
    if step is not None:
        is_over = step.is_end
        own = told_of(step.incident, assessment.findings, is_over=is_over)
        outcome = own[0].outcome if own and not is_over else outcome
        findings = own if own or (is_over and step.incident.metrics) else findings
    return outcome, most_telling(findings)


def charted(
    assessment: Assessment, step: Step | None, metrics: Collection[str], history: Sequence[JudgedRun]
) -> Finding | None:
    """Return the finding whose metric a chart shows first; None where there is nothing to draw.

    *metrics* are those that config names, *history* the runs of the series up to this one.
    """
    return next(iter(all_charted(assessment, step, metrics, history)), None)


def all_charted(
    assessment: Assessment, step: Step | None, metrics: Collection[str], history: Sequence[JudgedRun]
) -> list[Finding]:
    """Return the findings whose metrics a chart shows: the one that is told, then what fell with it, most first."""
    whole = assessment.findings if step is None else spoken_of(assessment, step)[1]
    findings = [f for f in whole if f.part is None and f.metric in metrics]
    findings.sort(key=lambda f: (f.outcome.severity, f.change is not None, prominence(f)), reverse=True)
    if not findings or findings[0].value is None:
        return []  # the history without this run would show something else than what is told
    told = findings[0]
    fell = [f for f in findings[1:] if f.value is not None and f.outcome is told.outcome and f.outcome in _FALLEN]
    measured = {metric for judged in history[-CHART_RUNS:] for metric in judged.run.metrics}
    return [f for f in (told, *fell) if f.metric in measured] if told.metric in measured else []


def exampled(assessment: Assessment, step: Step | None, keys: Container[str]) -> str | None:
    """Return the key of the finding whose worst examples are shown, of those that have some."""
    return next((f.key for f in spoken_of(assessment, step)[1] if f.key in keys), None)

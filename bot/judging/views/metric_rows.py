"""Rows of metrics and of their slices: a finding against its baseline, in finished strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from bot.config.metric import MetricSection
from bot.domain.headlines import own_findings, prominence, spoken_of
from bot.domain.incidents import Step
from bot.domain.job_protocol import INTERVAL_ENDS
from bot.domain.judge import Against, Assessment, Finding, Outcome
from bot.domain.parts import by_column, columns_of
from bot.domain.views import LookedView, MetricRow, PeerRow, WhereView, WorstRow
from bot.judging.views.occasion import Occasion
from bot.text import formats
from bot.text.locales import Locale, conventions

_PARTS_NAMED = 3
_MOST = 0.5
_ALL = 0.95  # from this share on, a set holds all of a fall
_WITHOUT_NUMBERS = {
    Outcome.FAILED,
    Outcome.STALE,
    Outcome.BLIND,
    Outcome.AWAY,
}  # said in a sentence, not in a table of metrics


def metric_rows(
    on: Occasion, step: Step | None = None, *, only: Sequence[str] | None = None, reported: bool = False
) -> tuple[MetricRow, ...]:
    """Return a row a judged metric, the incident's own and then the worst first.

    With *reported*, then one a metric that is only reported.
    """
    alone = step.incident.slices if step is not None else frozenset()
    findings = [
        f for f in on.assessment.findings if f.key in alone or (f.part is None and (only is None or f.key in only))
    ]
    findings = [f for f in findings if f.outcome not in _WITHOUT_NUMBERS]
    own = () if step is None else own_findings(step.incident, findings)
    findings.sort(key=lambda f: (f not in own, -f.outcome.severity, -prominence(f)))
    rows = each_over([row_of(on, f) for f in findings])
    if reported:
        judged = {f.metric for f in findings}
        rows += [
            _plain_row(on, name, value)
            for name, value in sorted(on.result.run.metrics.items())
            if name not in judged and "/" not in name  # a slash: a slice, a method, a step
        ]
    return tuple(rows)


def each_over(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """Let each row say how many runs its number is of, where one of them is of several."""
    if not any(row.over for row in rows):
        return list(rows)
    return [row if row.over or not row.value else replace(row, over="1") for row in rows]


def row_of(on: Occasion, finding: Finding) -> MetricRow:
    section = on.config.metrics.get(finding.metric, MetricSection())
    return metric_row(finding, section, on.locale)


def worst_row(on: Occasion, finding: Finding, before: float) -> WorstRow:
    """Write of what a run shows at its worst so far, and what was the worst *before*."""
    section = on.config.metrics.get(finding.metric, MetricSection())
    scale = finding.baseline if finding.baseline is not None else finding.value
    value = shown_value(finding.value, section, scale)
    return WorstRow(spoken_name(finding, section, on.locale), value, shown_value(before, section, scale))


def metric_row(finding: Finding, section: MetricSection, locale: Locale) -> MetricRow:
    """Write a finding in finished strings."""
    scale = finding.baseline if finding.baseline is not None else finding.value
    value, limit = _beside_limit(finding, section, scale)
    level = shown_value(finding.level, section, scale)
    is_mean = finding.n_since > 1 and level != value
    detectable = "" if finding.detectable is None else formats.number(finding.detectable, scale=scale)
    interval = ""
    if finding.change_low is not None and finding.change_high is not None:
        low = formats.number(finding.change_low, scale=scale, signed=True)
        high = formats.number(finding.change_high, scale=scale, signed=True)
        interval = formats.between(low, high, locale)
    return MetricRow(
        metric=finding.metric,
        plain=spoken_name(finding, section, locale),
        outcome=finding.outcome,
        reason=finding.reason,
        value=value,
        baseline=shown_value(finding.baseline, section, scale),
        change="" if finding.change is None else formats.number(finding.change, scale=scale, signed=True),
        relative="" if finding.relative is None else formats.percent(finding.relative, locale, signed=True),
        interval=interval,
        spread=_relative_spread(finding, locale),
        detectable="" if formats.is_nothing(detectable) else shown_value(finding.detectable, section, scale),
        part="" if finding.part is None else finding.part.spoken,
        share_of_loss="" if finding.share_of_loss is None else formats.percent(finding.share_of_loss, locale),
        examples=f"{finding.n_examples:,}" if finding.part is not None else "",
        why=section.why.get(locale, ""),
        is_release=finding.against is Against.PINNED,
        now=level if is_mean else "",
        over=str(finding.n_since) if is_mean else "",
        caveat=finding.caveat,
        limit=limit,
    )


def _beside_limit(finding: Finding, section: MetricSection, scale: float | None) -> tuple[str, str]:
    if finding.value is None or finding.limit is None:
        return shown_value(finding.value, section, scale), ""
    return formats.beside_limit(finding.value, finding.limit, section.unit, scale=scale)


def spoken_name(finding: Finding, section: MetricSection, locale: Locale) -> str:
    """Return what a sentence calls that of which a finding speaks: a metric as the team does, or one slice of it."""
    plain, part = section.name.get(locale, finding.metric), finding.part
    if part is None:
        return plain
    column = " / ".join(column for column, _ in part.conditions)
    return conventions(locale).slice_of.format(metric=plain, column=column, value=part.place)


def _plain_row(on: Occasion, name: str, value: float) -> MetricRow:
    accepted = [r.run.metrics[name] for r in on.baseline.accepted if name in r.run.metrics]
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


def slice_rows(on: Occasion, step: Step | None = None) -> tuple[MetricRow, ...]:
    """Return a row a slice of the metric that is told, in that order."""
    return tuple(row_of(on, f) for f in sliced(on, step))


def sliced(on: Occasion, step: Step | None = None) -> Sequence[Finding]:
    """Return what is said of the slices of the metric that is told: column by column, the largest share first."""
    parts = [f for f in on.assessment.findings if f.part is not None]
    told = on.assessment.findings if step is None else spoken_of(on.assessment, step)[1]
    alone = step.incident.slices if step is not None else frozenset()
    whole = [f for f in told if (f.part is None or f.key in alone) and f.metric in {p.metric for p in parts}]
    if not whole:
        return ()
    first = max(whole, key=lambda f: (f.outcome.severity, prominence(f)))
    of_metric = (f for f in parts if f.metric == first.metric)
    explain = first.where.parts if first.where is not None else ()
    return by_column(of_metric, lambda f: (f.key not in alone, f.part not in explain, -(f.share_of_loss or 0.0)))


def most_of_the_loss(on: Occasion, assessment: Assessment, metric: str) -> tuple[MetricRow, ...]:
    """Return the few parts by one column that hold more than half of the fall; none where the fall is spread out.

    A share above 100 %, as others gained meanwhile, is no number to read aloud.
    """
    parts = [f for f in assessment.findings if f.part is not None and f.part.within is None and f.metric == metric]
    ordered = by_column(parts, lambda f: -(f.share_of_loss or 0.0))
    columns = [list(own) for _, own in groupby(ordered, key=lambda f: columns_of(f.part))]
    for few in range(1, _PARTS_NAMED + 1):
        for own in columns:
            if sum(f.share_of_loss or 0.0 for f in own[:few]) > _MOST:
                rows = ((row_of(on, f), f.share_of_loss or 0.0) for f in own[:few])
                return tuple(replace(row, share_of_loss="") if share > 1 else row for row, share in rows)
    return ()


def where_view(on: Occasion, finding: Finding | None) -> WhereView | None:
    """Say which smallest set explains the fall that a finding speaks of; None where it is everywhere."""
    found = None if finding is None else finding.where
    if found is None or not found.parts or finding is None or finding.change is None:
        return None
    relative, change = found.relative_without, found.change_without
    without = "" if change is None else formats.number(change, scale=found.baseline_without, signed=True)
    if relative is not None:
        without = formats.percent(relative, on.locale, signed=True)
    return WhereView(
        parts=tuple(part.place for part in found.parts),
        share="" if found.share >= _ALL else formats.percent(found.share, on.locale),
        without="" if formats.is_nothing(without) else without,
        is_known=change is not None,
    )


def looked_view(on: Occasion) -> LookedView | None:
    """Say how many combinations were looked at; None where config names none, or the run has none."""
    found = next((f.where for f in on.assessment.findings if f.where is not None), None)
    if found is None or not on.config.judge.slices.pairs:
        return None
    return LookedView(
        f"{found.looked_at:,}",
        f"{found.too_small:,}" if found.too_small else "",
        f"{found.beyond:,}" if found.beyond else "",
    )


def peer_rows(on: Occasion) -> tuple[PeerRow, ...]:
    """Return the run beside the simpler methods that it logged as `METHOD/METRIC`; nothing where it logged none."""
    metrics = on.result.run.metrics
    pairs = (name.split("/") for name in metrics if name.count("/") == 1)
    found = {method for method, metric in pairs if metric in on.config.metrics} - INTERVAL_ENDS

    def row(name: str, prefix: str) -> PeerRow:
        shown = tuple(
            shown_value(metrics.get(f"{prefix}{metric}"), section) for metric, section in on.config.metrics.items()
        )
        return PeerRow(name, shown)

    rows = [row(name.replace("_", " "), f"{name}/") for name in sorted(found)]
    return (*rows, row("", "")) if rows else ()


def _relative_spread(finding: Finding, locale: Locale) -> str:
    if finding.spread is None or not finding.baseline:
        return ""
    share = formats.percent(finding.spread / abs(finding.baseline), locale)
    return "" if formats.is_nothing(share) else share


def shown_value(value: float | None, section: MetricSection, scale: float | None = None) -> str:
    return "" if value is None else formats.number(value, section.unit, scale=scale)


def plain_name(on: Occasion, metric: str) -> str:
    section = on.config.metrics.get(metric)
    return section.name.get(on.locale, metric) if section else metric

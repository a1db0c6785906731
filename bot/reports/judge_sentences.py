"""What `herald judge` says of findings, in sentences and in finished strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from bot.domain.judge import Finding, Outcome
from bot.domain.judge.offline import Cut, Stretches
from bot.domain.judge.paired import Pairs
from bot.domain.views import CutRow, MetricRow, PairsView, SeriesView, StretchesView, VerdictView
from bot.render.renderer import Renderer
from bot.text import formats
from bot.text.formats import fine
from bot.text.locales import Locale

_DETECTABLE_TOLD = (Outcome.OK, Outcome.INSUFFICIENT_DATA)
_NOTHING = 1e-8  # of the level
_TOO_SHORT = 10  # values; fewer cannot be cut
_CHANGE_TOLD = (Outcome.REGRESSED, Outcome.SUSPICIOUS, Outcome.IMPROVED)


@dataclass(frozen=True)
class JudgeSentences:
    """Sentences in one language of people."""

    locale: Locale

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer(self.locale)

    def word(self, name: str) -> str:
        return self.renderer.word(name)

    def why(self, method: str) -> str:
        """Say why a method was the right one."""
        return self.word(f"method_{method}")

    def outcome(self, outcome: Outcome) -> str:
        return self.renderer.outcome(outcome)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.word("judged_columns").split(", "))

    def say_series(self, finding: Finding, names: Sequence[str] = ()) -> str:
        """Say how a series stands with its newest run; *names* are those of its runs, where they have any."""
        return self.renderer.render_judged(self.view_series(finding, names))

    def view_series(self, finding: Finding, names: Sequence[str]) -> SeriesView:
        step = step_of(finding)
        row = self.row(finding)
        began = None if finding.outcome is Outcome.SUSPICIOUS else finding.onset  # one run is no beginning yet
        onset = "" if began is None else names[int(began)] if names else began
        told = finding.outcome in _CHANGE_TOLD and finding.change_low is not None and finding.change_high is not None
        interval = self.span(finding.change_low or 0.0, finding.change_high or 0.0, finding.baseline, step)
        known = finding.outcome is Outcome.OK and not is_nothing(finding.spread or 0.0, finding.baseline)
        detectable = finding.detectable if known else None
        return SeriesView(
            VerdictView(finding.outcome, None, row.plain, row, (), (), str(finding.n_baseline), "1"),
            onset=onset,
            interval=interval if told else "",
            detectable=self.least(detectable, finding.baseline, step),
        )

    def row(self, finding: Finding) -> MetricRow:
        """Write a finding so that its numbers add up: the value is that of the level, where a level changed."""
        step = step_of(finding)
        value = finding.value
        if finding.outcome in _CHANGE_TOLD and finding.baseline is not None and finding.change is not None:
            value = finding.baseline + finding.change
        relative = finding.relative
        is_mean = finding.outcome in _CHANGE_TOLD and finding.n_since > 1
        known = finding.detectable if finding.outcome in _DETECTABLE_TOLD else None
        return MetricRow(
            metric=finding.metric,
            plain=finding.metric,
            outcome=finding.outcome,
            reason=finding.reason,
            value="" if value is None else fine(value, step),
            baseline="" if finding.baseline is None else fine(finding.baseline, step),
            change="" if finding.change is None else fine(finding.change, step, signed=True),
            relative="" if relative is None else self.share(relative, finding.baseline, step, signed=True),
            interval="",
            spread=self.noise(finding.spread, finding.baseline),
            detectable=self.least(known, finding.baseline, step),
            over=str(finding.n_since) if is_mean else "",
            caveat=finding.caveat,
        )

    def say_stretches(self, metric: str, found: Stretches | None, count: int) -> str:
        """Say where a whole series of *count* values changed its level."""
        if found is None or found.runs < _TOO_SHORT:
            return self.renderer.render_judged(StretchesView(metric, str(count), "", ()))
        step = found.spread
        cuts = tuple(self.cut_row(cut, step) for cut in found.cuts)
        detectable = self.least(None if cuts else found.detectable, found.level, step)
        level = fine(found.level, step)
        return self.renderer.render_judged(StretchesView(metric, str(found.runs), level, cuts, detectable))

    def cut_row(self, cut: Cut, step: float) -> CutRow:
        relative = "" if not cut.before else self.share(cut.change / abs(cut.before), cut.before, step, signed=True)
        return CutRow(
            at=str(cut.at),
            before=fine(cut.before, step),
            after=fine(cut.after, step),
            change=fine(cut.change, step, signed=True),
            relative=relative,
            interval=self.ends(cut.change_low, cut.change_high, cut.before, step),
        )

    def say_pairs(
        self, metric: str, found: Pairs | None, slices: Sequence[str], compared: int, *, regressed: bool
    ) -> str:
        """Say whether the mean over pairs got worse, and in which of the *compared* slices."""
        if found is None:
            empty = MetricRow(metric, metric, None, None, "", "", "", "", "", "", "")
            return self.renderer.render_judged(PairsView(Outcome.INSUFFICIENT_DATA, empty, ()))
        step = (found.change_high - found.change_low) / 4
        relative = found.relative
        differ = not is_nothing(max(abs(found.change_low), abs(found.change_high)), found.baseline)
        row = MetricRow(
            metric=metric,
            plain=metric,
            outcome=None,
            reason=None,
            value=fine(found.baseline + found.change, step),
            baseline=fine(found.baseline, step),
            change=fine(found.change, step, signed=True),
            relative="" if relative is None else self.share(relative, found.baseline, step, signed=True),
            interval=self.span(found.change_low, found.change_high, found.baseline, step) if differ else "",
            spread="",
            detectable=self.least(found.detectable, found.baseline, step),
            examples=f"{found.n:,}",
        )
        outcome = Outcome.REGRESSED if regressed else Outcome.OK
        return self.renderer.render_judged(PairsView(outcome, row, tuple(slices), str(compared) if compared else ""))

    def share(self, share: float, level: float | None, step: float, *, signed: bool = False) -> str:
        """Write a share of *level* as a percentage that shows *step* with two digits."""
        if formats.is_long(share):
            return formats.percent(share, self.locale, signed=signed)
        text = fine(100 * share, 100 * step / abs(level) if level and step else 1.0, signed=signed)
        return formats.as_percent(text, self.locale)

    def noise(self, spread: float | None, level: float | None) -> str:
        if not spread or is_nothing(spread, level):
            return ""
        return self.share(spread / abs(level), level, spread) if level else fine(spread, spread)

    def size(self, size: float, level: float | None, step: float) -> str:
        """Write a size in the metric's unit and, where there is a level, as a share of it."""
        text = fine(size, step)
        return formats.beside(text, self.share(size / abs(level), level, step), self.locale) if level else text

    def least(self, size: float | None, level: float | None, step: float) -> str:
        """Write the smallest change that could have been seen; nothing where all are the same, which says none."""
        if size is None or is_nothing(size, level) or formats.is_nothing(fine(size, step)):
            return ""
        return self.size(size, level, step)

    def span(self, low: float, high: float, level: float | None, step: float) -> str:
        """Write an interval of changes in the metric's unit and, where there is a level, relative to it."""
        text = self.ends(low, high, None, step)
        return formats.beside(text, self.ends(low, high, level, step), self.locale) if level else text

    def ends(self, low: float, high: float, level: float | None, step: float) -> str:
        """Write an interval of changes relative to a *level*, or in the metric's unit where there is none."""

        def write(end: float) -> str:
            return self.share(end / abs(level), level, step, signed=True) if level else fine(end, step, signed=True)

        return formats.between(write(low), write(high), self.locale)


@cache
def sentences_in(locale: Locale) -> JudgeSentences:
    return JudgeSentences(locale)


def is_nothing(spread: float, level: float | None) -> bool:
    """Say whether runs that differ by *spread* are all the same but for rounding."""
    return spread <= _NOTHING * (abs(level) if level else 1.0)


def step_of(finding: Finding) -> float:
    """Return what a person wants to see two digits of: what runs differ by, else the change."""
    spread = finding.spread or 0.0
    return (finding.change or 0.0) if is_nothing(spread, finding.baseline) else spread

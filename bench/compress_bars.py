"""What candidates of `compress` come to over several fits: means, intervals over seeds and questions, and the bars."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import hypot
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.compression.gate import Measured

Fits = Sequence[Sequence["Measured"]]  # of each fit the original first, then its candidates
LEVEL = 0.975  # of either side
VECTORS, BM25 = "vectors", "bm25"


@dataclass(frozen=True, slots=True)
class Bar:
    """What a candidate is to reach: a share of the original's metric, or a loss at most, and how much quicker."""

    speedup: float
    share: float | None = None
    loss: float | None = None
    whole: bool = False  # the pace of whole answers, pairs as `evaluate` scores them; else of texts to vectors


BARS: Mapping[tuple[str, str], Bar] = {
    ("retrieval", "static"): Bar(50, share=0.90),
    ("retrieval", "asymmetric"): Bar(5, share=0.97),
    ("relevance", "int8"): Bar(1.5, loss=0.003, whole=True),
    ("relevance", "static_int8"): Bar(1.5, loss=0.003, whole=True),
}


@dataclass(frozen=True, slots=True)
class Across:
    """A mean over fits, and where it lies for other fits and other questions."""

    mean: float
    low: float
    high: float


def across(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> Across:
    """Give the mean of fits, of which each has an interval over questions, with one over both.

    Questions are the same for all fits, so their part does not shrink with the number of fits; that of the fits is
    Student's, and the two add up as independent errors do. Of one fit only the questions' part is known.
    """
    mean, between = fmean(values), 0.0
    if len(values) > 1:
        from scipy.stats import t

        between = float(t.ppf(LEVEL, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    below = fmean([value - low for value, low in zip(values, lows, strict=True)])
    above = fmean([high - value for value, high in zip(values, highs, strict=True)])
    return Across(mean, mean - hypot(below, between), mean + hypot(above, between))


@dataclass(frozen=True, slots=True)
class CandidateFits:
    """One candidate of all fits beside their originals."""

    task: str
    each: Sequence["Measured"]
    originals: Sequence["Measured"]

    @property
    def name(self) -> str:
        return self.each[0].name

    def lost(self) -> Across:
        intervals = [(one.loss_between.low, one.loss_between.high) for one in self.each if one.loss_between]
        return across([one.loss for one in self.each], *zip(*intervals, strict=True))

    def kept(self) -> Across:
        """Give the share of the original's metric."""
        pairs = list(zip(self.each, self.originals, strict=True))
        values = [1 - one.loss / first.quality for one, first in pairs]
        lows = [1 - one.loss_between.high / first.quality for one, first in pairs if one.loss_between]
        highs = [1 - one.loss_between.low / first.quality for one, first in pairs if one.loss_between]
        return across(values, lows, highs)

    def alone(self, metric: str) -> tuple[float, float] | None:
        """Give the metric of the vectors alone, and the share of the original's vectors alone; None of judges."""
        name = f"{VECTORS}/{metric}"
        if name not in self.each[0].metrics:
            return None
        own = fmean([one.metrics[name] for one in self.each])
        return own, own / fmean([one.metrics[name] for one in self.originals])

    def times(self, *, whole: bool = False) -> list[float]:
        """Give how many times as quick, a number a fit."""
        return [one.answered.speedup if whole and one.answered else one.speedup for one in self.each]

    def verdict(self) -> dict[str, Any]:
        """Say what of the bar is reached, by the mean and by the interval's worse end; nothing where there is none."""
        bar = BARS.get((self.task, self.name))
        if bar is None:
            return {}
        quick = median(self.times(whole=bar.whole)) >= bar.speedup
        found, good, sure = self.kept(), False, False
        if bar.share is not None:
            good, sure = found.mean >= bar.share, found.low >= bar.share
        elif bar.loss is not None:
            found = self.lost()
            good, sure = found.mean <= bar.loss, found.high <= bar.loss
        return {"wanted": asdict(bar), "reached": quick and good, "reached_surely": quick and sure}


def candidates_of(task: str, fits: Fits) -> list[CandidateFits]:
    """Give the candidates that every fit has."""
    originals = [models[0] for models in fits]
    by_name = [{one.name: one for one in models[1:]} for models in fits]
    names = [one.name for one in fits[0][1:] if all(one.name in known for known in by_name)]
    return [CandidateFits(task, [known[name] for known in by_name], originals) for name in names]


def table(task: str, metric: str, fits: Fits) -> list[tuple[str, ...]]:
    """Give the rows of a task's table as finished strings, the header first."""
    questions, judges = ("pairs", True) if task == "relevance" else ("queries", False)
    told = ("lost, 95 %",) if judges else ("share kept, 95 %", "vectors alone", "share kept")
    speed = ("ms of 1", "ms of 64", f"{questions}/s", "times", "answered/s", "times", "in CPU s")
    originals = [models[0] for models in fits]
    first = CandidateFits(task, originals, originals)
    rows = [("model", metric, *told, *speed, "MB", "bar")]
    for one in (first, *candidates_of(task, fits)):
        worth = _worth(one, metric, judges=judges, original=one is first)
        rows.append((one.name, _mean([m.quality for m in one.each], 4), *worth, *_speed(one), _bar(one)))
    return rows


def _worth(one: CandidateFits, metric: str, *, judges: bool, original: bool) -> tuple[str, ...]:
    if judges:
        return ("",) if original else (_interval(one.lost(), 4),)
    alone = one.alone(metric)
    own, share = ("", "") if alone is None else (f"{alone[0]:.4f}", f"{alone[1]:.3f}")
    return ("", own, "") if original else (_interval(one.kept(), 3), own, share)


def _speed(one: CandidateFits) -> tuple[str, ...]:
    paces = [m.answered for m in one.each if m.answered is not None]
    return (
        _mean([m.ms_one for m in one.each], 2),
        _mean([m.ms_batch for m in one.each], 1),
        f"{median([m.per_second for m in one.each]):,.0f}",
        _spread(one.times()),
        f"{median([pace.per_second for pace in paces]):,.0f}",
        _spread(one.times(whole=True)),
        _spread([pace.cpu_speedup for pace in paces]),
        _mean([m.megabytes for m in one.each], 1),
    )


def _bar(one: CandidateFits) -> str:
    verdict = one.verdict()
    return "" if not verdict else "surely" if verdict["reached_surely"] else "reached" if verdict["reached"] else "not"


def _mean(values: Sequence[float], digits: int) -> str:
    return f"{fmean(values):.{digits}f}"


def _interval(one: Across, digits: int) -> str:
    return f"{one.mean:.{digits}f} ({one.low:.{digits}f} to {one.high:.{digits}f})"


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.3g}" + (f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else "")


def as_json(task: str, metric: str, fits: Fits) -> dict[str, Any]:
    """Give all of it for programs, a key a candidate."""
    found: dict[str, Any] = {}
    for one in candidates_of(task, fits):
        times, first = one.times(), one.originals
        speed = {
            "ours": median([m.per_second for m in one.each]),
            "theirs": median([m.per_second for m in first]),
            "ratio": median(times),
            "spread": [min(times), max(times)],
        }
        words = [m.metrics[f"{BM25}/{metric}"] for m in first if f"{BM25}/{metric}" in m.metrics]
        worth = {"lost": asdict(one.lost()), "kept": asdict(one.kept()), "vectors_alone": one.alone(metric)}
        told = {**worth, "bm25_alone": fmean(words) if words else None, "answered_ratio": median(one.times(whole=True))}
        found[f"{task}, {one.name}"] = {**speed, **told, **one.verdict(), "fits": [asdict(m) for m in one.each]}
    return found

"""What a matrix says in words, in English and Chinese."""

from collections.abc import Iterator
from math import isinf, log10

from trainer.jobs.transfer import ADAPTED
from trainer.transfer.matrix import MatrixEntry, SourceWorth, TransferMatrix
from trainer.transfer.worth import RowsWorth, Verdict

LANGUAGES = ("en", "zh")
UNITS = {
    "en": {"pairs": "labelled pairs", "users": "users' histories"},
    "zh": {"pairs": "条标注样本", "users": "位用户的历史"},
}
WORTH = {
    "en": {
        Verdict.SPARES: "What was learnt on {source} is worth about {rows} {unit} in {target} ({low} to {high}).",
        Verdict.MORE_THAN_ALL: "What was learnt on {source} is worth more than all {most} {unit} of {target}"
        " ({low} to {high}).",
        Verdict.NOTHING: "What was learnt on {source} is worth nothing in {target}: 0 {unit} (0 to {high}).",
        Verdict.HARMS: "What was learnt on {source} does harm in {target}: it is worse there than a start that has"
        " learnt nothing.",
    },
    "zh": {
        Verdict.SPARES: "在“{source}”上学到的，在“{target}”上约值 {rows} {unit}（{low} 至 {high}）。",
        Verdict.MORE_THAN_ALL: "在“{source}”上学到的，在“{target}”上超过其全部 {most} {unit}（{low} 至 {high}）。",
        Verdict.NOTHING: "在“{source}”上学到的，在“{target}”上没有价值：0 {unit}（0 至 {high}）。",
        Verdict.HARMS: "在“{source}”上学到的，在“{target}”上有害：不如什么都没学过的起点。",
    },
}
BEYOND = {"en": "more than all {most}", "zh": "超过全部 {most}"}
AFTER = {
    "en": {
        True: "With {rows} {unit} of {target}, a start from {source} is still better than one without it:"
        " {gain} {metric} ({low} to {high}).",
        False: "With {rows} {unit} of {target}, a start from {source} is worse than one without it: {gain} {metric}"
        " ({low} to {high}).",
    },
    "zh": {
        True: "用“{target}”的 {rows} {unit}时，以“{source}”为起点仍然更好：{metric} {gain}（{low} 至 {high}）。",
        False: "用“{target}”的 {rows} {unit}时，以“{source}”为起点反而更差：{metric} {gain}（{low} 至 {high}）。",
    },
}
READ = {
    "en": {
        True: "With {rows} {unit} of {target}, a start that has read its texts is better than one that has not:"
        " {gain} {metric} ({low} to {high}).",
        False: "With {rows} {unit} of {target}, a start that has read its texts is worse than one that has not:"
        " {gain} {metric} ({low} to {high}).",
    },
    "zh": {
        True: "用“{target}”的 {rows} {unit}时，先读过其文本的起点更好：{metric} {gain}（{low} 至 {high}）。",
        False: "用“{target}”的 {rows} {unit}时，先读过其文本的起点更差：{metric} {gain}（{low} 至 {high}）。",
    },
}
EXACT = 10  # rows up to which every one is told
DIGITS = 2  # of larger numbers: what is told as about so many


def worth_sentence(one: SourceWorth, unit: str, language: str) -> str:
    """Say what a source is worth on a target."""
    worth = one.worth
    told = {
        "source": one.source,
        "target": one.target,
        "unit": UNITS[language][unit],
        "most": f"{worth.most:,.0f}",
        "rows": about(worth.rows, worth.most),
        "low": _end(worth.low, worth, language),
        "high": _end(worth.high, worth, language),
    }
    return WORTH[language][worth.verdict].format_map(told)


def sentences(matrix: TransferMatrix, language: str) -> list[str]:
    """Say what every source is worth, and where it helps or harms beside the target's own rows, beyond chance."""
    return [
        *(worth_sentence(one, matrix.unit, language) for one in matrix.worths),
        *(_after(entry, matrix, language) for entry in _told_apart(matrix)),
    ]


def about(rows: float, most: float) -> str:
    """Give rows as nobody takes for exact, two digits and noughts; never more than were measured."""
    if isinf(rows):
        return ""
    if rows <= EXACT:
        return f"{rows:.0f}"
    return f"{min(round(rows, DIGITS - 1 - int(log10(rows))), most):,.0f}"


def _end(rows: float, worth: RowsWorth, language: str) -> str:
    return BEYOND[language].format(most=f"{worth.most:,.0f}") if isinf(rows) else about(rows, worth.most)


def _told_apart(matrix: TransferMatrix) -> Iterator[MatrixEntry]:
    """Give the entries with some rows whose gain lies on one side of nought."""
    for entry in matrix.entries:
        span = entry.gain_interval
        if entry.shots != 0 and span is not None and (span.low > 0 or span.high < 0):
            yield entry


def _after(entry: MatrixEntry, matrix: TransferMatrix, language: str) -> str:
    assert entry.gain is not None  # whoever gives the entry has looked
    assert entry.gain_interval is not None
    told = {
        "rows": f"{entry.learnt:,.0f}",
        "unit": UNITS[language][matrix.unit],
        "source": entry.source,
        "target": entry.target,
        "metric": matrix.metric,
        "gain": f"{entry.gain:+.4f}",
        "low": f"{entry.gain_interval.low:+.4f}",
        "high": f"{entry.gain_interval.high:+.4f}",
    }
    return (READ if entry.source == ADAPTED else AFTER)[language][entry.gain_interval.low > 0].format_map(told)

"""What a matrix says in words, in English and Chinese."""

from collections.abc import Iterator
from math import isinf, log10

from trainer.jobs.transfer import ADAPTED, PLAIN, POPULAR
from trainer.transfer.matrix import MatrixEntry, SourceWorth, TransferMatrix
from trainer.transfer.worth import LEAST, RowsWorth, Verdict

LANGUAGES = ("en", "zh")
UNITS = {  # of one, and of others
    "en": {"pairs": ("labelled pair", "labelled pairs"), "users": ("user's history", "users' histories")},
    "zh": {"pairs": ("条标注样本",) * 2, "users": ("位用户的历史",) * 2},
}
WORTH = {
    "en": {
        Verdict.SPARES: "What was learnt on {source} is worth about {rows} in {target} ({low} to {high}).",
        Verdict.AT_LEAST: "What was learnt on {source} is worth at least about {at_least} in {target}, and perhaps"
        " more than all {most}.",
        Verdict.MORE_THAN_ALL: "What was learnt on {source} is worth more than all {most} {unit} of {target}.",
        Verdict.NOTHING: "What was learnt on {source} is worth nothing in {target}{at_most}.",
        Verdict.NOT_TOLD: "What was learnt on {source} may be worth anything in {target}, from nothing to more than all"
        " {most} {unit}: it was not told apart.",
        Verdict.HARMS: "What was learnt on {source} does harm in {target}: it is worse there than a start that has"
        " learnt nothing.",
    },
    "zh": {
        Verdict.SPARES: "在“{source}”上学到的，在“{target}”上约值 {rows}（{low} 至{high}）。",
        Verdict.AT_LEAST: "在“{source}”上学到的，在“{target}”上至少约值 {at_least}，也可能超过其全部 {most} {unit}。",
        Verdict.MORE_THAN_ALL: "在“{source}”上学到的，在“{target}”上的价值超过其全部 {most} {unit}。",
        Verdict.NOTHING: "在“{source}”上学到的，在“{target}”上没有价值{at_most}。",
        Verdict.NOT_TOLD: "在“{source}”上学到的，在“{target}”上价值多少无法分辨：从没有价值到超过其全部 {most}"
        " {unit}都有可能。",
        Verdict.HARMS: "在“{source}”上学到的，在“{target}”上有害：不如什么都没学过的起点。",
    },
}
LITTLE = {
    "en": "What was learnt on {source} is worth next to nothing in {target}: about {rows}, {high} at most.",
    "zh": "在“{source}”上学到的，在“{target}”上几乎没有价值：约值 {rows}，至多{high}。",
}
AT_MOST = {"en": ", or {at_most} at most", "zh": "，至多值 {at_most}"}
BEYOND = {"en": "more than all {most}", "zh": "超过全部 {most}"}
FALLS = {
    "en": "In {target} its own {unit} did not help a start without a source: {first} {metric} with none, {last} with"
    " all {most}; what is said to be worth rows of {target} is to be read with that.",
    "zh": "“{target}”自身的样本对无来源的起点没有帮助：不学时 {metric} 为 {first}，学完全部 {most} {unit}后为 {last}；"
    "上面以其样本数表示的价值须据此理解。",
}
AFTER = {
    "en": {
        True: "With {rows} of {target}, a start from {source} is still better than one without it:"
        " {gain} {metric} ({low} to {high}).",
        False: "With {rows} of {target}, a start from {source} is worse than one without it: {gain} {metric}"
        " ({low} to {high}).",
    },
    "zh": {
        True: "学习“{target}”的 {rows}之后，以“{source}”为起点仍然更好：{metric} {gain}（{low} 至 {high}）。",
        False: "学习“{target}”的 {rows}之后，以“{source}”为起点反而更差：{metric} {gain}（{low} 至 {high}）。",
    },
}
READ = {
    "en": {
        True: "With {rows} of {target}, a start that has read its texts is better than one that has not:"
        " {gain} {metric} ({low} to {high}).",
        False: "With {rows} of {target}, a start that has read its texts is worse than one that has not:"
        " {gain} {metric} ({low} to {high}).",
    },
    "zh": {
        True: "学习“{target}”的 {rows}之后，先读过其文本的起点更好：{metric} {gain}（{low} 至 {high}）。",
        False: "学习“{target}”的 {rows}之后，先读过其文本的起点更差：{metric} {gain}（{low} 至 {high}）。",
    },
}
FEW = 2  # rows that are told as next to nothing, where not many more may be true
COUNTED = {
    "en": {
        True: "In {target} a list by popularity, which needs no model, is better than a start without a source that has"
        " learnt all {rows}: {gain} {metric} ({low} to {high}).",
        False: "In {target} a list by popularity, which needs no model, is worse than a start without a source that has"
        " learnt all {rows}: {gain} {metric} ({low} to {high}).",
    },
    "zh": {
        True: "在“{target}”上，按热门度排列（不用模型）优于学完全部 {rows}的无来源起点："
        "{metric} {gain}（{low} 至 {high}）。",
        False: "在“{target}”上，按热门度排列（不用模型）不如学完全部 {rows}的无来源起点："
        "{metric} {gain}（{low} 至 {high}）。",
    },
}
EXACT = 10  # rows up to which every one is told
NEAR = 0.1  # of the rows that were asked for
DIGITS = 2  # of larger numbers: what is told as about so many


def worth_sentence(one: SourceWorth, unit: str, language: str) -> str:
    """Say what a source is worth on a target."""
    worth = one.worth
    told = {
        "source": one.source,
        "target": one.target,
        "unit": UNITS[language][unit][1],
        "most": f"{worth.most:,.0f}",
        "rows": _counted(about(worth.rows, worth.most), unit, language),
        "low": about(worth.low, worth.most),
        "high": _high(worth, language),
        "at_least": _counted(about(worth.low, worth.most), unit, language),
        "at_most": _counted(_high(worth, language), unit, language),
    }
    at_most = AT_MOST[language].format_map(told) if worth.high >= LEAST else ""
    little = worth.verdict is Verdict.SPARES and round(worth.rows) <= FEW and worth.high <= EXACT
    words = LITTLE[language] if little else WORTH[language][worth.verdict]
    return words.format_map({**told, "at_most": at_most})


def _counted(number: str, unit: str, language: str) -> str:
    """Give so many of a unit; of one it has another word."""
    one, others = UNITS[language][unit]
    return f"{number} {one if number == '1' else others}"


def sentences(matrix: TransferMatrix, language: str) -> list[str]:
    """Say what every source is worth, and where it helps or harms beside the target's own rows, beyond chance."""
    return [
        *(worth_sentence(one, matrix.unit, language) for one in matrix.worths),
        *_falling(matrix, language),
        *(_after(entry, matrix, language) for entry in _told_apart(matrix)),
    ]


def about(rows: float, most: float) -> str:
    """Give rows as nobody takes for exact, two digits and noughts; never more than were measured."""
    if isinf(rows):
        return ""
    if rows <= EXACT:
        return f"{rows:.0f}"
    return f"{min(round(rows, DIGITS - 1 - int(log10(rows))), most):,.0f}"


def _high(worth: RowsWorth, language: str) -> str:
    if isinf(worth.high):
        return BEYOND[language].format(most=f"{worth.most:,.0f}")
    number = about(worth.high, worth.most)
    # Chinese sets a number apart from words, and words not from words.
    return f" {number}" if language == "zh" and worth.verdict is Verdict.SPARES else number


def _falling(matrix: TransferMatrix, language: str) -> Iterator[str]:
    """Say of which targets all rows are no better than none: rows are a poor measure there."""
    for target in matrix.targets:
        first, last = matrix.entry(PLAIN, target, 0), matrix.entry(PLAIN, target, None)
        if first is not None and last is not None and last.value <= first.value:
            told = {"target": target, "unit": UNITS[language][matrix.unit][1], "metric": matrix.metric}
            ends = {"first": f"{first.value:.4f}", "last": f"{last.value:.4f}", "most": f"{last.learnt:,.0f}"}
            yield FALLS[language].format_map({**told, **ends})


def told_rows(entry: MatrixEntry) -> float:
    """Give the rows of an entry as they were asked for, where whole queries or users come to about as many."""
    near = entry.shots is not None and abs(entry.learnt - entry.shots) <= NEAR * entry.shots
    return entry.learnt if entry.shots is None or not near else entry.shots


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
        "rows": _counted(f"{told_rows(entry):,.0f}", matrix.unit, language),
        "source": entry.source,
        "target": entry.target,
        "metric": matrix.metric,
        "gain": f"{entry.gain:+.4f}",
        "low": f"{entry.gain_interval.low:+.4f}",
        "high": f"{entry.gain_interval.high:+.4f}",
    }
    words = {ADAPTED: READ, POPULAR: COUNTED}.get(entry.source, AFTER)
    return words[language][entry.gain_interval.low > 0].format_map(told)

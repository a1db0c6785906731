"""The matrix for people: a page that needs no other file, in two languages, and a page of markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from trainer.jobs.transfer import ADAPTED, PLAIN, POPULAR
from trainer.measures.bootstrap import Interval
from trainer.results.summary import markdown_table
from trainer.transfer.charts import TargetChart, draw_target
from trainer.transfer.matrix import MatrixEntry, TransferMatrix
from trainer.transfer.sentences import sentences

PAGES = {"en": "report.html", "zh": "report.zh.html"}
LANG = {"en": "en", "zh": "zh-CN"}
MOST_SHADE = 0.55  # more, and letters could not be read on it
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "What carries over",
        "matrix": "Learnt on a row, scored on a column, with none of the column's rows",
        "matrix_told": "Darker is better within a column. Framed: scored on what it was learnt on. Below: the start"
        " without a source, with none and with all of the column's rows.",
        "source": "learnt on",
        "on": "Scored on",
        "chart": "What each start reaches after how many rows of",
        "axes": "Up: {metric}. Across: rows of the target that were learnt ({unit}), on a logarithmic scale that begins"
        " with 0. Thin lines: 95 %.",
        "start": "start",
        "plain": "no source",
        "adapted": "no source, texts read first",
        "plain_none": "no source, 0 rows",
        "plain_all": "no source, all rows",
        "popular": "popularity",
        "popular_all": "popularity, all rows",
        "popular_told": " Last: a list by how often the column's users chose an item, which needs no model.",
        "all": "all",
        "leaks": "tells the test: {told}",
        "how": "How this was measured",
        "pairs": "judged pairs",
        "users": "users",
        "method": "{metric}, the mean of seeds {seeds}. 95 % intervals: {count} draws of whole {drawn} and of seeds;"
        " the same draws for all that is scored on one target, so that what is gained over no source is paired.",
        "one_seed": "One seed alone: what a fit owes to its luck is in no interval.",
        "curve": "What a source is worth is read off the curve of the start without a source, which is made to rise"
        " (pool adjacent violators) and is straight between its points over log(1 + rows). Beyond its last point"
        " nothing is claimed.",
        "settled": "Beside the rows that are learnt, as large a share of the target's valid rows settled thresholds and"
        " weights, where it came to twenty or more.",
        "query": "queries",
        "user": "users",
        "product": "products",
        "same pair": "same pair",
        "same query": "same query",
        "near-duplicate pair": "near-duplicate pair",
        "same user": "same user",
        "same user and item": "same user and item",
        "same user, not before the test": "same user, not before the test",
        "marks": "▲ and ▼: better and worse than no source by more than chance.",
    },
    "zh": {
        "title": "哪些能力可以迁移",
        "matrix": "以行为来源学习，在列上评测，不用列的任何样本",
        "matrix_told": "同一列中颜色越深越好。带框：在自身来源上评测。最下两行：没有来源的起点，"
        "分别不用和用列的全部样本。",
        "source": "来源",
        "on": "评测于",
        "chart": "各起点随样本数的表现：",
        "axes": "纵轴：{metric}。横轴：所学的目标样本数（{unit}），对数刻度，从 0 开始。细线：95 % 区间。",
        "start": "起点",
        "plain": "无来源",
        "adapted": "无来源，先读文本",
        "plain_none": "无来源，0 条",
        "plain_all": "无来源，全部",
        "popular": "热门度",
        "popular_all": "热门度，全部",
        "popular_told": "末行：按该列用户选择的次数排列，不用模型。",
        "all": "全部",
        "leaks": "泄露测试：{told}",
        "how": "如何测得",
        "pairs": "标注样本",
        "users": "用户",
        "method": "{metric}，种子 {seeds} 的均值。95 % 区间：{count} 次按整个 {drawn} 和种子重抽；同一目标上的"
        "所有结果共用同样的抽样，因此相对无来源的增益是成对的。",
        "one_seed": "只有一个种子：训练的运气不在任何区间之内。",
        "curve": "来源的价值从无来源起点的曲线上读出：曲线先做单调化（PAV），各点之间按 log(1 + 样本数) 取直线；"
        "最后一点之外不作任何断言。",
        "settled": "除所学样本外，还用了同样比例的目标验证样本来确定阈值与权重（不少于二十条时）。",
        "query": "查询",
        "user": "用户",
        "product": "商品",
        "same pair": "条同一样本",
        "same query": "条同一查询",
        "near-duplicate pair": "条近似样本",
        "same user": "条同一用户",
        "same user and item": "条同一用户与商品",
        "same user, not before the test": "条同一用户、不早于测试",
        "marks": "▲ 与 ▼：优于或劣于无来源，超出偶然。",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeatCell:
    """Finished strings of one cell."""

    value: str = ""
    span: str = ""
    shade: str = "0"
    own: bool = False
    leaks: str = ""
    gain: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class HeatRow:
    name: str
    cells: Sequence[HeatCell]


@dataclass(frozen=True, slots=True)
class ShownTarget:
    """One target: its chart and its table."""

    name: str
    chart: TargetChart
    heads: Sequence[str]
    rows: Sequence[HeatRow]


def page_of(matrix: TransferMatrix, language: str) -> str:
    """Give a page of its own; whatever the sets are called, it is text there."""
    words = WORDS[language]
    told = {"metric": matrix.metric, "unit": words[matrix.unit]}
    popular = words["popular_told"] if _has_popularity(matrix) else ""
    shown = {**words, "axes": words["axes"].format_map(told), "matrix_told": words["matrix_told"] + popular}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    context: dict[str, Any] = {
        "lang": LANG[language],
        "words": shown,
        "told": sentences(matrix, language),
        "targets": matrix.targets,
        "heat": _heat(matrix, words),
        "shown": [_target(matrix, name, words) for name in matrix.targets],
        "how": _how(matrix, words),
    }
    return environment.from_string(template).render(context)


def summary_of(matrix: TransferMatrix, language: str) -> str:
    """Give the page of markdown that a run shows first."""
    words = WORDS[language]
    rows = [(words["source"], *matrix.targets)]
    rows += [(row.name, *(f"{cell.value} {cell.span}".strip() for cell in row.cells)) for row in _heat(matrix, words)]
    parts = [f"# {words['title']}", "", *(f"- {line}" for line in sentences(matrix, language)), ""]
    parts += [f"## {words['matrix']}", "", markdown_table([tuple(map(_plain, row)) for row in rows]), ""]
    for name in matrix.targets:
        one = _target(matrix, name, words)
        table = [(words["start"], *one.heads)]
        table += [
            (row.name, *(" ".join(filter(None, (c.value, c.span, c.gain))) for c in row.cells)) for row in one.rows
        ]
        parts += [
            f"## {words['on']} {_plain(name)}",
            "",
            markdown_table([tuple(map(_plain, row)) for row in table]),
            "",
        ]
    return "\n".join([*parts, *(f"- {line}" for line in _how(matrix, words)), ""])


def _plain(text: str) -> str:
    """Give a cell in which no markup stands: names are whatever a table holds."""
    return " ".join(text.replace("<", "&lt;").split())


def _heat(matrix: TransferMatrix, words: Mapping[str, str]) -> list[HeatRow]:
    found = [(name, [matrix.entry(name, target, 0) for target in matrix.targets], name) for name in matrix.sources]
    found += [(words["plain_none"], [matrix.entry(PLAIN, target, 0) for target in matrix.targets], "")]
    found += [(words["plain_all"], [matrix.entry(PLAIN, target, None) for target in matrix.targets], "")]
    if _has_popularity(matrix):
        found += [(words["popular_all"], [matrix.entry(POPULAR, target, None) for target in matrix.targets], "")]
    spans = [_ends([row[1][place] for row in found]) for place in range(len(matrix.targets))]
    return [
        HeatRow(
            label,
            [
                _cell(entry, words, spans[place], own=matrix.targets[place] == source)
                for place, entry in enumerate(entries)
            ],
        )
        for label, entries, source in found
    ]


def _has_popularity(matrix: TransferMatrix) -> bool:
    return any(entry.source == POPULAR for entry in matrix.entries)


def _ends(entries: Sequence[MatrixEntry | None]) -> tuple[float, float]:
    values = [one.value for one in entries if one is not None]
    return min(values), max(values)


def _cell(
    entry: MatrixEntry | None, words: Mapping[str, str], ends: tuple[float, float] | None = None, *, own: bool = False
) -> HeatCell:
    if entry is None:
        return HeatCell()
    low, high = ends or (0.0, 0.0)
    shade = MOST_SHADE * (entry.value - low) / (high - low) if high > low else 0.0
    leaks = (
        ", ".join(f"{count} {words[kind]}" for kind, count in entry.leaks.items() if count) if entry.shots == 0 else ""
    )
    span = entry.gain_interval
    gain = "" if entry.gain is None or ends is not None else f"{entry.gain:+.4f} {_span(span, sign='+')}"
    mark = "" if span is None else "up" if span.low > 0 else "down" if span.high < 0 else ""
    told = words["leaks"].format(told=leaks) if leaks else ""
    return HeatCell(f"{entry.value:.4f}", _span(entry.interval), f"{shade:.2f}", own, told, gain, mark)


def _span(interval: Interval | None, sign: str = "") -> str:
    return "" if interval is None else f"({interval.low:{sign}.4f} – {interval.high:{sign}.4f})"


def _target(matrix: TransferMatrix, target: str, words: Mapping[str, str]) -> ShownTarget:
    shots = list(dict.fromkeys(one.shots for one in matrix.entries if one.target == target and one.source == PLAIN))
    labels = {PLAIN: words["plain"], ADAPTED: words["adapted"], POPULAR: words["popular"]}
    heads = [words["all"] if count is None else f"{count:,}" for count in shots]
    rows = [
        HeatRow(
            labels.get(name, name),
            [_cell(matrix.entry(name, target, count), words) for count in shots],
        )
        for name in matrix.starts(target)
    ]
    return ShownTarget(target, draw_target(matrix, target, labels), heads, rows)


def _how(matrix: TransferMatrix, words: Mapping[str, str]) -> list[str]:
    seeds = ", ".join(map(str, matrix.seeds))
    told = {"metric": matrix.metric, "seeds": seeds, "drawn": words[matrix.drawn], "count": "1,000"}
    lines = [words["method"].format_map(told), words["curve"], words["marks"]]
    lines += [words["one_seed"]] if len(matrix.seeds) == 1 else []
    return [*lines, words["settled"]] if matrix.unit == "pairs" else lines

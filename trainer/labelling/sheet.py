"""What is handed to people: a table and a form of pairs to label, and what is needed to read their answers."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from html import escape
from math import nan
from pathlib import Path
from typing import Any

from trainer.data.json_texts import parse_json
from trainer.data.numbers import POINTED
from trainer.data.pairs import Pairs
from trainer.errors import DataError
from trainer.jobs.schema import RelevanceJob
from trainer.labelling.pool import Pool
from trainer.models.label_scale import BINARY, CLASSES, LabelScale

SHEET, TABLE, FORM = "sheet.json", "to_label.csv", "form.html"
VERSION, MOST_STEPS = 1, 9  # a key of the keyboard each
THOUSANDS = 1000  # from which on a comma may stand between them
FORMULA = ("=", "+", "-", "@", "\t")  # what spreadsheets would compute
WORDS = {
    "en": {
        "title": "Does the product answer the query?",
        "rater": "Your name",
        "download": "Download CSV",
        "copy": "Copy",
        "clear": "Clear all",
        "keys": "Keys: a number answers and goes on; j and k, or arrows, move; Backspace clears one answer."
        " What you are not sure of may stay empty. Answers stay in this browser until you clear them.",
        "numbers": "What you are not sure of may stay empty. Answers stay in this browser until you clear them.",
        "between": "A number:",
        "saved": "Saved as",
        "copied": "Copied",
        "nameless": "Your name is missing",
        "unkept": "This browser keeps nothing: download before you leave",
        "sure": "Clear every answer?",
        "no script": "This form needs JavaScript; to_label.csv beside it can be filled in instead.",
    },
    "zh": {
        "title": "这个商品符合这个查询吗？",
        "rater": "你的名字",
        "download": "下载 CSV",
        "copy": "复制",
        "clear": "全部清空",
        "keys": "按键：数字作答并跳到下一条；j、k 或方向键移动；退格键清除当前答案。"
        "不确定的可以留空。答案保存在本浏览器中，直到你清空。",
        "numbers": "不确定的可以留空。答案保存在本浏览器中，直到你清空。",
        "between": "填一个数：",
        "saved": "已保存为",
        "copied": "已复制",
        "nameless": "请先填写你的名字",
        "unkept": "本浏览器无法保存：离开前请先下载",
        "sure": "清空所有答案？",
        "no script": "此表单需要 JavaScript；也可以直接填写旁边的 to_label.csv。",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnswerScale:
    """What an answer may be, as the column of labels writes it."""

    kind: str  # binary, classes or grades
    labels: tuple[str, ...]  # what is offered; none where any number between the ends is right
    low: float
    high: float
    named: bool  # only what is offered is right

    def read(self, label: str) -> str:
        """Give an answer as the table writes it; raise ValueError, which says what would be right."""
        if self.named:
            for told in (label, unplain(label)):
                if told in self.labels:
                    return told
            raise ValueError(f"one of {', '.join(self.labels)} is right")
        told = label
        if label.count(",") == 1 and "." not in label and self.high < THOUSANDS:
            told = label.replace(",", ".")  # as spreadsheets of many languages write it
        number = float(told.replace(",", "")) if POINTED.fullmatch(told) else nan
        if not self.low <= number <= self.high:
            raise ValueError(f"a number from {self.low:g} to {self.high:g} is right")
        return f"{number:.6g}"


def answer_scale(job: RelevanceJob, scale: LabelScale, pairs: Pairs) -> AnswerScale:
    """Say what people may answer, in the words of the table."""
    ends = (scale.low, scale.high)
    if job.data.grades is not None:
        words = sorted(job.data.grades, key=lambda word: (job.data.grades or {})[word])
        return AnswerScale(scale.kind, tuple(words), *ends, named=True)
    if scale.kind in (CLASSES, BINARY):
        labels = scale.classes if scale.kind == CLASSES else tuple(f"{end:g}" for end in ends)
        return AnswerScale(scale.kind, labels, *ends, named=True)
    steps = sorted({float(label) for label in pairs.label.tolist()})
    if scale.low.is_integer() and scale.high.is_integer() and scale.high - scale.low < MOST_STEPS:
        # Means of several raters lie between the steps that each was asked about.
        steps = [scale.low + step for step in range(int(scale.high - scale.low) + 1)]
    offered = tuple(f"{step:g}" for step in steps) if len(steps) <= MOST_STEPS else ()
    return AnswerScale(scale.kind, offered, *ends, named=False)


def write_sheet(
    folder: Path,
    pool: Pool,
    scale: AnswerScale,
    language: str,
    told: Mapping[str, Any],
    scores: Mapping[str, Sequence[float]],
) -> None:
    """Write the table, the form and what reads them back."""
    sheet_id = sha256("\n".join(pool.ids).encode()).hexdigest()[:12]
    texts = list(zip(pool.ids, pool.queries, pool.products, strict=True))
    with (folder / TABLE).open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "label", "rater", "query", "product", *scores))
        for place, (name, query, product) in enumerate(texts):
            numbers = (f"{values[place]:.4f}" for values in scores.values())
            writer.writerow((name, "", "", plain(query), plain(product), *numbers))
    rows = [{"id": name, "query": query, "product": product} for name, query, product in texts]
    (folder / FORM).write_text(_form(sheet_id, rows, scale, language), encoding="utf-8")
    kept = [{**row, "columns": dict(raw)} for row, raw in zip(rows, pool.rows, strict=True)]
    content = {"version": VERSION, "id": sheet_id, **told, "scale": asdict(scale), "rows": kept}
    (folder / SHEET).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was asked."""

    scale: AnswerScale
    queries: Mapping[str, str]  # by id
    products: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]


def read_sheet(folder: Path) -> Sheet:
    """Read what write_sheet wrote; raise DataError."""
    path = folder / SHEET
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        told, version = content["scale"], content["version"]
        scale = AnswerScale(**told | {"labels": tuple(told["labels"])})
        rows = content["rows"]
        parts = [{row["id"]: row[name] for row in rows} for name in ("query", "product", "columns")]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; the folder that `label next` made has one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not what `label next` wrote: {error}") from None
    if version != VERSION:
        raise DataError(f"{path}: version is {version!r}, and this program reads {VERSION}")
    return Sheet(scale, *parts)


def _form(sheet_id: str, rows: Sequence[Mapping[str, str]], scale: AnswerScale, language: str) -> str:
    words = WORDS[language]
    content = {
        "id": sheet_id,
        "rows": rows,
        "labels": scale.labels,
        "low": scale.low,
        "high": scale.high,
        "words": words,
    }
    # Within a script nothing may look like its end.
    shown = (
        json.dumps(content, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )
    page = Path(__file__).with_name("form.html").read_text(encoding="utf-8")
    filled = {"LANGUAGE": "zh-CN" if language == "zh" else "en", "TITLE": escape(words["title"])}
    filled |= {"NO_SCRIPT": escape(words["no script"]), "SHEET": shown}  # last: texts may hold what is filled in
    for name, text in filled.items():
        page = page.replace(f"@@{name}@@", text, 1)
    return page


def unplain(text: str) -> str:
    """Give what plain, or the form, made a cell of."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def plain(text: str) -> str:
    """Give a cell that no spreadsheet computes."""
    return f"'{text}" if text.startswith(FORMULA) else text

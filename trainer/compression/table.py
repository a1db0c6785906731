"""What people and programs read of a comparison: one table, and the numbers of the choice."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trainer.compression.comparing import Compared
from trainer.compression.gate import Measured, passes
from trainer.results.summary import align, markdown_table

VECTORS, BM25 = "vectors", "bm25"  # as the task of retrieval names its lists


def table_rows(compared: Compared, questions: str) -> list[tuple[str, ...]]:
    """Give the table as finished strings, its header first."""
    metric = compared.gate.metric
    told = (*(("vectors alone",) if _alone(compared.models[0], compared) else ()), "loss, 95 %")
    speed = ("ms of 1", "ms of 64", f"{questions}/s", "times", "answered/s", "times")
    header = ("model", metric, *told, *speed, "MB", "passes")
    return [header, *(_row(one, compared) for one in compared.models)]


def _alone(one: Measured, compared: Compared, of: str = VECTORS) -> tuple[str, ...]:
    """Give what vectors, or words, reach without the other list; nothing of a judge of pairs."""
    value = one.metrics.get(f"{of}/{compared.gate.metric}")
    return () if value is None else (f"{value:.4f}",)


def _row(one: Measured, compared: Compared) -> tuple[str, ...]:
    between = one.loss_between
    loss = f"{one.loss:+.4f} ({between.low:+.4f} to {between.high:+.4f})" if between is not None else ""
    first, whole = one is compared.models[0], one.answered
    return (
        one.name,
        f"{one.quality:.4f}",
        *_alone(one, compared),
        loss,
        f"{one.ms_one:.3g}",
        f"{one.ms_batch:.3g}",
        f"{one.per_second:,.0f}",
        f"{one.speedup:.2f}",
        *(("", "") if whole is None else (f"{whole.per_second:,.0f}", f"{whole.speedup:.2f}")),
        f"{one.megabytes:.1f}",
        "" if first else "yes" if passes(one, compared.gate) else "no",
    )


def tell(compared: Compared, questions: str) -> str:
    """Give the table for a terminal, with what it was measured on and what was left out."""
    return "\n".join((align(table_rows(compared, questions)), *_notes(compared)))


def page(compared: Compared, questions: str) -> str:
    """Give the table for the summary."""
    notes = "\n".join(f"- {note}" for note in _notes(compared))
    return f"## What it was chosen from\n\n{markdown_table(table_rows(compared, questions))}\n\n{notes}\n"


def _notes(compared: Compared) -> list[str]:
    gate, threads = compared.gate, compared.threads
    cores = "1 thread" if threads == 1 else f"{threads} threads"
    return [
        f"judged on the {compared.judged_on} rows; timed in turns on {compared.instructions}, {cores}, texts included",
        *_tell_words(compared),
        f"gate: at most {gate.max_quality_loss:g} of {gate.metric} lost, at least {gate.min_speedup:g} times as quick",
        *(f"{one.name} is left out: {one.reason}" for one in compared.refused),
    ]


def _tell_words(compared: Compared) -> list[str]:
    """Say what the words reach alone: no student loses that part, and shares of the fused metric flatter it."""
    metric = compared.gate.metric
    told = _alone(compared.models[0], compared, BM25)
    return [f"BM25 alone reaches {value} of {metric}, whatever the vectors are" for value in told]


def as_json(compared: Compared, chosen: Measured | None) -> dict[str, Any]:
    """Give all of it for programs."""
    told = asdict(compared)
    del told["folder"]
    return {"schema": 1, "chosen": None if chosen is None else chosen.name, **told}


def cost_metrics(compared: Compared, chosen: Measured) -> Mapping[str, float]:
    """Give what Herald judges beside the quality: the choice's cost, and of every model what the table has."""
    metric = compared.gate.metric
    found = {
        "quality_loss": chosen.loss,
        "speedup": chosen.speedup,
        "ms_of_one": chosen.ms_one,
        "ms_of_64": chosen.ms_batch,
        "per_second": chosen.per_second,
    }
    if chosen.answered is not None:
        found["answered_per_second"] = chosen.answered.per_second
    if chosen.loss_between is not None:
        found |= {"low/quality_loss": chosen.loss_between.low, "high/quality_loss": chosen.loss_between.high}
    for one in compared.models:
        place = f"candidate_{one.name}"
        found |= {
            f"{place}/{metric}": one.quality,
            f"{place}/ms_of_64": one.ms_batch,
            f"{place}/model_mb": one.megabytes,
        }
    return found

"""The commands that make labels cost less: what to label next, reading it back, suspects, agreement."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.jobs import JobArgument, SetOption
from trainer.cli.printing import show
from trainer.data.told_names import printable
from trainer.errors import JobError

if TYPE_CHECKING:
    from trainer.jobs.schema import RelevanceJob

label = typer.Typer(
    help="Labels: which to ask for next, reading them back, what to look at again, raters, a model's own.",
    no_args_is_help=True,
)

ModelOption = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="What a fit saved, or models:/NAME@ALIAS, instead of the job's."),
]
OutputOption = Annotated[Path, typer.Option("--output", metavar="DIR", help="The folder to make.", show_default=False)]
PairsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Unlabelled pairs in the job's columns (default: label.pairs, or the job's rows without a label).",
    ),
]


@label.command("next")
def next_(
    job: JobArgument,
    output: OutputOption,
    *,
    overrides: SetOption = None,
    model: ModelOption = None,
    pairs: PairsOption = None,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="How many (default: label.count, 100).")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="uncertainty|disagreement|diversity|mix|random",
            help="What is worth a label (repeatable; default: label.by, mix: uncertain pairs, one of each cluster).",
        ),
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(metavar="MODEL", help="Another saved model to disagree with (repeatable; default: BM25)."),
    ] = None,
    language: Annotated[str | None, typer.Option(metavar="en|zh", help="Of the form.")] = None,
) -> None:
    """Choose which unlabelled pairs to label next: a table and a form."""
    loaded = _load(
        job,
        overrides,
        model,
        {
            "pairs": None if pairs is None else str(pairs.absolute()),
            "count": count,
            "by": by or None,
            "others": [str(folder.absolute()) for folder in other] if other else None,
            "language": language,
        },
    )
    from trainer.labelling.asking import ask_next

    chosen = ask_next(loaded, output)
    left_out = (f"{rows:9} {why}" for why, rows in chosen.left_out.items())
    lines = (f"{chosen.count} of {chosen.pool} unlabelled pairs, by {chosen.reasons}", "left out:", *left_out)
    _write(lines if chosen.left_out else lines[:1], f"to fill in: {output / 'form.html'}, or {output / 'to_label.csv'}")


@label.command()
def read(
    job: JobArgument,
    sheet: Annotated[Path, typer.Argument(metavar="DIR", help="What `label next` made.", show_default=False)],
    answers: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Tables that people filled in.", show_default=False)
    ],
    output: OutputOption,
    overrides: SetOption = None,
) -> None:
    """Read filled-in tables back, and join them to the job's table."""
    loaded = _load(job, overrides, None, {})
    from trainer.labelling.asking import join_answers

    joined = join_answers(loaded, sheet, answers, output)
    raters = ", ".join(f"{printable(name)} {count}" for name, count in joined.raters.items())
    lines = [f"{joined.labelled} of {joined.asked} pairs have a label; raters: {raters}"]
    if joined.tied:
        lines.append(f"{joined.tied} pairs have as many raters for one label as for another, and none")
    _write(lines, f"{joined.rows} rows to fit with: {output / 'pairs.parquet'}")


@label.command()
def suspects(
    job: JobArgument,
    output: OutputOption,
    overrides: SetOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A saved model, for the valid rows (default: each train row by a fit without it, label.folds).",
        ),
    ] = None,
) -> None:
    """List the labels that a model that never saw them holds to be wrong."""
    loaded = _load(job, overrides, model, {})
    from trainer.labelling.held_out import LIST, list_suspects, tell

    found = list_suspects(loaded, output, held=model is not None)
    sys.stdout.write(f"{tell(found)}to look at: {output / LIST}\n")


@label.command()
def agreement(
    table: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A row a rating, as ratings.parquet of `label read`.", show_default=False),
    ],
    item: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="What is rated (repeatable; default: id).")
    ] = None,
    rater: Annotated[str, typer.Option(metavar="COLUMN", help="Who rates.")] = "rater",
    column: Annotated[str, typer.Option("--label", metavar="COLUMN", help="What they say.")] = "label",
    order: Annotated[
        str | None, typer.Option(metavar="WORD,WORD,...", help="How labels that are words stand, the least first.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how far raters agree beyond chance: Krippendorff's alpha."""
    from trainer.labelling.raters import read_agreement
    from trainer.results.summary import align

    words = [word.strip() for word in order.split(",")] if order else []
    found = read_agreement(table, item or ["id"], rater, column, words)
    if as_json:
        show(json.dumps(asdict(found), indent=2))
        return
    rows = [("level", "alpha", "95 % by item")]
    rows += [(level, f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}") for level, one in found.alpha.items()]
    others = [("without", "ratings", "alpha of the others")]
    others += [
        (printable(name), str(count), f"{found.without[name]:.3f}")
        for name, count in found.raters.items()
        if name in found.without
    ]
    seen = f"{found.ratings} ratings of {found.items} items by {len(found.raters)}; {found.several} items by several"
    show("\n".join((seen, align(rows), *([align(others)] if found.without else []))))


@label.command()
def selftrain(
    job: JobArgument, overrides: SetOption = None, model: ModelOption = None, pairs: PairsOption = None
) -> None:
    """Learn from labels that the model is sure of, as long as the valid rows gain; log and keep the best round."""
    loaded = _load(job, overrides, model, {"pairs": None if pairs is None else str(pairs.absolute())})
    from trainer.labelling.self_training import self_train
    from trainer.results.summary import align, plain_table

    found = self_train(loaded)
    rows = [("round", "labels of its own", f"{found.metric} of the valid rows")]
    rows += [(str(one.number), str(one.learnt), f"{one.value:.4f}") for one in found.rounds]
    finished = found.finished
    lines = [align(rows), f"fitted: round {found.best.number}"]
    lines += [f"learnt from {found.table}"] if found.table else []
    table = plain_table(finished.compared, finished.name, finished.intervals)
    _write([*lines, table], f"run {finished.result.run_id}", f"output {loaded.output}")


def _load(job: Path, overrides: list[str] | None, model: str | None, told: dict[str, object]) -> "RelevanceJob":
    from trainer.jobs.file import load_job
    from trainer.jobs.schema import RelevanceJob

    given = [f"label.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in told.items() if value is not None]
    loaded = load_job(job, overrides or (), model=model)
    if not isinstance(loaded, RelevanceJob):
        raise JobError(f"{job}: key 'task' is {loaded.task!r}: \"relevance\" is what labels are for")
    return load_job(job, [*(overrides or ()), *given], model=model)  # type: ignore[return-value]


def _write(lines: "tuple[str, ...] | list[str]", *more: str) -> None:
    sys.stdout.write("\n".join((*lines, *more)) + "\n")

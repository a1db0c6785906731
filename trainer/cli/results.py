"""The commands that read what runs left: compare, recommend and upload; what they print."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.jobs import DeviceOption, PrecisionOption, SetOption, device_settings
from trainer.cli.printing import show
from trainer.errors import JobError

if TYPE_CHECKING:
    from trainer.data.next_item_data import NextItemData
    from trainer.jobs.schema import AnyJob

REGISTRY, RUN = "models:/", "runs:/"


TrackingOption = Annotated[
    str | None, typer.Option(metavar="URI", help="The MLflow that knows a run or a registered model.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def compare(
    first: Annotated[
        str,
        typer.Argument(metavar="FIRST", help="An output folder, per_example.parquet or runs:/ID.", show_default=False),
    ],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="The same of another run.", show_default=False)],
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Each value of this slice column too.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="What is independent of one another, such as user (default: what A was fitted or evaluated with).",
        ),
    ] = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what differs between two runs, example by example."""
    from trainer.results.per_example_files import cluster_by, read_per_example
    from trainer.results.run_comparison import compare as compare_tables
    from trainer.results.summary import align, plural

    with TemporaryDirectory(prefix="trainer-") as scratch:
        tables = []
        for number, name in enumerate((first, second)):
            folder = Path(scratch, str(number))
            folder.mkdir()
            table = read_per_example(_table_path(name, tracking_uri, folder))
            tables.append(table if cluster is None else cluster_by(table, cluster))
        found = compare_tables(tables[0], tables[1], by)
    if as_json:
        _print_json(asdict(found))
        return
    by_unit = f"95 % by {found.unit}"
    rows = [("metric", "slice", "examples", "A", "B", "B - A", by_unit, "p", "B better", "B worse")]
    for one in found.differences:
        span = "" if one.low is None or one.high is None else f"{one.low:+.4f} to {one.high:+.4f}"
        numbers = (f"{one.first:.4f}", f"{one.second:.4f}", f"{one.second - one.first:+.4f}", span, f"{one.p:.4f}")
        rows.append((one.metric, one.slice, str(one.examples), *numbers, str(one.better), str(one.worse)))
    alone = (
        f"{found.shared} examples in both; {found.only_first} in A alone, {found.only_second} in B alone;"
        f" {found.clusters} {plural(found.unit)}, each drawn and swapped whole"
    )
    show(f"{align(rows)}\n{alone}")


def recommend(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="The folder `fit` saved, or models:/NAME@ALIAS.", show_default=False),
    ],
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="What a user would type, for a retrieval model.")
    ] = None,
    *,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="A query a line instead.")] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="A user of the data instead, for a next-item model.")
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(metavar="JOB.toml", help="The job file whose data hold the user's history, of any kind."),
    ] = None,
    overrides: SetOption = None,
    snapshot: Annotated[Path | None, typer.Option(metavar="DIR", help="A snapshot that holds it, instead.")] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="How many products.")] = 10,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a saved model for products, and say how long it took."""
    from trainer.environment import let_threads_sleep

    let_threads_sleep()
    from trainer.jobs.file import load_job, read_device
    from trainer.results.recommendation import Recommended, read_queries, recommend_for_queries, recommend_for_user

    _check_question({"QUERY": query, "--file": file, "--user": user}, {"--job": job, "--snapshot": snapshot}, k)
    if overrides and job is None:
        raise JobError("recommend: --set overrides a key of the job file that --job names")
    settings = device_settings(device, precision)
    loaded = None if job is None else load_job(job, [*(overrides or ()), *settings])
    where = read_device(device, precision) if loaded is None else loaded.device
    answers: Sequence[Recommended]
    with model_folder(model, tracking_uri) as folder:
        if user is not None:
            answers = [recommend_for_user(folder, data_of(loaded, snapshot), user, k, where)]
        else:
            queries = read_queries(file) if file is not None else [query or ""]
            answers = recommend_for_queries(folder, queries, k, where)
    if as_json:
        _print_json([asdict(answer) for answer in answers])
        return
    lines = []
    for answer in answers:
        lines.append(f"{answer.asked} ({answer.milliseconds:.1f} ms)")
        for place, product in enumerate(answer.products, 1):
            lines.append(f"{place:>4}  {product.score:7.3f}  {product.key}  {product.text}")
    show("\n".join(lines))


def upload(
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="The output folder of a job that could not send it.", show_default=False),
    ],
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Where that MLflow is now, if it moved.")
    ] = None,
) -> None:
    """Send MLflow what a job could not, once more."""
    from trainer.results.pending_upload import repeat_upload

    sent = repeat_upload(output, tracking_uri)
    sys.stdout.write(f"run {sent.run_id}\noutput {output}\n")


def data_of(job: "AnyJob | None", snapshot: Path | None) -> "NextItemData":
    """Give the data that a user is looked for in; raise JobError."""
    from trainer.jobs.schema import DataJob, NextItemJob

    if job is None:
        assert snapshot is not None  # the question was checked
        return DataJob(snapshot=snapshot)
    if not isinstance(job, NextItemJob):
        raise JobError(f"--job: task is {job.task!r}: the data of a next_item job are what --user is looked for in")
    return job.data


def _check_question(given: Mapping[str, object], sources: Mapping[str, Path | None], k: int) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise JobError("recommend: give one of QUERY, --file FILE and --user ID")
    query = given["QUERY"]
    if isinstance(query, str) and not query.strip():
        raise JobError("recommend: QUERY is empty")
    named = [name for name, path in sources.items() if path is not None]
    if given["--user"] is None and named:
        raise JobError(f"recommend: {named[0]} goes together with --user ID")
    if given["--user"] is not None and len(named) != 1:
        raise JobError("recommend: --user ID goes together with one of --job JOB.toml and --snapshot DIR")
    if k < 1:
        raise JobError(f"recommend: -k is {k}; a whole number from 1 is right")


def _table_path(name: str, uri: str | None, folder: Path) -> Path:
    if not name.startswith(RUN):
        return Path(name)
    from trainer.results.per_example_files import PER_EXAMPLE
    from trainer.tracking.mlflow import fetch_run_artifact

    return fetch_run_artifact(_known(uri, name), name.removeprefix(RUN), PER_EXAMPLE, folder)


@contextmanager
def model_folder(name: str, uri: str | None) -> Iterator[Path]:
    """Give a saved model's folder, fetched where the registry has it."""
    if not name.startswith(REGISTRY):
        yield Path(name)
        return
    from trainer.tracking.mlflow import fetch_registered

    with TemporaryDirectory(prefix="trainer-") as scratch:
        yield fetch_registered(_known(uri, name), name, Path(scratch))


def _known(uri: str | None, name: str) -> str:
    if uri is None:
        raise JobError(f"{name}: --tracking-uri says which MLflow knows it, such as sqlite:///mlflow.db")
    return uri


def _print_json(content: object) -> None:
    show(json.dumps(content, indent=2, ensure_ascii=False))

"""The commands that read what runs left: compare and recommend; what they print."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from trainer.errors import JobError

REGISTRY, RUN = "models:/", "runs:/"


def add_compare(command: argparse.ArgumentParser) -> None:
    command.description = "Compare two runs example by example, by their per-example tables."
    for name in ("first", "second"):
        command.add_argument(name, metavar=name[0].upper(), help="output folder, per_example.parquet or runs:/ID")
    command.add_argument("--by", metavar="COLUMN", help="each value of this slice column too")
    _add_common(command)
    command.set_defaults(call=_compare)


def add_recommend(command: argparse.ArgumentParser) -> None:
    command.description = "Ask a saved model for products, and say how long it took."
    command.add_argument("model", metavar="MODEL", help="the folder `fit` saved, or models:/NAME@ALIAS")
    command.add_argument("query", nargs="?", metavar="QUERY", help="what a user would type, for a retrieval model")
    command.add_argument("--file", type=Path, metavar="FILE", help="a query a line instead")
    command.add_argument("--user", metavar="ID", help="a user of the snapshot instead, for a next-item model")
    command.add_argument("--snapshot", type=Path, metavar="DIR", help="where the user's history is")
    command.add_argument("-k", type=int, default=10, metavar="N", help="how many products (default: %(default)s)")
    _add_common(command)
    command.set_defaults(call=_recommend)


def _compare(options: argparse.Namespace) -> int:
    from trainer.results.run_comparison import compare, read_per_example
    from trainer.results.summary import align

    with TemporaryDirectory(prefix="trainer-") as scratch:
        tables = []
        for number, name in enumerate((options.first, options.second)):
            folder = Path(scratch, str(number))
            folder.mkdir()
            tables.append(read_per_example(_table_path(name, options.tracking_uri, folder)))
        found = compare(tables[0], tables[1], options.by)
    if options.json:
        _print_json(asdict(found))
        return 0
    rows = [("metric", "slice", "examples", "A", "B", "B - A", "95 %", "p", "B better", "B worse")]
    for one in found.differences:
        span = f"{one.low:+.4f} to {one.high:+.4f}"
        numbers = (f"{one.first:.4f}", f"{one.second:.4f}", f"{one.second - one.first:+.4f}", span, f"{one.p:.4f}")
        rows.append((one.metric, one.slice, str(one.examples), *numbers, str(one.better), str(one.worse)))
    alone = f"{found.shared} examples in both; {found.only_first} in A alone, {found.only_second} in B alone"
    sys.stdout.write(f"{align(rows)}\n{alone}\n")
    return 0


def _recommend(options: argparse.Namespace) -> int:
    from trainer.environment import let_threads_sleep

    let_threads_sleep()
    from trainer.results.recommendation import Recommended, read_queries, recommend_for_queries, recommend_for_user

    _check_question(options)
    answers: Sequence[Recommended]
    with _model_folder(options.model, options.tracking_uri) as folder:
        if options.user is not None:
            answers = [recommend_for_user(folder, options.snapshot, options.user, options.k)]
        else:
            queries = read_queries(options.file) if options.file is not None else [options.query]
            answers = recommend_for_queries(folder, queries, options.k)
    if options.json:
        _print_json([asdict(answer) for answer in answers])
        return 0
    for answer in answers:
        sys.stdout.write(f"{answer.asked} ({answer.milliseconds:.1f} ms)\n")
        for place, product in enumerate(answer.products, 1):
            sys.stdout.write(f"{place:>4}  {product.score:7.3f}  {product.key}  {product.text}\n")
    return 0


def _check_question(options: argparse.Namespace) -> None:
    asked = [name for name in ("query", "file", "user") if getattr(options, name) is not None]
    if len(asked) != 1:
        raise JobError("recommend: give one of QUERY, --file FILE and --user ID")
    if options.query is not None and not options.query.strip():
        raise JobError("recommend: QUERY is empty")
    if (options.user is None) != (options.snapshot is None):
        raise JobError("recommend: --user ID and --snapshot DIR go together")
    if options.k < 1:
        raise JobError(f"recommend: -k is {options.k}; a whole number from 1 is right")


def _table_path(name: str, uri: str | None, folder: Path) -> Path:
    if not name.startswith(RUN):
        return Path(name)
    from trainer.results.run_comparison import PER_EXAMPLE
    from trainer.tracking.mlflow import fetch_run_artifact

    return fetch_run_artifact(_known(uri, name), name.removeprefix(RUN), PER_EXAMPLE, folder)


@contextmanager
def _model_folder(name: str, uri: str | None) -> Iterator[Path]:
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


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tracking-uri", metavar="URI", help="the MLflow that knows a run or a registered model")
    command.add_argument("--json", action="store_true", help="print JSON")


def _print_json(content: object) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

"""The command `explain`: why a saved model gave its answer."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.jobs import SetOption
from trainer.cli.printing import show
from trainer.cli.results import JsonOption, TrackingOption, data_of, model_folder
from trainer.errors import DataError, JobError

if TYPE_CHECKING:
    from trainer.explaining.explanation import Explanation


def explain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The folder `fit` saved, models:/NAME@ALIAS, or the output of a job with [explain].",
            show_default=False,
        ),
    ],
    *,
    query: Annotated[str | None, typer.Option(metavar="TEXT", help="What was asked.")] = None,
    product: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The product's text; of a next-item model its id or text.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="A user of the data instead of a query, for a next-item model.")
    ] = None,
    job: Annotated[
        Path | None, typer.Option(metavar="JOB.toml", help="The job file whose data hold the user's history.")
    ] = None,
    overrides: SetOption = None,
    snapshot: Annotated[Path | None, typer.Option(metavar="DIR", help="A snapshot that holds it, instead.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="A page with shades; must not exist.")] = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which words, or past purchases, carried a model's answer; nothing where that does not hold."""
    from trainer.environment import let_threads_sleep

    let_threads_sleep()
    if html is not None and html.exists():
        raise JobError(f"explain: --html {html} exists already")
    if html is not None and not html.absolute().parent.is_dir():
        raise JobError(f"explain: --html {html}: there is no such folder")
    found = _read_worst(Path(model), (query, product, user, job, snapshot))
    if found is None:
        _check_question(query, product, user, job, snapshot, overrides or ())
        with model_folder(model, tracking_uri) as folder:
            if user is not None:
                found = [_of_user(folder, user, product or "", job, snapshot, overrides or ())]
            else:
                found = [_of_pair(folder, query or "", product or "")]
    _show(found, html, as_json=as_json)


def _read_worst(output: Path, asked: Sequence[object]) -> "list[Explanation] | None":
    """Give what a job kept of its worst examples, where an output is named and nothing asked."""
    from trainer.explaining.files import EXPLANATIONS, read_explanations

    if any(one is not None for one in asked):
        return None
    if (output / EXPLANATIONS).exists():
        return read_explanations(output / EXPLANATIONS)
    if (output / "result.json").exists():
        raise DataError(f"{output}: holds no {EXPLANATIONS}: its job had no [explain] with worst = 3")
    return None


def _check_question(
    query: str | None,
    product: str | None,
    user: str | None,
    job: Path | None,
    snapshot: Path | None,
    overrides: Sequence[str],
) -> None:
    if (query is None) == (user is None):
        raise JobError("explain: give one of --query TEXT and --user ID, and --product with it")
    for name, text in (("--query", query if user is None else "-"), ("--product", product)):
        if text is None:
            raise JobError(f"explain: {name} TEXT is missing")
        if not text.strip():
            raise JobError(f"explain: {name} is empty")
    sources = sum(one is not None for one in (job, snapshot))
    if user is None and sources:
        raise JobError("explain: --job and --snapshot go together with --user ID")
    if user is not None and sources != 1:
        raise JobError("explain: --user ID goes together with one of --job JOB.toml and --snapshot DIR")
    if overrides and job is None:
        raise JobError("explain: --set overrides a key of the job file that --job names")


def _of_pair(folder: Path, query: str, product: str) -> "Explanation":
    from trainer.data.text_normalisation import normalise
    from trainer.explaining.opening import open_judge
    from trainer.explaining.pair_judge import explain_pair

    texts = [normalise(text) for text in (query, product)]  # as a fit reads them
    for name, text in zip(("--query", "--product"), texts, strict=True):
        if not text:
            raise JobError(f"explain: {name} holds nothing that is read, such as marks without a width alone")
    return explain_pair(open_judge(folder), *texts)


def _of_user(
    folder: Path, user: str, item: str, job: Path | None, snapshot: Path | None, overrides: Sequence[str]
) -> "Explanation":
    from trainer.explaining.opening import check_next_item
    from trainer.explaining.purchases import explain_item, find_item
    from trainer.jobs.file import load_job
    from trainer.jobs.running import DeviceJob
    from trainer.results.asked_user import open_user

    check_next_item(folder)
    loaded = None if job is None else load_job(job, overrides)
    asked = open_user(folder, data_of(loaded, snapshot), user, DeviceJob() if loaded is None else loaded.device)
    return explain_item(asked, user, find_item(asked, item))


def _show(found: "Sequence[Explanation]", html: Path | None, *, as_json: bool) -> None:
    from trainer.explaining.files import as_json as plain
    from trainer.explaining.pages import lines_of, page_of

    if not found:
        show("no example is explained")
        return
    if html is not None:
        partial = html.with_name(f".{html.name}.partial")
        try:
            partial.write_text(page_of(found), encoding="utf-8")
            partial.replace(html)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise JobError(f"explain: --html {html}: {error.strerror}") from None
    if as_json:
        show(json.dumps(plain(found), indent=2, ensure_ascii=False))
        return
    for one in found:
        show("\n".join(lines_of(one, coloured=sys.stdout.isatty())))

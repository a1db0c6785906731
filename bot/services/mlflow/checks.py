"""What the doctor looks at in MLflow: the server, and what each pipeline wants of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from bot.domain.checks import Check
from bot.domain.runs import Release, Run, Trouble
from bot.errors import ArtifactsAwayError, NoStoreError, RunStoreError
from bot.ports import Experiment, RunStore, Selection
from bot.services.checks import walled
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.missing_experiments import say_nothing_there
from bot.services.mlflow.opening import is_server
from bot.text.formats import duration
from bot.text.locales import ENGLISH
from bot.text.toml_keys import key_path

_LONG_AGO = timedelta(days=90)  # runs that ended earlier are not looked for
_NEWEST = 20  # runs whose metrics are compared with those of the configuration
_NAMED = 8  # metrics
_LIBRARIES = {
    "s3": "boto3",
    "r2": "boto3",
    "b2": "boto3",
    "gs": "google-cloud-storage",
    "wasbs": "azure-storage-blob",
    "abfss": "azure-storage-file-datalake",
    "sftp": "pysftp",
}
_ALONE = "Until then its runs are judged by their metrics alone."
_CHECK_ADDRESS = "Check mlflow.tracking_uri."
_CHECK_ACCOUNT = "Check mlflow.tracking_uri, and MLflow's own variables for user and token."


_Newest = Mapping[Experiment, Sequence[Run]]  # what a pipeline wants, with the runs of each that were started last


@dataclass(frozen=True, slots=True)
class RunsWanted:
    """What a pipeline wants of MLflow."""

    pipeline: str
    experiments: str  # as config names them
    watched: tuple[str, ...]  # their globs
    selection: Selection
    metrics: Mapping[str, bool]  # whether only some runs log it, by name
    release: Release | None
    has_job: bool
    has_schedule: bool


def check_mlflow(
    config: MlflowSection, wanted: Sequence[RunsWanted], store: RunStore, now: datetime
) -> Iterator[Check]:
    """Look at the tracking server, and at what each pipeline wants of it, by the queries that Herald makes."""
    try:
        version = store.version()
        store.experiments(("*",))
    except NoStoreError as error:
        is_made = all(each.has_job for each in wanted)
        remedy = "The first job makes it, where the path is right." if is_made else _CHECK_ADDRESS
        yield Check("address", ok=is_made, said=str(error), remedy=remedy)
        return
    except RunStoreError as error:
        yield Check("address", ok=False, said=str(error), remedy=_remedy_for(error, config.tracking_uri))
        return
    which = f"MLflow {version}" if version else "it does not say its version"
    yield Check("address", ok=True, said=f"answers: {which} (the oldest server that can be asked is 2.3)")
    for each in wanted:
        yield from walled(f"runs of {each.pipeline}", partial(_check_pipeline, each, config.tracking_uri, store, now))


def _remedy_for(error: RunStoreError, address: str) -> str:
    """Advise what the sentence does not; only servers ask who one is by MLflow's own variables."""
    if error.advises:
        return "Do what the sentence says."
    return _CHECK_ACCOUNT if is_server(address) else _CHECK_ADDRESS


def _check_pipeline(wanted: RunsWanted, address: str, store: RunStore, now: datetime) -> Iterator[Check]:
    try:
        yield _check_schedule(wanted)
        newest = {each: store.newest(each, _NEWEST, wanted.selection) for each in store.experiments(wanted.watched)}
        yield _check_runs(wanted, newest, store, now)
        yield from _check_metrics(wanted, newest)
        yield _check_release(wanted.pipeline, wanted.release, store)
        yield from _check_artifacts(wanted, address, newest, store)
    except RunStoreError as error:
        yield Check(f"runs of {wanted.pipeline}", ok=False, said=str(error), remedy="Mend what the sentence names.")


def _check_runs(wanted: RunsWanted, newest: _Newest, store: RunStore, now: datetime) -> Check:
    """Say of a pipeline's experiments whether they are there, and how old their last run is."""
    check = f"runs of {wanted.pipeline}"
    if not newest:
        if wanted.has_job:
            return Check(check, ok=True, said=f"{wanted.experiments} is made by the first job")
        remedy = "Check experiment (or watch.experiments), and that the account of MLflow's variables may read it."
        return Check(check, ok=False, said=say_nothing_there(wanted.experiments, store), remedy=remedy)
    last_of_each = (_last_of(each, known, wanted.selection, store, now) for each, known in newest.items())
    ended = [run for some in last_of_each for run in some]
    if not ended:
        return Check(check, ok=True, said=f"{wanted.experiments} has had none for {duration(_LONG_AGO, ENGLISH)}")
    last = max(ended, key=lambda run: run.ended)
    ago = duration(max(now - last.ended, timedelta(0)), ENGLISH)
    return Check(check, ok=True, said=f"the last, {last.name}, ended {ago} ago")


def _last_of(
    experiment: Experiment, known: Sequence[Run], selection: Selection, store: RunStore, now: datetime
) -> Iterator[Run]:
    """Yield those that ended last; not all that ended lately, which may be thousands."""
    return store.runs_since(experiment, max([now - _LONG_AGO, *(run.ended for run in known)]), selection)


def _check_schedule(wanted: RunsWanted) -> Check:
    name = wanted.pipeline
    check = f"schedule of {name}"
    if wanted.has_schedule:
        return Check(check, ok=True, said="it has one")
    key = key_path("pipeline", name, "schedule")
    remedy = f'Add [{key}] with every = "1h", unless something else calls `herald run {name}`.'
    return Check(
        check, ok=True, said=f"pipeline {name} has no schedule: `herald serve` never looks at it", remedy=remedy
    )


def _check_metrics(wanted: RunsWanted, newest: _Newest) -> Iterator[Check]:
    """Say which configured metrics no recent run has, and what those runs have that is named alike."""
    name, found = wanted.pipeline, [run for some in newest.values() for run in some]
    there = sorted({metric for run in found for metric in run.metrics})
    for metric, is_optional in wanted.metrics.items():
        if not found or metric in there:
            continue
        near = get_close_matches(metric, there, n=1)
        has = f"did you mean {near[0]}?" if near else f"they have {', '.join(there[:_NAMED]) or 'no metric at all'}."
        said = f"none of the {len(found)} newest runs has {metric}; {has}"
        key = key_path("pipeline", name, "metrics", metric)
        remedy = f"Correct the name {key}, or set optional = true where only some runs log it."
        yield Check(f"metrics of {name}", ok=is_optional, said=said, remedy="" if is_optional else remedy)


def _check_artifacts(wanted: RunsWanted, address: str, newest: _Newest, store: RunStore) -> Iterator[Check]:
    """Say which experiments keep their artifacts where they cannot be had from here; one of each place is tried."""
    places = {_place(each.artifacts): each for each in newest if each.artifacts}
    for experiment in list(places.values())[:_NAMED]:
        tried = newest[experiment][:1]
        why = next(filter(None, (_why_not_had(store, run) for run in tried)), "")
        if tried and not why and _is_elsewhere(experiment.artifacts):
            why = "there is no such folder here, be it that it is another machine's or that nobody has logged any"
        if why:
            said = f"the artifacts of {experiment.name} ({experiment.artifacts}) cannot be had from here: {why}"
            yield Check(
                f"artifacts of {wanted.pipeline}",
                ok=True,
                said=said,
                remedy=f"{_way_to(experiment.artifacts, address)} {_ALONE}",
            )


def _is_elsewhere(artifacts: str) -> bool:
    """Say whether artifacts lie in a folder of which this machine has not even what it would be made in.

    MLflow lists such a folder as one in which nothing is.
    """
    parts = urlsplit(artifacts)
    path = Path(url2pathname(parts.path) if parts.scheme == "file" else artifacts)
    return parts.scheme in ("", "file") and path.is_absolute() and not path.parent.exists()


def _place(artifacts: str) -> tuple[str, str]:
    parts = urlsplit(artifacts)
    return (parts.scheme, parts.netloc) if parts.netloc else (parts.scheme, artifacts)


def _why_not_had(store: RunStore, run: Run) -> str:
    """Try what judging a run tries; return why it does not work, or nothing."""
    try:
        unread = store.load(run).unread
    except ArtifactsAwayError as error:
        return str(error)
    return next((each.detail for each in unread if each.trouble is Trouble.NOT_HAD), "")


def _way_to(artifacts: str, address: str) -> str:
    scheme = urlsplit(artifacts).scheme
    if scheme == "mlflow-artifacts" and is_server(address):
        return "Let whoever runs the server see that it serves artifacts, and reaches where it keeps them."
    if scheme == "mlflow-artifacts":
        return "Only the server gives these: name its address (http) in mlflow.tracking_uri."
    if scheme in _LIBRARIES:
        return f"Install {_LIBRARIES[scheme]} beside Herald, and give it the account of that storage."
    return "Let this machine reach that place."


def _check_release(name: str, release: Release | None, store: RunStore) -> Check:
    check = f"release of {name}"
    key = key_path("pipeline", name, "release")
    if release is None:
        said = "none is named: decay in steps too small to be seen one by one shows only against a release"
        remedy = f'Where there is a released model, add [{key}] with model = "models:/NAME@ALIAS".'
        return Check(check, ok=True, said=said, remedy=remedy)
    found = store.released(release)
    if found is None:
        remedy = f"Set the alias in MLflow, or check {key}; until then only recent runs are compared."
        return Check(check, ok=False, said=f"MLflow has no run behind {release}", remedy=remedy)
    return Check(check, ok=True, said=f"{release} is the run {found.name}")

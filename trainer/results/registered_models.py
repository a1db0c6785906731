"""Models of MLflow's registry, as folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from trainer.jobs.schema import Job
from trainer.tracking.mlflow import fetch_registered

SomeJob = TypeVar("SomeJob", bound=Job)


@contextmanager
def fetched(job: SomeJob) -> Iterator[SomeJob]:
    """Let a model of the registry be a folder while the block runs."""
    if job.model.registry is None:
        yield job
        return
    with TemporaryDirectory(prefix="trainer-") as scratch:
        folder = fetch_registered(job.tracking.uri, job.model.registry, Path(scratch))
        model = job.model.model_copy(update={"registry": None, "folder": folder})
        yield job.model_copy(update={"model": model})

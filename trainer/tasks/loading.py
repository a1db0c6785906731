"""From a job to its task; the only place that knows them all."""

from typing import assert_never

from trainer.data.pairs import Pairs
from trainer.data.snapshot import Snapshot
from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.models.device import Device
from trainer.task import Task


def load_task(job: AnyJob, *, training: bool, device: Device, given: Pairs | Snapshot | None = None) -> Task:
    """Load data and model, raising InputError for whatever a job cannot run with.

    Data that are *given* stand for those that the job would read.
    """
    match job:
        case NextItemJob():
            from trainer.tasks import next_item

            assert not isinstance(given, Pairs)  # data of the job's kind
            return next_item.load(job, training=training, device=device, given=given)
        case RelevanceJob():
            from trainer.tasks import relevance

            assert not isinstance(given, Snapshot)  # data of the job's kind
            return relevance.load(job, training=training, device=device, given=given)
        case RetrievalJob():
            from trainer.tasks import retrieval

            assert not isinstance(given, Snapshot)  # data of the job's kind
            return retrieval.load(job, training=training, device=device, given=given)
        case _:
            assert_never(job)

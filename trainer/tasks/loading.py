"""From a job to its task; the only place that knows them all."""

from typing import assert_never

from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.models.device import Device
from trainer.task import Task


def load_task(job: AnyJob, *, training: bool, device: Device) -> Task:
    """Load data and model, raising InputError for whatever a job cannot run with."""
    match job:
        case NextItemJob():
            from trainer.tasks import next_item

            return next_item.load(job, training=training, device=device)
        case RelevanceJob():
            from trainer.tasks import relevance

            return relevance.load(job, training=training, device=device)
        case RetrievalJob():
            from trainer.tasks import retrieval

            return retrieval.load(job, training=training, device=device)
        case _:
            assert_never(job)

"""From a job to its task; the only place that knows them all."""

from typing import assert_never

from trainer.data.readers import DataReaders
from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.models.device import Device
from trainer.task import Task


def load_task(job: AnyJob, *, training: bool, device: Device, readers: DataReaders | None = None) -> Task:
    """Load data and model, raising InputError for whatever a job cannot run with."""
    from trainer.models.saved_cross_encoder import as_tuned_judge
    from trainer.models.saved_encoder import as_tuned
    from trainer.tasks.adaptation import check_adaptable, check_memory_to_adapt, known_texts

    adapts, readers = job.adapt if training else None, readers or DataReaders()
    match job:
        case NextItemJob():
            from trainer.tasks import next_item

            ranking = next_item.load(job, training=training, device=device, read=readers.snapshot)
            if adapts is not None:
                check_adaptable(as_tuned(ranking.encoder), ranking.texts.distinct, adapts)
                check_memory_to_adapt(as_tuned(ranking.encoder), adapts)
            return ranking
        case RelevanceJob():
            from trainer.tasks import relevance

            judging = relevance.load(job, training=training, device=device, read=readers.pairs)
            if adapts is not None:
                check_adaptable(as_tuned_judge(judging.model), known_texts(judging.pairs), adapts)
                check_memory_to_adapt(as_tuned_judge(judging.model), adapts)
            return judging
        case RetrievalJob():
            from trainer.tasks import retrieval

            search = retrieval.load(job, training=training, device=device, read=readers.pairs)
            if adapts is not None:
                check_adaptable(as_tuned(search.encoder), known_texts(search.pairs), adapts)
                check_memory_to_adapt(as_tuned(search.encoder), adapts)
            return search
        case _:
            assert_never(job)

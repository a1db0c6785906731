"""A job's task, loaded onto what it computes on; whether it can be fitted by several processes is seen first."""

from dataclasses import replace
from typing import TYPE_CHECKING

from trainer.environment import let_threads_sleep, nothing_collected, tell_the_hub_nothing, usable_cores
from trainer.errors import JobError
from trainer.jobs.running import PROCESSOR_ALONE
from trainer.jobs.schema import AnyJob, RetrievalJob
from trainer.tracking.tensorboard import check_installed

if TYPE_CHECKING:
    from trainer.data.pairs import Pairs
    from trainer.data.readers import DataReaders
    from trainer.data.snapshot import Snapshot
    from trainer.models.crew import Crew
    from trainer.models.device import Device
    from trainer.task import Task


@nothing_collected()
def load_on_device(
    job: AnyJob, *, training: bool, crew: "Crew | None" = None, given: "Pairs | Snapshot | None" = None
) -> "tuple[Task, Device]":
    """Load a job's task onto its device, torch being set for it; raise InputError.

    Data that are *given* stand for those that the job would read.
    """
    if job.tensorboard:
        check_installed()
    let_threads_sleep()
    tell_the_hub_nothing()
    from trainer.data.readers import readers_of

    with readers_of(job, given) as readers:  # before torch is loaded
        return _load(job, readers, crew, training=training)


def _load(job: AnyJob, readers: "DataReaders", crew: "Crew | None", *, training: bool) -> "tuple[Task, Device]":
    import torch

    from trainer.models.crew import ALONE
    from trainer.models.device import prepare_device
    from trainer.tasks.loading import load_task
    from trainer.tasks.reading_alike import check_read_alike
    from trainer.tasks.sharing import share_model

    crew = crew or ALONE
    torch.set_num_threads(job.threads or max(1, usable_cores() // crew.local_size))
    device = replace(prepare_device(job.device), crew=crew)
    check_crew(job, crew, device.kind, torch.cuda.device_count())
    if training:
        device = share_model(job, device)
    if not training and _is_compressed(job):
        device = prepare_device(PROCESSOR_ALONE)  # it computes nowhere else
    task = load_task(job, training=training, device=device, readers=readers)
    check_read_alike(task, crew)
    return task, device


def _is_compressed(job: AnyJob) -> bool:
    from trainer.models.model_form import TUNABLE, read_form

    return job.model.folder is not None and read_form(job.model.folder).form not in TUNABLE


def check_device(job: AnyJob) -> None:
    """Raise InputError for what a job wants to compute on or to write, and is not here, before anything is made."""
    if job.tensorboard:
        check_installed()
    let_threads_sleep()
    tell_the_hub_nothing()
    from trainer.models.device import choose_device, look_at_chips

    choose_device(job.device.kind, job.device.precision, look_at_chips(), job.device.compile)


def check_crew(job: AnyJob, crew: "Crew", kind: str, chips: int) -> None:
    """Raise JobError for a job that so many processes cannot fit together."""
    if crew.is_alone:
        return
    if isinstance(job, RetrievalJob) and job.model.images is not None:
        raise JobError(
            f"model.images: maps of pictures are learnt by one process, and torchrun started {crew.size}: start"
            " python -m trainer itself"
        )
    if job.train.batch % crew.size:
        below = job.train.batch // crew.size * crew.size
        right = f"{below} or {below + crew.size}" if below else str(crew.size)
        raise JobError(f"train.batch = {job.train.batch} does not divide among {crew.size} processes: {right} is right")
    share = job.train.batch // crew.size
    if job.train.accumulate > share:
        raise JobError(
            f"train.accumulate = {job.train.accumulate}: each of {crew.size} processes has {share} rows of a batch, and"
            f" no more parts; {share} at most is right"
        )
    if kind == "mps":
        raise JobError(
            f"Apple's GPU is one, and torchrun started {crew.size} processes: start python -m trainer itself"
        )
    if kind == "cuda" and crew.local_size > chips:
        raise JobError(
            f"torchrun started {crew.local_size} processes on a machine with {chips} GPUs: at most one each is right,"
            ' or device.kind = "cpu"'
        )

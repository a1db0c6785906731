"""Makes the candidates of a job, holds each against the original, and gives the table that the gate reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import assert_never

from trainer.compression.candidates import ORIGINAL, Candidate, Compressible, Scored
from trainer.compression.gate import LossGate, Measured, Refused, choose
from trainer.compression.timing import time_answers, time_models
from trainer.environment import let_threads_sleep, tell_the_hub_nothing, usable_cores
from trainer.errors import JobError, ModelError
from trainer.jobs.running import PROCESSOR_ALONE
from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.models.processor import tell_instructions
from trainer.tracking.progress import say


@dataclass(frozen=True, slots=True)
class Compared:
    """The original first, then every candidate that could be made."""

    models: tuple[Measured, ...]
    refused: tuple[Refused, ...]
    gate: LossGate
    judged_on: str
    instructions: str  # of the processor
    threads: int
    folder: Path  # of the candidates, each by its name

    def choice(self) -> Measured:
        """Give the candidate that is taken; raise GateError where none passes."""
        return choose(self.models[1:], self.gate)

    def folder_of(self, model: Measured) -> Path:
        """Give where a candidate was written."""
        return self.folder / model.name


def compare_candidates(job: AnyJob, scratch: Path) -> Compared:
    """Make and measure what a job wants tried, in a folder of its own; raise an InputError."""
    let_threads_sleep()
    tell_the_hub_nothing()
    import torch

    threads = job.threads or usable_cores()
    torch.set_num_threads(threads)
    if isinstance(job, NextItemJob):
        raise JobError(
            f"compress: task is {job.task!r}, whose lists are made of items' vectors that stand ready, so that a"
            " smaller model makes none quicker; models of relevance and retrieval are what it makes smaller"
        )
    settings = job.compress
    known, opened = _maker(job.model_copy(update={"part": settings.judged_on}), scratch)
    wanted = _wanted(settings.candidates, known, job.task)  # before texts are read, which takes long
    task = opened()
    original = task.original()
    metric = settings.metric or task.metric
    metrics = sorted(name for name in original.metrics if "/" not in name)  # of the model as it answers, not of a part
    if metric not in metrics:
        raise JobError(f"compress.metric: {metric!r} is not one of {', '.join(metrics)}")
    scored, refused, spent = {ORIGINAL: original}, [], {ORIGINAL: 0.0}
    for candidate in wanted:
        say(f"trainer: compress: {candidate.value}")
        began = perf_counter()
        try:
            scored[candidate.value] = task.make(candidate, scratch / candidate.value)
        except (ModelError, OSError) as error:  # a full disk, say: what was made before is still a choice
            reason = str(error)
            if isinstance(error, OSError) and error.filename is None:
                reason = f"{error.strerror}: {scratch}, which TMPDIR places"
            refused.append(Refused(candidate.value, reason))
            say(f"trainer: compress: {candidate.value} is left out: {reason}")
        spent[candidate.value] = perf_counter() - began
    if len(scored) == 1:
        raise ModelError(f"compress: no candidate can be made: {'; '.join(one.reason for one in refused)}")
    models = _measure(task, scored, spent, metric)
    gate = LossGate(metric, settings.max_quality_loss, settings.min_speedup)
    return Compared(models, tuple(refused), gate, settings.judged_on, tell_instructions(), threads, scratch)


def of_candidate(job: AnyJob, folder: Path) -> AnyJob:
    """Give the job with a candidate as its model, to be scored where it was measured: on the processor."""
    unset = dict.fromkeys(("package", "name", "revision", "registry", "sha256", "cache"))
    model = job.model.model_copy(update={**unset, "folder": folder})
    return job.model_copy(update={"model": model, "device": PROCESSOR_ALONE})


def _maker(job: RelevanceJob | RetrievalJob, scratch: Path) -> tuple[tuple[Candidate, ...], Callable[[], Compressible]]:
    """Give the candidates that a task knows, and what opens its model and data."""
    match job:
        case RelevanceJob():
            from trainer.compression.relevance_candidates import RelevanceCandidates

            return RelevanceCandidates.candidates, partial(RelevanceCandidates, job, scratch)
        case RetrievalJob():
            from trainer.compression.retrieval_candidates import RetrievalCandidates

            return RetrievalCandidates.candidates, partial(RetrievalCandidates, job, scratch)
        case _:
            assert_never(job)


def _wanted(named: Sequence[str], known: Sequence[Candidate], task: str) -> list[Candidate]:
    for one in named:
        if Candidate(one) not in known:
            right = ", ".join(candidate.value for candidate in known)
            raise JobError(f"compress.candidates: {one!r} is not one of {task}: {right} are right")
    return [Candidate(one) for one in dict.fromkeys(named)] or list(known)


def _measure(
    task: Compressible, scored: dict[str, Scored], spent: dict[str, float], metric: str
) -> tuple[Measured, ...]:
    """Time all of them in turns, once all are there: what making one leaves running would fall on the next alone."""
    timings = time_models({name: one.ask for name, one in scored.items()}, task.questions)
    answered = time_answers({name: one.answer for name, one in scored.items()}, task.questions, task.answers_at_once)
    found = []
    for name, one in scored.items():
        loss, between = (0.0, None) if name == ORIGINAL else task.lose(Candidate(name), metric)
        time = timings[name]
        cost = (time.ms_one, time.ms_batch, time.per_second, time.speedup, one.megabytes, spent[name])
        found.append(Measured(name, one.metrics[metric], loss, between, *cost, one.metrics, answered[name]))
    return tuple(found)

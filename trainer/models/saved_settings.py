"""What a model was fitted with holds where a job says nothing else; what it does say is used and told, or refused."""

from collections.abc import Collection, Mapping
from typing import TypeVar

from trainer.errors import ModelError
from trainer.jobs.fields import Section
from trainer.jobs.schema import PairJob, RetrievalJob
from trainer.models.hybrid_search import SearchSettings
from trainer.tracking.progress import say

AnySection = TypeVar("AnySection", bound=Section)
AnyPairJob = TypeVar("AnyPairJob", bound=PairJob)

OPEN = "auto"  # as good as not given


def settle(
    section: AnySection, saved: Mapping[str, object], name: str, *, training: bool, learnt: Collection[str] = ()
) -> AnySection:
    """Give a section of a job, with what the model was fitted with where the job gives nothing.

    What was *learnt* with a setting cannot be had with another one but by a fit: raise ModelError.
    """
    given = {key for key in saved if key in section.model_fields_set and getattr(section, key) != OPEN}
    for key in sorted(given):
        told, fitted = getattr(section, key), saved[key]
        if training or told == fitted:
            continue
        if key in learnt:
            raise ModelError(
                f"{name}.{key} = {_toml(told)} is not what the saved model was fitted with, {_toml(fitted)}:"
                " leave it out, or fit"
            )
        say(f"trainer: {name}.{key} = {_toml(told)} as the job says; the model was fitted with {_toml(fitted)}")
    return section.model_copy(update={key: value for key, value in saved.items() if key not in given})


def settle_pairs(job: AnyPairJob, max_tokens: int, pooling: str, *, spelling: bool, training: bool) -> AnyPairJob:
    """Give a job over pairs that reads texts as the model was fitted to, unless it says otherwise."""
    read = {"max_tokens": max_tokens, "pooling": pooling}
    model = settle(job.model, read, "model", training=training, learnt=("pooling",))
    data = settle(job.data, {"spelling": spelling}, "data", training=training)
    return job.model_copy(update={"model": model, "data": data})


def settle_search(job: RetrievalJob, saved: SearchSettings, *, training: bool) -> RetrievalJob:
    """Give a job as a saved model has it: how texts are read always, how lists are made where it is only scored."""
    job = settle_pairs(job, saved.max_tokens, saved.pooling, spelling=saved.spelling, training=training)
    if training:
        return job
    search = settle(job.search, {"top": saved.top, "weight": saved.weight}, "search", training=False)
    return job.model_copy(update={"search": search})


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)

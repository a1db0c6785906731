"""What of a configuration one Herald does for all, as digests: by them it is told where two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from pydantic import BaseModel

from bot.config.models import Config
from bot.config.pipeline import JobSection

_OF_THE_MACHINE = {"ca_file", "timeout"}  # may well differ from one machine to another
_OF_A_LOCAL_JOB = ("command", "cwd", "memory", "cpus", "log_limit")  # and so may these
_LENGTH = 12  # hexadecimal digits: enough to tell two apart, and nothing to guess a configuration from


def digests_of(config: Config) -> Mapping[str, str]:
    """Return a digest of each pipeline by its name, and of each other part by its own in brackets: `[tracker.jira]`.

    What may well differ from one machine to another is left out: folders, files of certificates and of a database, how
    many jobs run at once, and of a job that runs on Herald's own machine the command, where it runs, and what it may
    take. Secrets go into none, nor the values of a job's environment, which may hold some.
    """
    parts: dict[str, str] = {
        name: _digest(pipeline, {"job"}, config.zone_of(name).key, *_job(config, pipeline.job))
        for name, pipeline in config.pipeline.items()
    }
    parts |= {"instance": _hash([config.instance]), "locale": _hash([config.locale])}
    parts["[mlflow]"] = _hash([_place(config.mlflow.tracking_uri)])
    kinds: Mapping[str, Mapping[str, BaseModel]] = {
        "tracker": config.tracker,
        "wiki": config.wiki,
        "chat": config.chat,
        "executor": config.executor,
    }
    for kind, sections in kinds.items():
        parts |= {f"[{kind}.{name}]": _digest(section, _OF_THE_MACHINE) for name, section in sections.items()}
    if config.digest is not None:
        parts["[digest]"] = _digest(config.digest, set(), config.time_zone)
    return parts


def _digest(section: BaseModel, left_out: set[str], *more: str) -> str:
    known = section.model_dump(mode="json", exclude=left_out)  # pydantic writes every secret as the same stars
    return _hash([known, *more])


def _job(config: Config, job: JobSection | None) -> Iterator[str]:
    """Yield what of a job is the same whichever Herald starts it."""
    if job is None:
        return
    left_out = {"environment", *(_OF_A_LOCAL_JOB if config.runs_here(job.executor) else ())}
    yield _digest(job, left_out, *sorted(job.environment))


def _place(address: str) -> str:
    """Return which server an address names, without who signs in; nothing of a file, which lies where it lies."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else ""


def _hash(known: Sequence[object]) -> str:
    text = json.dumps(known, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]

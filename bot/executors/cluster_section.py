"""What config says of every cluster that runs jobs, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, AnyHttpUrl, Field

from bot.sections import Duration, Section, Url


def _read_tracking(address: str) -> str:
    scheme, has_scheme, _ = address.partition("://")
    if address and (not has_scheme or (scheme in {"http", "https"} and not urlsplit(address).hostname)):
        raise ValueError('should be the address of MLflow as jobs reach it, such as "https://mlflow.example.com"')
    return address


def _without_query(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.query or url.fragment:
        raise ValueError("should be an address without ? and #: paths are put behind it")
    return url


ClusterUrl = Annotated[Url, AfterValidator(_without_query)]


class ClusterSection(Section):
    look_every: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(minutes=5))] = timedelta(seconds=5)
    tracking_uri: Annotated[str, AfterValidator(_read_tracking)] = (
        ""  # MLflow as jobs there reach it, where that is another address than Herald's own
    )

    is_local: ClassVar[bool] = False

    @property
    def place(self) -> str:
        """Say which cluster it is: what was submitted to another is not to be seen here."""
        raise NotImplementedError

    def page_of(self, job: str) -> str:
        """Return the address at which people see a job of that name; empty where the cluster has none."""
        del job
        return ""


@dataclass(frozen=True, slots=True)
class ExecutorWants:
    """What the pipelines of an executor ask of it, for the doctor."""

    jobs: Mapping[str, JobWants] = field(default_factory=dict)  # by pipeline
    tracking_uri: str = ""  # that their jobs are given


@dataclass(frozen=True, slots=True)
class JobWants:
    command: tuple[str, ...]
    cwd: str = "."
    cpus: int | None = None
    gpus: int | None = None
    memory: int | None = None  # bytes
    timeout: timedelta | None = None

"""What config says of a Ray cluster."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from bot.executors.cluster_section import ClusterSection, ClusterUrl
from bot.runtime.shown_addresses import without_user
from bot.sections import Duration, Secret

_SCHEMES = ("https", "s3", "gs", "azure", "abfss", "hdfs", "file", "gcs")


def _read_package(address: str) -> str:
    """Take the address of a folder that Ray fetches for a job."""
    if address and address.partition("://")[0] not in _SCHEMES:
        raise ValueError(
            'should be the address of a zip file that the cluster can fetch, such as "s3://bucket/code.zip"; '
            "a folder that is there already goes into workdir"
        )
    return address


def _read_workdir(path: str) -> str:
    if path and not PurePosixPath(path).is_absolute():
        raise ValueError('should be a whole path on the cluster, such as "/srv/jobs"')
    return path


class RaySection(ClusterSection):
    kind: Literal["ray"] = "ray"
    url: ClusterUrl  # of the dashboard, which takes the jobs: http://head:8265
    token: Secret = SecretStr("")  # empty: the cluster asks for none
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=30)  # of one request
    ca_file: str | None = None  # a private certificate authority, PEM
    working_dir: Annotated[str, AfterValidator(_read_package)] = ""  # a zip file that Ray unpacks for each job
    workdir: Annotated[str, AfterValidator(_read_workdir)] = ""  # where jobs start, on every node; or in working_dir
    image: str = ""  # of a container; the nodes need podman

    @property
    def place(self) -> str:
        return f"Ray at {self.base}"

    def page_of(self, job: str) -> str:
        """Return the job's page in the dashboard."""
        return f"{without_user(self.base)}/#/jobs/{job}"

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return str(self.url).rstrip("/")

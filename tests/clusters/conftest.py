"""The clusters, each started once for all tests of a session."""

import itertools
import os
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import PurePosixPath

import pytest

from bot.ports import Executor, Job
from tests.clusters.daemons import wait_for
from tests.clusters.ray_cluster import RayCluster
from tests.clusters.ray_stand_in import RayStandIn
from tests.clusters.slurm_cluster import SlurmCluster
from tests.clusters.slurm_stand_in import SlurmStandIn

CLUSTERS = {
    "ray": RayCluster,
    "slurm": SlurmCluster,
    "as ray answers": RayStandIn,
    "as slurm answers": SlurmStandIn,
}
OWNER = "herald/nightly"
_NUMBERS = itertools.count(int(time.time()))


@pytest.fixture(scope="session")
def started() -> Iterator[dict[str, object]]:
    clusters: dict = {}
    yield clusters
    for cluster in clusters.values():
        cluster.end()


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.long) if name in {"ray", "slurm"} else name for name in CLUSTERS]
)
def cluster(request, started, monkeypatch):
    """Return a cluster that is up; the tests of one kind come one after the other."""
    if request.param not in started:
        cluster = CLUSTERS[request.param]()
        started[request.param] = cluster
        cluster.start()
    cluster = started[request.param]
    if cluster.kind == "slurm":
        monkeypatch.setenv("SLURM_CONF", str(cluster.config))
    if cluster.kind == "slurm" and not cluster.is_real:
        monkeypatch.setenv("PATH", cluster.path)
    return cluster


@pytest.fixture
def shell(tmp_path) -> Callable[..., Job]:
    """Return jobs of a line of shell, each of another fire."""

    def shell(line: str, **more) -> Job:
        fire = f"{next(_NUMBERS):016x}"
        environment = {"HERALD_FIRE_ID": fire, "HERALD_SEED": "17", "MLFLOW_TRACKING_URI": "http://mlflow:5000"}
        environment["ODD"] = "$HOME ${HOME} $(id) 中 'it' \"s\" \\n"
        return Job(
            **{
                "fire_id": fire,
                "command": ("sh", "-c", line),
                "folder": tmp_path / "jobs" / fire,
                "cwd": PurePosixPath("."),
                "environment": environment,
                "timeout": timedelta(minutes=5),
                "owner": OWNER,
                **more,
            }
        )

    return shell


def ended(executor: Executor, job: Job):
    def look():
        status = executor.look(job)
        return status if status.state.is_over else None

    return wait_for(look, "the end of the job")


def whole_log(executor: Executor, job: Job) -> str:
    offset, found = 0, b""
    while (part := executor.log(job, offset)).data:
        found, offset = found + part.data, part.offset
    return found.decode()


def told(path) -> str:
    return shlex.quote(str(path))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

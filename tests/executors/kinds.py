"""The kinds of executors that the contract is asked of; a cluster that takes long to start has its own file and mark."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.kubernetes.executor import KubernetesExecutor
from bot.executors.local.executor import LocalExecutor
from bot.ports import Executor
from tests.clusters.ray_stand_in import RayStandIn
from tests.clusters.slurm_stand_in import SlurmStandIn
from tests.executors.harness import ExecutorHarness
from tests.executors.kubernetes_cluster import NAMESPACE, TOKEN, Cluster


class LocalHarness:
    def __init__(self, folder: Path) -> None:
        self._jobs = folder / "jobs"
        self._made: list[LocalExecutor] = []

    def herald(self) -> Executor:
        self._made.append(LocalExecutor())
        return self._made[-1]

    def cuts(self) -> Sequence[AbstractContextManager[None]]:
        return ()  # each of its steps is killed in tests/unit/test_local_jobs.py

    def away(self) -> None:
        return None

    def lose(self, fire_id: str) -> None:
        """Kill the keeper with its job, so that nobody notes how it ended."""
        keeper = psutil.Process(int((self._jobs / fire_id / "pid").read_text()))
        family = [*keeper.children(recursive=True)]
        for process in (keeper, *family):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=5)
        for each in self._made:
            each._bury()

    def close(self) -> None:
        for each in self._made:
            for keeper in each._keepers.values():
                keeper.wait(20)


class KubernetesHarness:
    def __init__(self, folder: Path, **changes: object) -> None:
        self.cluster = Cluster(folder, **changes)

    def section(self, **changes: object) -> KubernetesSection:
        known = {"url": self.cluster.url, "token": TOKEN, "namespace": NAMESPACE, "image": "registry.example.com/job:1"}
        return KubernetesSection.model_validate({**known, **changes})

    def herald(self, **changes: object) -> KubernetesExecutor:
        return KubernetesExecutor(self.section(**changes))

    def cuts(self) -> Sequence[AbstractContextManager[None]]:
        asked = [("POST /jobs", what) for what in ("cut before", "cut after", "502")]
        return [self._with_faults(each) for each in (*asked, ("GET /jobs", "cut after"))]

    @contextmanager
    def _with_faults(self, *faults: tuple[str, str]) -> Iterator[None]:
        self.cluster.faults[:] = faults
        yield
        self.cluster.faults.clear()

    def away(self) -> AbstractContextManager[None]:
        everything = [(f"{method} /", "cut before") for method in ("GET", "POST", "DELETE") for _ in range(20)]
        return self._with_faults(*everything)

    def lose(self, fire_id: str) -> None:
        self.cluster.end_pod(fire_id)
        del self.cluster.jobs[fire_id]

    def close(self) -> None:
        self.cluster.close()


class RayHarness:
    def __init__(self, _: Path) -> None:
        self.cluster = RayStandIn()
        self.cluster.start()

    def herald(self) -> Executor:
        return self.cluster.executor()

    def cuts(self) -> Sequence[AbstractContextManager[None]]:
        return [self._cut(moment) for moment in ("before", "after")]

    @contextmanager
    def _cut(self, moment: str) -> Iterator[None]:
        self.cluster.broken = moment
        yield
        self.cluster.broken = ""

    def away(self) -> AbstractContextManager[None]:
        return self.cluster.away()

    def lose(self, fire_id: str) -> None:
        self.cluster.lose(fire_id)

    def close(self) -> None:
        self.cluster.end()


class SlurmHarness:
    def __init__(self, _: Path) -> None:
        self.cluster = SlurmStandIn()
        self._before = {name: os.environ.get(name) for name in ("PATH", "SLURM_CONF")}
        os.environ |= {"PATH": self.cluster.path, "SLURM_CONF": str(self.cluster.config)}

    def herald(self) -> Executor:
        return self.cluster.executor()

    def cuts(self) -> Sequence[AbstractContextManager[None]]:
        return [self.cluster.with_mark(each) for each in ("broken", "broken after")]

    def away(self) -> AbstractContextManager[None]:
        return self.cluster.with_mark("down")

    def lose(self, fire_id: str) -> None:
        self.cluster.lose(fire_id)

    def close(self) -> None:
        self.cluster.end()
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


KINDS: dict[str, type[ExecutorHarness]] = {
    "local": LocalHarness,
    "kubernetes": KubernetesHarness,
    "ray": RayHarness,
    "slurm": SlurmHarness,
}

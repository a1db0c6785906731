"""What is wrong with a cluster, or with what is asked of it, is said in the cluster's words by doctor and ticket.

While it is mended nothing is started twice: whatever was refused or not answered was not begun, and what was begun is
gone on with.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.errors import ExecutorAwayError, JobError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.kubernetes.checks import check_kubernetes
from bot.executors.ray.checks import check_ray
from bot.executors.ray.executor import RayExecutor
from bot.executors.slurm.checks import check_slurm
from bot.executors.slurm.executor import SlurmExecutor
from bot.executors.submission_notes import read_note, write_note
from bot.ports import Executor, Job, JobState, Submission
from tests.executors.kinds import KubernetesHarness, RayHarness, SlurmHarness
from tests.executors.kubernetes_cluster import EVERYTHING, NAMESPACE, UNSCHEDULABLE, waiting

NO_FOLDER = (
    "runtime_env setup failed: Failed to set up runtime environment.\nFailed to download s3://none/code.zip: 404"
)
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {"allocatable": {"cpu": "2", "memory": "4Gi"}},
}
NOT_IN_NAMESPACE = "Herald may do nothing in namespace nowhere: it is not there, or its account has no role in it"


@dataclass
class Lab:
    """A cluster of one kind, what is wrong with it, and how it is asked."""

    harness: Any
    changes: dict[str, object] = field(default_factory=dict)  # of the section
    asks: dict[str, Any] = field(default_factory=dict)  # of the job
    hours: float = 0.0  # that pass once it waits

    @property
    def section(self) -> Any:
        if isinstance(self.harness, KubernetesHarness):
            return self.harness.section(**self.changes)
        section = self.harness.cluster.section
        return section.model_copy(update=self.changes)

    def executor(self) -> Executor:
        match self.harness:
            case KubernetesHarness():
                return self.harness.herald(**self.changes)
            case RayHarness():
                return RayExecutor(self.section, timedelta(seconds=0.1))
            case _:
                return SlurmExecutor(self.section)

    def doctor(self) -> str:
        wants = ExecutorWants({"search": JobWants(("true",), **self.asks)})
        check = {KubernetesHarness: check_kubernetes, RayHarness: check_ray}.get(type(self.harness), check_slurm)
        return "\n".join(each.said for each in check(self.section, wants) if not each.ok)

    def told(self, job: Job) -> tuple[str, str]:
        """Submit a job and look until it is over or cannot be asked about; return how that is called, and what is said."""
        executor = self.executor()
        try:
            executor.submit(job)
            status = executor.look(job)
            if self.hours and status.state is JobState.QUEUED:
                self._pass(job)
                status = executor.look(job)
        except JobError as error:
            return "failed", error.said
        except ExecutorAwayError as error:
            return "away", str(error)
        return ("failed" if status.state is JobState.ENDED else status.state.value), status.said

    def _pass(self, job: Job) -> None:
        if isinstance(self.harness, KubernetesHarness):
            self.harness.cluster.hours_passed = self.hours
        else:
            note = read_note(job.folder)
            assert note is not None
            write_note(job.folder, replace(note, at=time.time() - 3600 * self.hours))


def on(**cluster: object) -> Callable[[Lab], None]:
    """Return what sets a stand-in up like this."""

    def set_up(lab: Lab) -> None:
        for name, value in cluster.items():
            setattr(lab.harness.cluster, name, value)

    return set_up


def with_section(**changes: object) -> Callable[[Lab], None]:
    return lambda lab: lab.changes.update(changes)


def asking(**asks: object) -> Callable[[Lab], None]:
    return lambda lab: lab.asks.update(asks)


def later(hours: float) -> Callable[[Lab], None]:
    return lambda lab: setattr(lab, "hours", hours)


def marked(name: str, text: str = "") -> Callable[[Lab], None]:
    return lambda lab: (lab.harness.cluster.folder / name).write_text(text) and None


QUOTA = "exceeded quota: team, requested: requests.cpu=64, used: 0, limited: 32"
ABOVE = "couldn't assign flavors to pod set main: insufficient quota for cpu in flavor default, request > maximum capacity (64 > 10)"
NOT_THERE = "cannot be reached"
KUEUE = on(has_kueue=True, queues=frozenset({"nightly"}))
NIGHTLY = with_section(queue="nightly")

CASES = {  # what is wrong: the kind, what sets it up, what becomes of the job, the cluster's words, the doctor's
    "kubernetes away": ("kubernetes", [with_section(url="http://127.0.0.1:9")], "away", NOT_THERE, NOT_THERE),
    "kubernetes refuses the token": ("kubernetes", [on(token="other")], "away", "Unauthorized", "Unauthorized"),
    "kubernetes lacks the right": (
        "kubernetes",
        [on(rights=EVERYTHING - {"create jobs"})],
        "failed",
        'cannot create resource "jobs"',
        "Herald may not create jobs in namespace research",
    ),
    "no kueue": ("kubernetes", [NIGHTLY], "failed", "has no Kueue, whose queue 'nightly'", "has no Kueue"),
    "no queue": (
        "kubernetes",
        [NIGHTLY, on(has_kueue=True)],
        "failed",
        "has no queue 'nightly' in namespace research",
        "has no queue 'nightly'",
    ),
    "more than the queue ever has": (
        "kubernetes",
        [NIGHTLY, KUEUE, on(kueue_says=ABOVE), later(2)],
        "failed",
        f"It did not start within 1:00:00 (start_within). It waits for its queue: {ABOVE}.",
        None,
    ),
    "no namespace": (
        "kubernetes",
        [with_section(namespace="nowhere")],
        "failed",
        'namespaces "nowhere" not found',
        NOT_IN_NAMESPACE,
    ),
    **{
        reason: ("kubernetes", [on(pod_status=waiting(reason, f"{reason} says why")), later(1)], "failed", said, None)
        for reason, said in (
            ("ErrImagePull", "Its image cannot be had: registry.example.com/job:1 (ErrImagePull): ErrImagePull says"),
            ("InvalidImageName", "(InvalidImageName): InvalidImageName says why"),
            ("ImagePullBackOff", "(ImagePullBackOff): ImagePullBackOff says why"),
        )
    },
    "no node has room": (
        "kubernetes",
        [on(pod_status=UNSCHEDULABLE, nodes=[NODE]), asking(cpus=8), later(2)],
        "failed",
        "No node has room for it: 0/4 nodes are available: 4 Insufficient nvidia.com/gpu.",
        "asks for 8 cpu, and no node has more than 2",
    ),
    "a quota of pods": ("kubernetes", [on(refused_pods=QUOTA), later(2)], "failed", QUOTA, None),
    "a quota of jobs": ("kubernetes", [on(admits=QUOTA)], "failed", QUOTA, QUOTA),
    "slurm away": ("slurm", [marked("down")], "away", "Unable to contact slurm controller", "DOWN"),
    "more than a node of slurm has": (
        "slurm",
        [asking(cpus=64), later(1.1)],
        "failed",
        "Slurm let it wait for an hour and would never start it: PartitionConfig.",
        "Requested node configuration is not available",
    ),
    "more memory than a node of slurm has": (
        "slurm",
        [asking(memory=10**12)],
        "failed",
        "Memory specification can not be satisfied",
        "Requested node configuration is not available",
    ),
    "no such gpus": (
        "slurm",
        [asking(gpus=1)],
        "failed",
        "Invalid generic resource (gres) specification",
        "Invalid generic resource (gres) specification",
    ),
    "no such nodes": (
        "slurm",
        [with_section(constraint="a100")],
        "failed",
        "Invalid feature specification",
        "Invalid feature specification",
    ),
    "no partition": (
        "slurm",
        [with_section(partition="gpu")],
        "failed",
        "invalid partition specified: gpu",
        "invalid partition specified: gpu",
    ),
    "no account": (
        "slurm",
        [with_section(account="ads")],
        "failed",
        "Invalid account or account/partition combination specified",
        "Invalid account or account/partition combination specified",
    ),
    **{
        f"slurm waits for {reason}": (
            "slurm",
            [marked("held back", reason), later(1.1)],
            "failed",
            f"Slurm let it wait for an hour and would never start it: {reason}.",
            None,
        )
        for reason in ("PartitionTimeLimit", "QOSMaxCpuPerJobLimit", "AssocMaxWallDurationPerJobLimit", "InvalidQOS")
    },
    "slurm waits for a node": (
        "slurm",
        [marked("held back", "ReqNodeNotAvail"), later(100)],
        "queued",
        "Slurm lets it wait: ReqNodeNotAvail",
        None,
    ),
    "ray away": ("ray", [with_section(url="http://127.0.0.1:9")], "away", "takes no connection", "takes no connection"),
    "ray refuses the token": (
        "ray",
        [on(token="other")],
        "away",
        "refuses who asks (403): check its token",
        "refuses who asks (403): check its token",
    ),
    "more than a node of ray has": (
        "ray",
        [asking(cpus=64)],
        "queued",
        "Ray: Job has not started yet. It may be waiting for resources",
        "no node has what they ask for, 64 CPU: at most 2 CPU",
    ),
    "no working folder": ("ray", [on(unmade=NO_FOLDER)], "failed", "runtime_env setup failed", None),
}


@pytest.fixture
def lab_of(tmp_path) -> Iterator[Callable[[str], Lab]]:
    made: list[Any] = []

    def lab_of(kind: str) -> Lab:
        harness = {"kubernetes": KubernetesHarness, "slurm": SlurmHarness, "ray": RayHarness}[kind](tmp_path)
        made.append(harness)
        return Lab(harness)

    yield lab_of
    for each in made:
        each.close()


@pytest.fixture
def job(tmp_path) -> Job:
    fire = "c0ffee0123456789"
    return Job(fire, ("true",), tmp_path / "jobs", Path(), {}, timedelta(hours=1), owner="herald/search")


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_in_the_clusters_words(lab_of, job, case):
    kind, set_ups, becomes, said, by_doctor = CASES[case]
    lab = lab_of(kind)
    for set_up in set_ups:
        set_up(lab)
    how, words = lab.told(replace(job, **lab.asks))
    assert how == becomes, words
    assert said in words
    if by_doctor is not None:
        assert by_doctor in lab.doctor()


@pytest.mark.parametrize("kind", ["kubernetes", "slurm", "ray"])
def test_what_was_begun_before_a_token_was_refused_or_a_cluster_went_is_not_begun_again(lab_of, job, kind):
    lab = lab_of(kind)
    marks = lab.harness.cluster.folder / "begun"
    job = replace(job, command=("sh", "-c", f"echo begun >> {marks}"))
    lab.executor().submit(job)
    (job.folder / "submission").unlink()  # as where a Herald was killed before it could note it
    if kind == "slurm":
        (lab.harness.cluster.folder / "down").touch()
    else:
        known, lab.harness.cluster.token = lab.harness.cluster.token, "another"
    for _ in range(3):
        with pytest.raises(ExecutorAwayError):
            lab.executor().submit(job)
    if kind == "slurm":
        (lab.harness.cluster.folder / "down").unlink()
    else:
        lab.harness.cluster.token = known
    assert lab.executor().submit(job) is Submission.ADOPTED
    until = time.monotonic() + 20
    while not lab.executor().look(job).state.is_over and time.monotonic() < until:
        time.sleep(0.02)
    assert marks.read_text() == "begun\n"


@pytest.mark.parametrize("command", ["doctor", "status", "serve"])
def test_an_executor_that_config_does_not_know_ends_a_command_before_anything_is_asked(
    tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        """
        [executor.lab]
        kind = "kubernetes"
        image = "job:1"
        [pipeline.search]
        experiment = "search"
        job = { command = ["train"], executor = "lba" }
        [pipeline.search.metrics.ndcg]
        """
    )
    monkeypatch.setattr(sys, "argv", ["herald", command])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "pipeline.search.job.executor: 'lba' is not one of ['lab', 'local']: did you mean 'lab'?" in said
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


# what a cluster asks for, and what takes several answers


def test_a_cluster_that_is_busy_says_for_how_long_it_is_to_be_left_alone(lab_of, job):
    ray, kubernetes = lab_of("ray"), lab_of("kubernetes")
    ray.harness.cluster.busy = "90"
    kubernetes.harness.cluster.retry_after = "120"
    for lab, seconds in ((ray, 90), (kubernetes, 120)):
        if lab is kubernetes:
            lab.harness.cluster.faults.append(("POST /jobs", "503"))
        with pytest.raises(ExecutorAwayError, match=f"and asks to wait for {seconds} s") as found:
            lab.executor().submit(replace(job, folder=job.folder / lab.harness.__class__.__name__))
        assert found.value.retry_after == seconds


def nodes(count: int) -> list[dict[str, Any]]:
    return [{**NODE, "metadata": {"name": f"n{number}"}} for number in range(count)]


def test_the_largest_node_is_found_on_whichever_page_of_the_list_it_stands(lab_of):
    lab = lab_of("kubernetes")
    large = {**NODE, "status": {"allocatable": {"cpu": "16", "memory": "4Gi"}}}
    lab.harness.cluster.nodes, lab.harness.cluster.pages_of = [*nodes(7), large], 3
    lab.asks["cpus"] = 16
    assert lab.doctor() == ""
    lab.asks["cpus"] = 17
    assert "asks for 17 cpu, and no node has more than 16" in lab.doctor()


def test_a_list_whose_next_page_was_asked_for_too_late_is_asked_for_anew(lab_of):
    lab = lab_of("kubernetes")
    large = {**NODE, "status": {"allocatable": {"cpu": "16", "memory": "4Gi"}}}
    cluster = lab.harness.cluster
    cluster.nodes, cluster.pages_of, cluster.expired = [*nodes(7), large], 3, 2
    lab.asks["cpus"] = 16
    assert lab.doctor() == ""
    assert cluster.expired == 0


def test_a_job_that_waits_in_its_queue_for_others_waits_for_as_long_as_it_takes(lab_of, job):
    lab = lab_of("kubernetes")
    for set_up in (NIGHTLY, KUEUE):
        set_up(lab)
    said = "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default, 2 more needed"
    lab.harness.cluster.kueue_says, lab.hours = said, 30
    assert lab.told(job) == ("queued", f"It waits for its queue: {said}.")
    lab.harness.cluster.rights -= {"list workloads"}
    assert lab.executor().look(job).said == "It waits for its queue."


def test_a_later_job_of_the_same_name_is_not_deleted_in_the_place_of_the_one_that_was_seen(lab_of, job):
    lab = lab_of("kubernetes")
    executor, cluster = lab.executor(), lab.harness.cluster
    executor.submit(replace(job, command=("sleep", "60")))
    answers = cluster.answer

    def replaced(method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if method == "DELETE":
            cluster.jobs[job.name]["metadata"]["uid"] = "of-another"
        return answers(method, path, query, body)

    cluster.answer = replaced
    executor.stop(job)
    assert job.name in cluster.jobs


def test_the_newest_pod_speaks_for_a_job_that_had_several(lab_of, job):
    lab = lab_of("kubernetes")
    executor, cluster = lab.executor(), lab.harness.cluster
    executor.submit(replace(job, command=("sleep", "60")))
    held = cluster.containers[job.name]
    older = {
        **held.pod,
        "metadata": {**held.pod["metadata"], "name": "older", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
    }
    pods = cluster._pods
    cluster._pods = lambda query: [older, *pods(query)]
    assert executor.look(job).state is JobState.RUNNING


@pytest.mark.parametrize(("condition", "state"), [("Complete", JobState.ENDED), ("Failed", JobState.LOST)])
def test_a_job_whose_pod_was_cleared_away_is_told_by_its_own_conditions(lab_of, job, condition, state):
    lab = lab_of("kubernetes")
    executor, cluster = lab.executor(), lab.harness.cluster
    executor.submit(replace(job, command=("sleep", "60")))
    cluster.end_pod(job.name)
    cluster.containers.clear()
    cluster.jobs[job.name]["status"] = {
        "conditions": [{"type": condition, "status": "True", "reason": "PodFailurePolicy"}],
        "startTime": "2026-11-30T00:00:00Z",
    }
    assert executor.look(job).state is state
    assert executor.log(job, 5) == executor.log(job, 5).__class__(b"", 5), "whose log is gone with it"


def test_a_log_whose_pod_goes_between_two_answers_is_empty(lab_of, job):
    lab = lab_of("kubernetes")
    executor, cluster = lab.executor(), lab.harness.cluster
    executor.submit(job)
    pods = [*cluster._pods({})]
    cluster._pods = lambda _query: pods
    cluster.end_pod(job.name)
    assert executor.log(job, 3).data == b""


def test_a_job_that_was_preempted_by_its_queue_is_queued_again(lab_of, job):
    lab = lab_of("kubernetes")
    NIGHTLY(lab)
    KUEUE(lab)
    executor, cluster = lab.executor(), lab.harness.cluster
    executor.submit(replace(job, command=("sleep", "60")))
    cluster.jobs[job.name]["spec"]["suspend"] = False
    cluster.start_pod(job.name)
    assert executor.look(job).state is JobState.RUNNING
    cluster.end_pod(job.name)
    cluster.jobs[job.name]["spec"]["suspend"] = True
    cluster.kueue_says = "Preempted to accommodate a workload (UID: 1) due to prioritization in the ClusterQueue"
    assert executor.look(job).state is JobState.QUEUED
    assert NAMESPACE in cluster.jobs[job.name]["metadata"]["namespace"]


def test_a_job_that_took_too_long_is_told_so_by_kubernetes_own_condition(lab_of, job):
    lab = lab_of("kubernetes")
    executor, cluster = lab.executor(), lab.harness.cluster
    executor.submit(replace(job, command=("sleep", "60")))
    cluster.hours_passed = 2
    found = executor.look(job)
    assert (found.state, found.timed_out, found.said) == (
        JobState.ENDED,
        True,
        "Kubernetes ended it: its time was up.",
    )


@pytest.mark.parametrize("content", ["", "[1]", '{"step": "none"}', "[" * 100_000])
def test_a_note_that_is_damaged_notes_nothing(tmp_path, content):
    (tmp_path / "submission").write_text(content)
    assert read_note(tmp_path) is None

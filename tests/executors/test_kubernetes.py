"""Jobs on Kubernetes: what a pod is given, and what is said of each way in which it comes to nothing."""

import json
import re
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from bot.config.file import load_config
from bot.doctor import examine
from bot.errors import ConfigError, ExecutorAwayError, JobError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.kubernetes.checks import check_kubernetes
from bot.executors.kubernetes.manifests import job_manifest
from bot.executors.submission_notes import SubmissionNote, SubmissionStep, write_note
from bot.ports import Job, JobState, Submission
from bot.runtime.clock import wall_clock
from tests.executors import kubernetes_schemas as schemas
from tests.executors.kinds import KubernetesHarness
from tests.executors.kubernetes_cluster import (
    EVERYTHING,
    NAMESPACE,
    TOKEN,
    UNSCHEDULABLE,
    ended_pod,
    not_found,
    waiting,
)

FIRE = "c0ffee0123456789"


@pytest.fixture
def kubernetes(tmp_path):
    harness = KubernetesHarness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(
        FIRE,
        ("sleep", "60"),
        tmp_path / "jobs",
        Path(),
        {"HERALD_FIRE_ID": FIRE, "HERALD_SEED": "7"},
        timedelta(hours=6),
        owner="herald/search",
    )


def container_of(body: dict) -> dict:
    (container,) = body["spec"]["template"]["spec"]["containers"]
    return container


# what the cluster is given


def test_a_job_is_one_pod_that_is_tried_once_and_ends_in_time(kubernetes, job):
    kubernetes.herald().submit(job)
    (body,) = kubernetes.cluster.bodies
    assert body["metadata"]["name"] == FIRE
    assert body["spec"]["backoffLimit"] == 0
    assert body["spec"]["activeDeadlineSeconds"] == 6 * 3600
    assert "ttlSecondsAfterFinished" not in body["spec"]
    pod = body["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False


def test_everything_that_config_can_say_is_as_the_schemas_have_it(kubernetes, job):
    section = kubernetes.section(
        workdir="/srv",
        cpus=2,
        memory="4 GB",
        gpus=1,
        secrets={"MLFLOW_TRACKING_PASSWORD": "mlflow/password"},
        mounts=[
            {"path": "/data", "claim": "datasets"},
            {"path": "/etc/job", "config_map": "job", "sub_path": "a.toml"},
            {"path": "/keys", "secret": "keys"},
        ],
        service_account="trainer",
        pull_secrets=["registry"],
        pull_policy="Always",
        node_selector={"pool": "gpu"},
        tolerations=[{"key": "gpu", "effect": "NoSchedule"}],
        priority_class="low",
        labels={"team": "search"},
        queue="nightly",
        keep="7d",
    )
    body = job_manifest(job, section)
    schemas.check(body)
    container = container_of(body)
    assert container["workingDir"] == "/srv"
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "4000000000", "nvidia.com/gpu": "1"}
    assert container["env"] == [
        {"name": "HERALD_FIRE_ID", "value": FIRE},
        {"name": "HERALD_SEED", "value": "7"},
        {
            "name": "MLFLOW_TRACKING_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "password"}},
        },
    ]
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nightly"
    assert body["spec"]["ttlSecondsAfterFinished"] == 7 * 86400
    assert body["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_a_job_asks_for_what_its_pipeline_says_before_what_its_executor_says(kubernetes, job):
    from dataclasses import replace

    asked = container_of(job_manifest(replace(job, cpus=8, memory=10**9), kubernetes.section(cpus=2, gpus=1)))
    assert asked["resources"]["requests"] == {"cpu": "8", "memory": "1000000000", "nvidia.com/gpu": "1"}


def test_a_folder_that_starts_nowhere_is_refused_before_anything_is_asked(kubernetes, job):
    from dataclasses import replace

    with pytest.raises(JobError, match=r'job.cwd = "training" starts nowhere: .* no workdir'):
        kubernetes.herald().submit(replace(job, cwd=Path("training")))
    assert kubernetes.cluster.asked == []


def test_a_secret_reaches_the_job_by_reference_alone(kubernetes, job):
    from dataclasses import replace

    kubernetes.cluster.secrets["mlflow/password"] = "sesame"
    executor = kubernetes.herald(secrets={"MLFLOW_TRACKING_PASSWORD": "mlflow/password"})
    executor.submit(replace(job, command=("sh", "-c", "echo it is $MLFLOW_TRACKING_PASSWORD")))
    while not executor.look(job).state.is_over:
        pass
    assert executor.log(job, 0).data == b"it is sesame\n"
    assert "sesame" not in json.dumps(kubernetes.cluster.bodies)


# who has a job of this name


def test_another_heralds_job_of_the_same_name_is_never_adopted(kubernetes, job):
    from dataclasses import replace

    kubernetes.herald().submit(replace(job, owner="herald/other", folder=job.folder / "other"))
    with pytest.raises(JobError, match=f"job {FIRE} in namespace research, which is not of herald/search"):
        kubernetes.herald().submit(job)
    assert kubernetes.herald().look(job).state is JobState.LOST
    kubernetes.herald().stop(job)
    assert FIRE in kubernetes.cluster.jobs


def test_a_refusal_is_not_believed_of_a_job_that_is_there(kubernetes, job):
    kubernetes.herald().submit(job)
    (job.folder / "submission").unlink()
    kubernetes.cluster.admits = "exceeded quota: jobs, requested: count/jobs.batch=1, used: 1, limited: 1"
    assert kubernetes.herald().submit(job) is Submission.ADOPTED


# what is refused for good, and what only cannot be asked


def test_a_quota_of_jobs_is_told_in_the_clusters_words(kubernetes, job):
    kubernetes.cluster.admits = "exceeded quota: jobs, requested: count/jobs.batch=1, used: 9, limited: 9"
    with pytest.raises(JobError, match=r"refuses the job: .* is forbidden: exceeded quota: jobs, requested"):
        kubernetes.herald().submit(job)


def test_a_namespace_that_is_not_there_is_told(kubernetes, job):
    with pytest.raises(JobError, match='namespaces "nowhere" not found'):
        kubernetes.herald(namespace="nowhere").submit(job)


def test_a_missing_right_is_told(kubernetes, job):
    kubernetes.cluster.rights = EVERYTHING - {"create jobs"}
    with pytest.raises(JobError, match='cannot create resource "jobs" in the namespace "research"'):
        kubernetes.herald().submit(job)


@pytest.mark.parametrize("right", ["get jobs", "list pods"])
def test_what_may_not_be_seen_is_not_lost(kubernetes, job, right):
    kubernetes.herald().submit(job)
    kubernetes.cluster.rights = EVERYTHING - {right}
    with pytest.raises(ExecutorAwayError, match=r"cannot .* in the namespace"):
        kubernetes.herald().look(job)


def test_a_token_that_is_refused_says_nothing_of_jobs_and_is_never_shown(kubernetes, job):
    executor = kubernetes.herald()
    executor.submit(job)
    kubernetes.cluster.token = "another"
    (job.folder / "submission").unlink()
    for ask in (executor.look, executor.submit, executor.stop):
        with pytest.raises(ExecutorAwayError, match="refuses who asks: Unauthorized") as caught:
            ask(job)
        assert TOKEN not in str(caught.value)
    kubernetes.cluster.token = TOKEN
    assert executor.submit(job) is Submission.ADOPTED
    assert kubernetes.cluster.created == [FIRE]


@pytest.mark.parametrize("answer", ["502", "404", "200"])
def test_what_is_no_kubernetes_is_not_believed(kubernetes, job, answer):
    executor = kubernetes.herald()
    executor.submit(job)
    kubernetes.cluster.faults.append(("GET /jobs", answer))
    with pytest.raises(ExecutorAwayError, match="is no Kubernetes"):
        executor.look(job)


def test_nobody_who_listens_is_away(kubernetes, job):
    with pytest.raises(ExecutorAwayError, match=r"cannot be reached: .*[Cc]onnection refused"):
        kubernetes.herald(url="http://127.0.0.1:9").submit(job)


def test_a_kubeconfig_that_is_not_there_is_told(kubernetes, job, tmp_path):
    from bot.executors.kubernetes.config import KubernetesSection
    from bot.executors.kubernetes.executor import KubernetesExecutor

    section = KubernetesSection(image="job:1", kubeconfig=str(tmp_path / "none.yaml"))
    with pytest.raises(ExecutorAwayError, match="cannot sign in to Kubernetes: "):
        KubernetesExecutor(section).look(job)


def test_a_kubeconfig_names_the_cluster_and_signs_in(kubernetes, job, tmp_path):
    from bot.executors.kubernetes.config import KubernetesSection
    from bot.executors.kubernetes.executor import KubernetesExecutor

    place = tmp_path / "kubeconfig.yaml"
    place.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "lab", "cluster": {"server": kubernetes.cluster.url}}],
                "users": [{"name": "herald", "user": {"token": TOKEN}}],
                "contexts": [{"name": "ours", "context": {"cluster": "lab", "user": "herald"}}],
            }
        )
    )
    section = KubernetesSection(image="job:1", kubeconfig=str(place), context="ours", namespace=NAMESPACE)
    assert KubernetesExecutor(section).submit(job) is Submission.STARTED


# queues


def test_a_job_that_waits_for_kueue_is_queued_for_as_long_as_it_takes(kubernetes, job):
    kubernetes.cluster.has_kueue, kubernetes.cluster.queues = True, frozenset({"nightly"})
    executor = kubernetes.herald(queue="nightly")
    executor.submit(job)
    kubernetes.cluster.hours_passed = 30
    status = executor.look(job)
    assert (status.state, status.said) == (JobState.QUEUED, "It waits for its queue.")


def test_a_queue_that_is_not_there_is_told_and_no_job_is_made(kubernetes, job):
    with pytest.raises(JobError, match="has no Kueue, whose queue 'nightly' config names"):
        kubernetes.herald(queue="nightly").submit(job)
    kubernetes.cluster.has_kueue = True
    with pytest.raises(JobError, match="has no queue 'nightly' in namespace research"):
        kubernetes.herald(queue="nightly").submit(job)
    assert kubernetes.cluster.created == []


# each way to come to nothing has its own sentence


@pytest.mark.parametrize(
    ("pod", "hours", "said"),
    [
        (
            waiting("ImagePullBackOff", 'Back-off pulling image "registry.example.com/job:1"'),
            0.1,
            "Its image cannot be had: registry.example.com/job:1 (ImagePullBackOff): Back-off pulling image",
        ),
        (waiting("InvalidImageName", "couldn't parse image name"), 0, "Its image cannot be had: .*InvalidImageName"),
        (
            waiting("CreateContainerConfigError", 'secret "mlflow" not found'),
            0.1,
            'Its container cannot be made (CreateContainerConfigError): secret "mlflow" not found.',
        ),
        (
            UNSCHEDULABLE,
            2,
            "It did not start within 1:00:00 (start_within). No node has room for it: 0/4 nodes are available: 4 Insuffi",
        ),
    ],
)
def test_a_job_that_cannot_start_waits_for_a_while_and_is_then_given_up(kubernetes, job, pod, hours, said):
    kubernetes.cluster.pod_status = pod
    executor = kubernetes.herald()
    executor.submit(job)
    if hours:
        first = executor.look(job)
        assert first.state is JobState.QUEUED
        assert first.said
    kubernetes.cluster.hours_passed = hours
    status = executor.look(job)
    assert (status.state, status.exit_code) == (JobState.ENDED, None)
    assert said.split(".*")[0] in status.said
    assert FIRE not in kubernetes.cluster.jobs, "or it would start when nobody waits for it"


def test_a_pod_that_a_quota_keeps_out_is_told_in_its_words(kubernetes, job):
    kubernetes.cluster.refused_pods = "exceeded quota: team, requested: requests.cpu=64, used: 0, limited: 32"
    executor = kubernetes.herald()
    executor.submit(job)
    assert "Its pod is not let in: Error creating: " in executor.look(job).said
    kubernetes.cluster.hours_passed = 2
    status = executor.look(job)
    assert status.state is JobState.ENDED
    assert "exceeded quota: team, requested: requests.cpu=64" in status.said


def test_a_job_that_took_too_much_memory_says_so_with_its_code(kubernetes, job):
    executor = kubernetes.herald(memory="4 GB")
    executor.submit(job)
    kubernetes.cluster.end_with(FIRE, ended_pod("Failed", 137, "OOMKilled"))
    status = executor.look(job)
    assert (status.state, status.exit_code) == (JobState.ENDED, 137)
    assert status.said == "Kubernetes ended it: it took more memory than it may (4000000000 bytes) (OOMKilled)."


def test_a_command_that_the_image_does_not_have_is_told(kubernetes, job):
    executor = kubernetes.herald()
    executor.submit(job)
    why = 'exec: "trani": executable file not found in $PATH'
    kubernetes.cluster.end_with(FIRE, ended_pod("Failed", 127, "ContainerCannotRun", why))
    status = executor.look(job)
    assert (status.state, status.exit_code) == (JobState.ENDED, 127)
    assert status.said == f"Kubernetes could not start its command: {why}."


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            "Its pod was evicted from its node: The node was low on resource: memory.",
        ),
        (
            {
                "phase": "Failed",
                "conditions": [
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "PreemptionByScheduler",
                        "message": "default-scheduler: preempting to accommodate a higher priority pod",
                    }
                ],
            },
            "Kubernetes took its pod away (PreemptionByScheduler): default-scheduler: preempting",
        ),
        (
            {"phase": "Failed", "reason": "Terminated", "message": "Pod was terminated in response to node shutdown."},
            "Its node took its pod away (Terminated): Pod was terminated",
        ),
    ],
)
def test_what_the_cluster_took_away_is_lost_and_not_failed(kubernetes, job, status, said):
    executor = kubernetes.herald()
    executor.submit(job)
    kubernetes.cluster.end_with(FIRE, status)
    seen = executor.look(job)
    assert seen.state is JobState.LOST
    assert said in seen.said


def test_a_failure_that_no_pod_tells_of_is_lost(kubernetes, job):
    executor = kubernetes.herald()
    executor.submit(job)
    kubernetes.cluster.end_with(FIRE, {"phase": "Failed"})
    kubernetes.cluster.containers.clear()
    assert executor.look(job).state is JobState.LOST


def test_a_log_whose_node_began_a_new_file_is_read_from_its_beginning(kubernetes, job):
    executor = kubernetes.herald()
    executor.submit(job)
    kubernetes.cluster.containers[FIRE].log.write_bytes(b"after the turn\n")
    assert executor.log(job, 1000).data == b"after the turn\n"


def test_a_job_that_may_not_be_ended_is_said_to_live_on(kubernetes, job):
    executor = kubernetes.herald()
    executor.submit(job)
    kubernetes.cluster.rights = EVERYTHING - {"delete jobs"}
    with pytest.raises(JobError, match=r"lives on: .* does not let it be ended"):
        executor.stop(job)


# what the doctor says


def said_of(kubernetes, wants: ExecutorWants = ExecutorWants(), **changes) -> list[str]:
    checks = check_kubernetes(kubernetes.section(**changes), wants)
    return [f"{'ok' if each.ok else 'WRONG'} {each.name}: {each.said}" for each in checks]


WANTS = ExecutorWants({"search": JobWants(("train",), cpus=8)})


def test_the_doctor_is_content_with_a_cluster_that_takes_the_jobs(kubernetes):
    assert said_of(kubernetes, WANTS) == [
        f"ok answers: Kubernetes at {kubernetes.cluster.url}, namespace research",
        "ok rights: jobs can be made, seen and ended, and their logs read",
        "ok job of search: would be taken",
    ]
    assert kubernetes.cluster.jobs == {}, "it only tries"


def test_the_doctor_names_each_right_that_is_missing(kubernetes):
    kubernetes.cluster.rights = EVERYTHING - {"delete jobs", "get pods/log", "list events"}
    said = said_of(kubernetes)
    assert "WRONG rights: Herald may not delete jobs in namespace research" in said
    assert "WRONG rights: Herald may not get pods/log in namespace research" in said
    assert any(each.startswith("ok rights: Herald may not list events") for each in said)


def test_the_doctor_says_that_a_cluster_is_away_or_refuses_the_token(kubernetes):
    (away,) = said_of(kubernetes, url="http://127.0.0.1:9")
    assert away.startswith("WRONG answers: Kubernetes at http://127.0.0.1:9 cannot be reached")
    kubernetes.cluster.token = "another"
    (refused,) = said_of(kubernetes)
    assert "refuses who asks: Unauthorized" in refused
    assert TOKEN not in refused


def test_the_doctor_names_a_queue_and_a_namespace_that_are_not_there(kubernetes):
    assert any("has no Kueue" in each for each in said_of(kubernetes, queue="nightly"))
    said = (
        "WRONG namespace: Herald may do nothing in namespace nowhere: it is not there, or its account has no role in it"
    )
    assert said in said_of(kubernetes, namespace="nowhere")


def test_the_doctor_says_what_no_quota_and_no_node_could_ever_give(kubernetes):
    kubernetes.cluster.quotas = [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "team"},
            "spec": {"hard": {"requests.cpu": "4", "pods": "10"}},
        }
    ]
    (said,) = [each for each in said_of(kubernetes, WANTS) if "job of" in each]
    assert said.startswith("WRONG job of search: asks for 8 cpu, and the quota 'team' of namespace research gives 4")
    kubernetes.cluster.quotas = []
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"pool": "cpu"}},
        "status": {"allocatable": {"cpu": "7910m", "memory": "32Gi"}},
    }
    kubernetes.cluster.nodes = [node]
    (said,) = [each for each in said_of(kubernetes, WANTS) if "job of" in each]
    assert said == "WRONG job of search: asks for 8 cpu, and no node has more than 7.910"
    (said,) = [each for each in said_of(kubernetes, WANTS, node_selector={"pool": "gpu"}) if "job of" in each]
    assert said == "WRONG job of search: no node bears {'pool': 'gpu'}, which node_selector names"


def test_the_doctor_tells_what_admission_says_of_a_job(kubernetes):
    kubernetes.cluster.admits = "exceeded quota: jobs, requested: count/jobs.batch=1, used: 9, limited: 9"
    assert any("WRONG job of search: would be refused: " in each for each in said_of(kubernetes, WANTS))


def test_the_role_that_the_page_shows_gives_what_herald_needs_and_little_more(kubernetes, job):
    page = (Path(__file__).parents[2] / "docs/executors.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    role = yaml.safe_load(shown)
    schemas.check(role)
    given = {f"{verb} {kind}" for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    assert given <= EVERYTHING
    kubernetes.cluster.rights = frozenset(given)
    assert all(each.startswith("ok") for each in said_of(kubernetes, WANTS))
    kubernetes.herald().submit(job)
    kubernetes.herald().look(job)
    kubernetes.herald().stop(job)


def test_without_its_client_a_cluster_cannot_be_asked_and_why_is_said(kubernetes, job, monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes.client.exceptions", None)
    with pytest.raises(ExecutorAwayError, match=r"cannot be asked without its client .*: install Herald's extra"):
        kubernetes.herald().look(job)


def test_the_doctor_looks_at_a_cluster_and_at_where_its_jobs_would_log(kubernetes, tmp_path, monkeypatch):
    monkeypatch.setenv("HERALD_EXECUTOR__LAB__TOKEN", TOKEN)
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        mlflow = {{ tracking_uri = "sqlite:///runs.db" }}
        [executor.lab]
        kind = "kubernetes"
        url = "{kubernetes.cluster.url}"
        namespace = "{NAMESPACE}"
        image = "job:1"
        [pipeline.search]
        experiment = "search"
        job = {{ command = ["train"], executor = "lab" }}
        [pipeline.search.metrics.ndcg]
        """
    )
    kubernetes.cluster.rights = EVERYTHING - {"delete jobs"}
    config = load_config(path)
    (examined,) = [each for each in examine(config, tmp_path, wall_clock) if each.place == "executor.lab"]
    said = {each.name: each.said for each in examined.checks if not each.ok}
    assert "which is on this machine alone" in said["mlflow"]
    assert said["rights"] == "Herald may not delete jobs in namespace research"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('imge = "a"', "executor.lab.imge: is not a key of the configuration; did you mean 'image'?"),
        ('mounts = [{ path = "/a", clam = "x" }]', "executor.lab.mounts.0.clam: .* did you mean 'claim'"),
        ('mounts = [{ path = "/a" }]', "executor.lab.mounts.0: should have exactly one of claim = "),
        ('secrets = { A = "x" }', "executor.lab.secrets.A: 'x' should be SECRET/KEY"),
        ('namespace = "A_b"', "executor.lab.namespace: 'A_b' should have small letters, digits and - inside alone"),
        ('look_every = "0s"', "executor.lab.look_every: '0s' should be at least 1s"),
        ('look_every = "1h"', "executor.lab.look_every: '1h' should be at most 5m"),
        ('keep = "1m"', "executor.lab: keep should be at least 1h"),
        ('url = "https://a"\ncontext = "b"', "executor.lab: should have either url, or kubeconfig and context"),
        ('workdir = "srv"', "executor.lab: workdir: 'srv' should begin with /"),
        ('token = "sesame"', "executor.lab.token: a secret does not belong in this file"),
    ],
)
def test_what_config_cannot_say_of_a_cluster_is_refused_in_a_sentence(tmp_path, line, said):
    path = tmp_path / "config.toml"
    path.write_text(f'[executor.lab]\nkind = "kubernetes"\nimage = "job:1"\n{line}\n')
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    assert "sesame" not in str(caught.value)


# what is there no more, and what has another shape


def test_a_job_whose_object_is_gone_before_a_restart_is_not_started_again(kubernetes, job):
    kubernetes.herald().submit(job)
    kubernetes.lose(FIRE)
    assert kubernetes.herald().submit(job) is Submission.ADOPTED
    assert kubernetes.herald().look(job).state is JobState.LOST
    assert kubernetes.cluster.created == [FIRE]


def test_a_job_that_was_sent_long_ago_is_not_sent_again(kubernetes, job):
    write_note(job.folder, SubmissionNote(SubmissionStep.SENT, at=time.time() - 7200))
    assert kubernetes.herald().submit(job) is Submission.ADOPTED
    assert kubernetes.cluster.created == []


def test_a_job_that_is_there_and_is_not_shown_is_asked_for_again(kubernetes, job):
    executor = kubernetes.herald()
    answers = kubernetes.cluster.answer

    def stale(method, path, query, body):
        code, said = answers(method, path, query, body)
        return (404, not_found(FIRE)) if method == "GET" and path.endswith(FIRE) else (code, said)

    executor.submit(job)
    (job.folder / "submission").unlink()
    kubernetes.cluster.answer = stale
    with pytest.raises(ExecutorAwayError, match="has the job and does not show it"):
        executor.submit(job)
    kubernetes.cluster.answer = answers
    assert executor.submit(job) is Submission.ADOPTED


@pytest.mark.parametrize(
    "status",
    [
        {"active": 1},
        {"ready": 1},
        {"succeeded": 1},
        {"failed": 1},
        {"uncountedTerminatedPods": {"succeeded": ["a-pod"]}},
        {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]},
        {"conditions": [{"type": "FailureTarget", "status": "True"}]},
    ],
)
def test_a_job_that_ran_and_shows_no_pod_is_not_taken_for_one_that_never_started(kubernetes, job, status):
    kubernetes.cluster.pod_status = {"phase": "Running"}
    executor = kubernetes.herald()
    executor.submit(job)
    del kubernetes.cluster.containers[FIRE]
    kubernetes.cluster.jobs[FIRE]["status"] |= status
    kubernetes.cluster.hours_passed = 2
    assert executor.look(job).state is JobState.RUNNING
    assert FIRE in kubernetes.cluster.jobs


def test_a_job_that_was_seen_at_work_is_not_taken_for_one_that_never_started(kubernetes, job):
    kubernetes.cluster.pod_status = {"phase": "Running"}
    executor = kubernetes.herald()
    executor.submit(job)
    executor.look(job)
    del kubernetes.cluster.containers[FIRE]
    kubernetes.cluster.hours_passed = 2
    assert kubernetes.herald().look(job).said == "Kubernetes shows no pod of it, though it had one"
    assert FIRE in kubernetes.cluster.jobs


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("/pods", {"kind": "SecretList", "items": []}),
        (FIRE, {"kind": "Job", "metadata": "x"}),
        (FIRE, {"kind": "Job", "status": "odd", "spec": {}}),
        (FIRE, {"kind": "Job", "status": {"conditions": "odd"}}),
        (FIRE, {"kind": "Status", "details": "odd"}),
    ],
)
def test_what_has_not_the_shape_of_kubernetes_is_not_believed(kubernetes, job, where, body):
    kubernetes.cluster.pod_status = {"phase": "Running"}
    executor = kubernetes.herald()
    executor.submit(job)
    known = kubernetes.cluster.jobs[FIRE]["metadata"]
    body = {"metadata": known, **body}
    answers = kubernetes.cluster.answer
    kubernetes.cluster.answer = lambda method, path, query, sent: (
        (200, json.dumps(body)) if path.endswith(where) else answers(method, path, query, sent)
    )
    with pytest.raises(ExecutorAwayError):
        executor.look(job)


def test_what_is_null_is_as_if_it_were_not_there(kubernetes, job):
    kubernetes.cluster.pod_status = {"phase": "Running"}
    executor = kubernetes.herald()
    executor.submit(job)
    body = kubernetes.cluster.jobs[FIRE] | {"status": None, "spec": None}
    answers = kubernetes.cluster.answer
    kubernetes.cluster.answer = lambda method, path, query, sent: (
        (200, json.dumps(body)) if path.endswith(FIRE) else answers(method, path, query, sent)
    )
    assert executor.look(job).state is JobState.RUNNING


def test_a_token_of_a_kubeconfig_that_cannot_be_sent_is_not_shown(kubernetes, job, tmp_path):
    from bot.executors.kubernetes.config import KubernetesSection
    from bot.executors.kubernetes.executor import KubernetesExecutor

    place = tmp_path / "kubeconfig.yaml"
    known = {
        "clusters": [{"name": "lab", "cluster": {"server": kubernetes.cluster.url}}],
        "users": [{"name": "herald", "user": {"token": "s3cret\r\nanother"}}],
        "contexts": [{"name": "ours", "context": {"cluster": "lab", "user": "herald"}}],
    }
    place.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **known}))
    executor = KubernetesExecutor(KubernetesSection(image="job:1", kubeconfig=str(place), context="ours"))
    with pytest.raises(ExecutorAwayError, match="check its token") as caught:
        executor.look(job)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://api.example.com/?a=b"},
        {"tracking_uri": "mlflow.example.com:5000"},
        {"labels": {"a b": "c"}},
        {"mounts": [{"path": "/data", "claim": "a"}, {"path": "/data/", "claim": "b"}]},
        {"gpu_resource": ""},
        {"start_within": "0s"},
        {"secrets": {"HERALD_SEED": "other/seed"}},
    ],
)
def test_what_no_cluster_would_take_is_refused_in_config(kubernetes, changes):
    with pytest.raises(ValueError, match=r"should|is the path of two|is Herald's to set|greater"):
        kubernetes.section(**changes)


@pytest.mark.parametrize("text", [b"[]", b"\xff\x00", b"clusters: [a]", b"users: 3\ncurrent-context: x"])
def test_a_kubeconfig_that_is_none_is_told_in_a_sentence(job, tmp_path, text):
    from bot.executors.kubernetes.config import KubernetesSection
    from bot.executors.kubernetes.executor import KubernetesExecutor

    place = tmp_path / "kubeconfig.yaml"
    place.write_bytes(text)
    with pytest.raises(ExecutorAwayError, match="cannot sign in to Kubernetes"):
        KubernetesExecutor(KubernetesSection(image="job:1", kubeconfig=str(place))).look(job)


def test_a_certificate_authority_that_is_not_there_is_told(kubernetes, job):
    with pytest.raises(ExecutorAwayError, match=r"/nowhere.pem: No such file or directory: check ca_file"):
        kubernetes.herald(ca_file="/nowhere.pem").look(job)


def test_a_cluster_that_says_in_plain_text_that_it_is_busy_is_told_so(kubernetes, job):
    kubernetes.cluster.faults.append(("GET /jobs", "429"))
    with pytest.raises(ExecutorAwayError, match=r"is busy \(HTTP 429\)"):
        kubernetes.herald().look(job)

"""Jobs on a cluster, as a pipeline's cycle goes through them: waited for with patience, never started twice, told of."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.cli.output.status import print_status
from bot.config.models import Config
from bot.domain.fires import FireState, Standing
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.recipes import Recipe
from bot.domain.rerun_troubles import TroubleKind
from bot.domain.runs import RunStatus
from bot.errors import ExecutorAwayError, JobError
from bot.judging.obstacles import not_on_a_cluster
from bot.ports import Job, JobState, JobStatus, LogPart, Submission
from bot.reports.jobs_at_work import JobStage
from bot.reports.overview import overview
from bot.store import fires
from tests.executors.kinds import KubernetesHarness
from tests.executors.kubernetes_cluster import NAMESPACE, TOKEN
from tests.memory_runs import MemoryExecutor
from tests.unit.cycle_bench import EAGER, ENDED, JOB, Bench

LAB = {"kind": "kubernetes", "image": "registry.example.com/job:1", "tracking_uri": "http://mlflow.lab:5000"}
ON_LAB = {"job": {**JOB["job"], "executor": "lab"}}
RUNNING = JobStatus(JobState.RUNNING)
QUEUED = JobStatus(JobState.QUEUED, said="No node has room for it: 0/4 nodes are available.")


class FarExecutor(MemoryExecutor):
    """A cluster in memory: it may be away for so many questions, and its logs are its own."""

    def __init__(self, carry_out) -> None:
        super().__init__(carry_out)
        self.away = 0  # questions that it will not hear
        self.asked = 0
        self.refusal = ""
        self.written = b""

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            self.away -= 1
            raise ExecutorAwayError("Kubernetes cannot be reached: connection refused")

    def submit(self, job: Job) -> Submission:
        self._ask()
        if self.refusal:
            raise JobError(self.refusal, said=self.refusal)
        return super().submit(job)

    def look(self, job: Job) -> JobStatus:
        self._ask()
        return super().look(job)

    def stop(self, job: Job) -> None:
        self._ask()
        super().stop(job)

    def log(self, job: Job, offset: int) -> LogPart:
        del job
        self._ask()
        return LogPart(self.written[offset : offset + 5], min(offset + 5, len(self.written)))


@pytest.fixture
def bench(tmp_path, sqlite_url) -> Iterator[Bench]:
    made = Bench(tmp_path, sqlite_url, {**EAGER, **ON_LAB}, executors={"lab": LAB, "other": LAB})
    made.executor = FarExecutor(made.carry_out)
    made.herald = on(made)
    yield made
    made.herald.close()


def on(bench: Bench, **changes):
    return replace(bench.make(**changes), executor_of=lambda _: bench.executor)


def waiting_fire(bench: Bench):
    with bench.database.begin() as tx:
        (found,) = fires.unfinished(tx, "search")
    return found


def all_fires(bench: Bench):
    with bench.database.begin() as tx:
        return fires.of_pipeline(tx, "search")


def goes_on_for(bench: Bench, looks: int, first: JobStatus) -> None:
    """Let the next job stand like this for so many looks, and then train."""
    left = iter(range(looks))

    def look(job: Job) -> JobStatus:
        bench.executor._ask()
        if next(left, None) is not None:
            return first
        if bench.executor.statuses[job.fire_id] is not ENDED:
            bench.executor.statuses[job.fire_id] = bench.carry_out(job)
        return ENDED

    bench.executor._carry_out = lambda _: first
    bench.executor.look = look


def test_a_cluster_that_is_away_when_a_job_is_submitted_is_asked_until_it_answers(bench):
    bench.executor.away, bench.values = 5, [0.80]
    (judged,) = bench.run(deliver=False).judged
    assert judged.run.run_id == "job1"
    assert len(bench.executor.started) == 1


def test_a_cluster_that_is_away_for_hours_is_waited_for_and_left_in_peace(bench):
    goes_on_for(bench, 3, RUNNING)
    bench.values = [0.80]
    begun = bench.now
    steps = []

    def go_away(step: str) -> None:
        steps.append(step)
        if step == "job.started":
            bench.executor.away, bench.executor.asked = 120, 0

    bench.steps = go_away
    bench.run(deliver=False)
    assert bench.now - begun > timedelta(minutes=100)
    assert bench.executor.asked < 140, "once a minute is enough"
    assert [fire.state for fire in all_fires(bench)] == [FireState.ENDED]
    assert len(bench.executor.started) == 1


def test_an_end_is_asked_for_in_vain_without_waiting_for_the_cluster(bench):
    bench.executor.away = 10**6
    stop_after = iter(range(40))

    def look(_: float) -> None:
        bench.now += timedelta(seconds=0.2)
        bench.stopping = next(stop_after, None) is None

    herald = replace(bench.herald, around=replace(bench.herald.around, pause=look))
    herald.cycle("search").run(bench.now)
    fire = waiting_fire(bench)
    assert (fire.standing.standing, fire.executor) == (Standing.AWAY, "lab")
    assert "connection refused" in fire.standing.said
    bench.stopping, bench.executor.away, bench.values = False, 0, [0.80]
    bench.run(fire.due_at, deliver=False)
    assert [each.state for each in all_fires(bench)] == [FireState.ENDED]


def test_how_a_job_stands_on_its_cluster_is_shown(bench, capsys):
    seen = []

    def look(_: float) -> None:
        bench.now += timedelta(seconds=2)
        seen.append(overview(bench.herald).jobs)

    goes_on_for(bench, 3, QUEUED)
    bench.values = [0.80]
    herald = replace(bench.herald, around=replace(bench.herald.around, pause=look))
    herald.cycle("search").run(bench.now)
    ((job,), *_) = seen
    assert (job.stage, job.said) == (JobStage.QUEUED, QUEUED.said)
    print_status(replace(overview(bench.herald), jobs=(job,)), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "job of search on lab: waits there since" in said
    assert "No node has room for it: 0/4 nodes are available." in said
    assert f"(Kubernetes of the usual kubeconfig, or around Herald, namespace default {job.fire.fire_id}-test)" in said
    assert overview(bench.herald).jobs == (), "it is over"


def test_a_refusal_stands_in_the_ticket_in_the_clusters_words(bench):
    bench.executor.refusal = 'Kubernetes refuses the job: namespaces "research" not found'
    bench.run()
    assert 'namespaces "research" not found' in bench.ticket.draft.body
    assert [fire.state for fire in all_fires(bench)] == [FireState.FAILED]


def test_why_the_cluster_ended_a_job_and_the_end_of_its_log_stand_in_the_ticket(bench):
    bench.executor.written = b"epoch 1\nepoch 2 of 3\n"
    said = "Kubernetes ended it: it took more memory than it may (4000000000 bytes) (OOMKilled)."
    bench.executor._carry_out = lambda _: JobStatus(JobState.ENDED, 137, said=said)
    bench.run()
    assert "it took more memory than it may" in bench.ticket.draft.body
    assert "epoch 2 of 3" in bench.ticket.draft.body


def test_what_a_cluster_says_of_a_job_is_believed_after_its_run(bench):
    def carry_out(job: Job) -> JobStatus:
        bench.log(0.80, "job1", tags={FIRE_TAG: job.fire_id})
        return JobStatus(JobState.LOST, said="Kubernetes knows no job of this name (any more).")

    bench.executor._carry_out = carry_out
    (judged,) = bench.run(deliver=False).judged
    assert judged.run.run_id == "job1"
    assert [fire.state for fire in all_fires(bench)] == [FireState.ENDED]


def test_what_is_lost_is_tried_again_under_another_name_and_then_told_why(bench):
    bench.herald = on(bench, job={**ON_LAB["job"], "retry": 1})
    said = "Its pod was evicted from its node: The node was low on resource: memory."
    bench.executor._carry_out = lambda _: JobStatus(JobState.LOST, said=said)
    bench.run()
    assert len({job.fire_id for job in bench.executor.started}) == 2
    assert "evicted from its node" in bench.ticket.draft.body


def test_a_job_stays_with_the_cluster_that_it_was_submitted_to(bench):
    asked = []
    bench.executor._carry_out = lambda _: RUNNING
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.started")
    bench.run(deliver=False)
    bench.steps, bench.stopping = lambda _: None, False
    fire = waiting_fire(bench)
    other = bench.make(job={**JOB["job"], "executor": "other"})

    def executor_of(name: str):
        asked.append(name)
        return bench.executor

    bench.log(0.80, "job1", tags={FIRE_TAG: fire.fire_id})
    bench.executor.statuses[fire.fire_id] = ENDED
    replace(other, executor_of=executor_of).cycle("search").resume()
    assert set(asked) == {"lab"}
    assert len(bench.executor.started) == 1


def test_a_cluster_that_left_the_configuration_is_waited_for(bench):
    bench.executor._carry_out = lambda _: RUNNING
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.started")
    bench.run(deliver=False)
    bench.steps, bench.stopping = lambda _: None, False
    bench.executors = {"other": LAB}
    without = on(bench, job={**JOB["job"], "executor": "other"})
    now = bench.now
    assert without.cycle("search").resume().elsewhere, "so that it holds no place of jobs_at_once meanwhile"
    assert bench.now == now
    fire = waiting_fire(bench)
    assert fire.standing.said == "config has no [executor.lab] any more, where its job was submitted: put it back"
    assert len(bench.executor.started) == 1


def test_a_job_that_cannot_be_ended_since_the_cluster_is_away_is_not_recorded_as_stopped(bench):
    bench.executor._carry_out = lambda _: RUNNING
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.started")
    bench.run(deliver=False)
    bench.executor.away = 1
    assert not bench.herald.cycle("search").stop_job()
    assert waiting_fire(bench).state is FireState.DUE
    assert bench.herald.cycle("search").stop_job()
    assert [fire.state for fire in all_fires(bench)] == [FireState.STOPPED]


def test_a_job_on_a_cluster_has_the_address_of_mlflow_that_it_reaches_and_its_own_folder(bench):
    bench.values = [0.80]
    bench.run(deliver=False)
    (job,) = bench.executor.started
    assert job.environment["MLFLOW_TRACKING_URI"] == "http://mlflow.lab:5000"
    assert str(job.cwd) == "."
    assert job.owner == "test/search"


def test_a_user_and_password_in_mlflows_address_stay_on_heralds_machine():
    config = Config.model_validate(
        {
            "mlflow": {"tracking_uri": "https://herald:sesame@mlflow.example.com/a"},
            "executor": {"lab": {key: LAB[key] for key in ("kind", "image")}},
        }
    )
    assert config.tracking_uri_for(config.executor["lab"]) == "https://mlflow.example.com/a"
    assert "sesame" in config.tracking_uri_for(config.executor_section("local"))


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (Recipe(commit="c0ffee"), TroubleKind.NO_COMMIT),
        (Recipe(lock="uv.lock"), TroubleKind.NOT_INSTALLED),
        (Recipe(arguments=("--data=old",)), None),
    ],
)
def test_what_is_made_in_heralds_own_folders_cannot_be_set_on_a_cluster(recipe, kind):
    trouble = not_on_a_cluster(recipe)
    assert (None if trouble is None else trouble.kind) is kind
    assert trouble is None or "job.executor is a cluster" in trouble.said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"executor": {"lab": LAB}, "job": {"command": ["x"], "executor": "lba"}},
            "pipeline.search.job.executor: 'lba' is not one of ['lab', 'local']: did you mean 'lab'?",
        ),
        (
            {"executor": {}, "job": {"command": ["x"], "gpus": 1}},
            "pipeline.search.job.gpus: Herald's own machine hands out no GPUs; a cluster does",
        ),
        ({"executor": {"local": LAB}}, "executor.local: is Herald's own machine: name a cluster otherwise"),
    ],
)
def test_an_executor_that_cannot_be_is_refused_with_what_would_be_right(changes, said):
    section = {"experiment": "search", "metrics": {"ndcg": {}}, **({"job": changes["job"]} if "job" in changes else {})}
    with pytest.raises(ValueError, match=r"search|executor") as caught:
        Config.model_validate({"executor": changes["executor"], "pipeline": {"search": section}})
    assert said in str(caught.value)


def test_a_run_that_was_left_running_is_ended_once_its_job_is_lost(bench):
    def carry_out(job: Job) -> JobStatus:
        bench.log(None, "job1", tags={FIRE_TAG: job.fire_id}, status=RunStatus.RUNNING)
        return JobStatus(JobState.LOST)

    bench.executor._carry_out = carry_out
    bench.run(deliver=False)
    assert [run.status for run in bench.store._runs("search")] == [RunStatus.KILLED]


@pytest.fixture
def kubernetes(tmp_path):
    harness = KubernetesHarness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def on_kubernetes(bench, kubernetes, tmp_path, monkeypatch):
    """Return what lets the pipeline's next job run a line of shell as a cluster's pod does."""
    monkeypatch.setenv("HERALD_EXECUTOR__LAB__TOKEN", TOKEN)
    section = {"kind": "kubernetes", "url": kubernetes.cluster.url, "token": TOKEN, "namespace": NAMESPACE}
    bench.executors = {"lab": {**section, "image": "job:1", "workdir": str(tmp_path)}}

    def begin(line: str):
        job = {"command": ["/bin/sh", "-c", line], "executor": "lab", "retry": 0}
        herald = bench.make(job=job)

        def pause(seconds: float) -> None:
            bench.pause(seconds)
            time.sleep(0.001)

        return replace(herald, around=replace(herald.around, pause=pause))

    return begin


def test_a_job_that_fails_on_a_cluster_has_a_ticket_with_the_end_of_its_log(bench, kubernetes, on_kubernetes):
    herald = on_kubernetes("seq 1 30; echo no such table: clicks; exit 3")
    herald.cycle("search").run(bench.now)
    assert herald.dispatcher.drain().failures == []
    assert "no such table: clicks" in bench.ticket.draft.body
    assert [(fire.state, fire.exit_code, fire.executor) for fire in all_fires(bench)] == [(FireState.FAILED, 3, "lab")]
    assert len(kubernetes.cluster.created) == 1


def test_the_next_herald_goes_on_with_a_job_that_lives_on_a_cluster(bench, kubernetes, on_kubernetes, tmp_path):
    line = f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; exit 4"
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.started")
    on_kubernetes(line).cycle("search").run(bench.now)
    assert waiting_fire(bench).started_at is not None
    bench.steps, bench.stopping = lambda _: None, False
    (tmp_path / "go").touch()
    on_kubernetes(line).cycle("search").resume()
    assert [(fire.state, fire.exit_code) for fire in all_fires(bench)] == [(FireState.FAILED, 4)]
    assert len(kubernetes.cluster.created) == 1


def test_the_token_of_a_cluster_is_in_no_log_and_no_ticket(bench, kubernetes, on_kubernetes, capsys):
    kubernetes.cluster.token = "another"
    herald = on_kubernetes("true")
    left = iter(range(30))
    herald = replace(
        herald, around=replace(herald.around, pause=lambda _: setattr(bench, "stopping", next(left, None) is None))
    )
    herald.cycle("search").run(bench.now)
    fire = waiting_fire(bench)
    assert "refuses who asks: Unauthorized" in fire.standing.said
    out = capsys.readouterr()
    assert TOKEN not in out.out + out.err + str(fire)


@pytest.fixture
def submitted(bench):
    """Let a Herald submit a job and end, while the job goes on; return its fire."""
    bench.executor._carry_out = lambda _: RUNNING
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.started")
    bench.run(deliver=False)
    bench.steps, bench.stopping = lambda _: None, False
    bench.executor._carry_out, bench.values = bench.carry_out, [0.80]
    return waiting_fire(bench)


OTHER_CLUSTERS = [
    {**LAB, "namespace": "another"},
    {**LAB, "url": "https://another.example.com"},
    {"kind": "ray", "url": "http://another.example.com:8265"},
    {"kind": "slurm", "ssh": "another.example.com"},
    {"kind": "local"},
]


@pytest.mark.parametrize("section", OTHER_CLUSTERS)
def test_a_job_is_never_submitted_to_another_cluster_that_config_calls_the_same(bench, submitted, section):
    bench.executors["lab"] = section
    bench.executor.statuses.clear()  # the other one knows nothing of it
    report = on(bench).cycle("search").resume()
    assert report.elsewhere
    assert "config does not name any more for its executor" in waiting_fire(bench).standing.said
    assert [job.fire_id for job in bench.executor.started] == [submitted.fire_id]
    bench.now += timedelta(days=2)
    on(bench).cycle("search").resume()
    assert [fire.state for fire in all_fires(bench)] == [FireState.LOST]


def test_a_run_that_a_job_finished_on_another_cluster_is_believed(bench, submitted):
    bench.executors["lab"] = OTHER_CLUSTERS[0]
    bench.log(0.80, "job1", tags={FIRE_TAG: submitted.fire_id})
    (judged,) = on(bench).cycle("search").resume().judged
    assert judged.run.run_id == "job1"
    assert len(bench.executor.started) == 1


def test_a_job_that_a_cluster_has_had_is_only_looked_at_even_by_a_herald_without_its_folder(bench, submitted, tmp_path):
    assert submitted.place.is_submitted
    bench.executor.statuses.clear()  # it is gone there
    elsewhere = replace(on(bench), folder=tmp_path / "b")
    elsewhere.cycle("search").resume()
    assert [job.fire_id for job in bench.executor.started] == [submitted.fire_id]
    assert [fire.state for fire in all_fires(bench)] == [FireState.LOST]

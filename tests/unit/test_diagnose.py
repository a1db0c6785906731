"""`herald diagnose`: reruns with parts of a job set as they were, until it is known which change made an incident."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.cli.output.diagnose import print_inquiry
from bot.domain.diagnosis.hypotheses import Alone, Luck, Outside, Together
from bot.domain.diagnosis.inquiry import InquiryState, recipe_of
from bot.domain.incidents import IncidentState
from bot.domain.job_protocol import COMMIT_TAG, FIRE_TAG
from bot.errors import DiagnosisError, JobError
from bot.executors.checkouts import check_out
from bot.judging.diagnosing import Diagnoser
from bot.ports import Job, JobStatus
from bot.store import fires, incidents, inquiries
from bot.store.inquiries import InquiryRecord
from bot.store.retention import forget
from tests.unit.cycle_bench import EAGER, ENDED, JOB, Bench

DIAGNOSE = {
    "diagnose": {
        "reruns": 9,
        "data": {"arguments": ["--data={tags.data_folder}"]},
        "params": {"arguments": ["--set={name}={value}"]},
    }
}
OLD = {"params": {"lr": "1", "batch": "8"}, "tags": {"herald.data_hash": "d1", "data_folder": "old", COMMIT_TAG: "c1"}}
NEW = {"params": {"lr": "2", "batch": "16"}, "tags": {"herald.data_hash": "d2", "data_folder": "new", COMMIT_TAG: "c2"}}
GOOD = (0.801, 0.797, 0.803, 0.799, 0.802, 0.798, 0.800, 0.801, 0.799, 0.802)
NOISE = (0.001, -0.002, 0.002, 0.0, -0.001, 0.001, -0.001, 0.002)


class Lab(Bench):
    """A pipeline that fell, and whose job falls again with what is guilty."""

    guilty: frozenset[str] = frozenset({"--data=new"})
    breaks: frozenset[int] = frozenset()  # the jobs that fail

    def fall(self) -> None:
        for value in GOOD:
            self.log(value, **OLD)
        self.look()
        for value in (0.752, 0.748):
            self.log(value, **NEW)
            self.look()
        self.executor._carry_out = self.train

    def look(self) -> None:
        self.herald.cycle("search").resume()
        assert self.herald.dispatcher.drain().failures == []

    def train(self, job: Job) -> JobStatus:
        self.jobs.append(job)
        place = len(self.jobs)
        if place in self.breaks:
            return replace(ENDED, exit_code=3)
        is_bad = self.guilty <= {*job.command}
        value = (0.75 if is_bad else 0.80) + NOISE[place % len(NOISE)]
        self.log(value, f"job{place}", tags={FIRE_TAG: job.fire_id})
        return ENDED

    @property
    def diagnoser(self) -> Diagnoser:
        return Diagnoser(self.herald.answering.desk("search").context)

    def begin(self) -> InquiryRecord:
        (incident,) = self.incidents()
        with self.database.begin() as tx:
            return self.diagnoser.begin(tx, incident)

    def diagnose(self) -> InquiryRecord:
        asked = self.begin().inquiry.inquiry_id
        self.herald.cycle("search").diagnose()
        assert self.herald.dispatcher.drain().failures == []
        return self.record(asked)

    def record(self, inquiry_id: str) -> InquiryRecord:
        with self.database.begin() as tx:
            found = inquiries.find(tx, inquiry_id)
        assert found is not None
        return found

    @property
    def said(self) -> list[str]:
        return [body.replace("\N{NO-BREAK SPACE}", " ") for _, body in self.ticket.comments]


@pytest.fixture
def make_lab(sqlite_url, tmp_path):
    made = []

    def make_lab(*parts: dict) -> Lab:
        pipeline = {key: value for part in (EAGER, JOB, DIAGNOSE, *parts) for key, value in part.items()}
        made.append(Lab(tmp_path, sqlite_url, pipeline))
        made[-1].fall()
        return made[-1]

    yield make_lab
    for lab in made:
        lab.database.close()


def test_the_guilty_change_among_three_is_named_on_the_ticket_once_with_every_rerun(make_lab):
    lab = make_lab()
    record = lab.diagnose()
    assert record.state is InquiryState.ANSWERED
    assert record.diagnosis is not None
    assert record.diagnosis.cause == Alone([str(each.component) for each in record.inquiry.swaps].index("data"))
    assert len(lab.jobs) <= 7
    (told,) = [said for said in lab.said if "Which change did it" in said]
    assert "Which change did it: the data (d1 → d2). That alone is enough to explain the drop of ndcg" in told
    assert "Herald could not set, and left out: the commit." in told
    assert "|| the data || batch || lr || ndcg ||" in told
    assert told.count("\n| as it ") == len(lab.jobs)
    assert lab.diagnose() == record, "asked again, it is said from what is known"
    assert len([said for said in lab.said if "Which change did it" in said]) == 1


def test_no_setting_is_run_twice_and_reruns_are_of_no_series_nor_an_incident(make_lab):
    lab = make_lab()
    lab.diagnose()
    settings = [
        tuple(word for word in job.command if "=" in word and "seed" not in word and "fire" not in word)
        for job in lab.jobs
    ]
    assert len(set(settings)) == len(settings)
    assert lab.herald.cycle("search").judge_only().judged == []
    (incident,) = lab.incidents()
    assert len(incident.bad_runs) == 2


def test_two_that_do_it_only_together_are_named_as_two(make_lab):
    lab = make_lab()
    lab.guilty = frozenset({"--data=new", "--set=lr=2"})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert isinstance(record.diagnosis.cause, Together)
    assert "only together" in lab.said[-1]


def test_what_no_setting_brings_back_is_outside_and_what_none_shows_is_luck(make_lab):
    lab = make_lab()
    lab.guilty = frozenset()
    outside = lab.diagnose()
    assert outside.diagnosis is not None
    assert outside.diagnosis.cause == Outside()
    assert "None of these changes did it" in lab.said[-1]


def test_a_fall_that_no_rerun_shows_was_luck(make_lab):
    lab = make_lab()
    lab.guilty = frozenset({"never"})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.cause == Luck()
    assert "It was luck, or too small to matter" in lab.said[-1]


def test_a_rerun_that_fails_says_nothing_and_is_shown_as_failed(make_lab):
    lab = make_lab()
    lab.breaks = frozenset({2})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert isinstance(record.diagnosis.cause, Alone)
    assert "| failed |" in lab.said[-1]


def test_where_every_rerun_fails_it_ends_early_and_says_so_and_may_be_asked_again(make_lab):
    lab = make_lab()
    lab.breaks = frozenset(range(1, 9))
    first = lab.diagnose()
    assert len(lab.jobs) == 2
    assert "Nothing was found out: all of 2 reruns failed." in lab.said[-1]
    lab.breaks = frozenset()
    again = lab.diagnose()
    assert again.inquiry.inquiry_id != first.inquiry.inquiry_id
    assert again.diagnosis is not None
    assert isinstance(again.diagnosis.cause, Alone)


def test_what_an_earlier_diagnosis_measured_is_not_run_again(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "reruns": 1}})
    lab.diagnose()
    lab.herald = lab.make(diagnose=DIAGNOSE["diagnose"])
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.is_sure
    assert len({job.command[3:] for job in lab.jobs}) == len(lab.jobs) > 1


def test_a_parameter_by_which_the_data_are_set_is_a_part_of_the_data(make_lab):
    part = {"params": DIAGNOSE["diagnose"]["params"], "data": {"arguments": ["--set=lr={params.lr}"]}}
    inquiry = make_lab({"diagnose": part}).begin().inquiry
    assert {str(swap.component) for swap in inquiry.swaps} == {"data", "param.batch"}


def test_a_budget_that_does_not_settle_it_leaves_it_undecided(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "reruns": 1}})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert not record.diagnosis.is_sure
    assert "1 rerun could not settle which change did it. Likeliest:" in lab.said[-1]


def test_an_inquiry_that_somebody_stops_tells_nothing(make_lab):
    lab = make_lab()
    record = lab.begin()
    with lab.database.begin() as tx:
        lab.diagnoser.stop(tx, record)
    lab.herald.cycle("search").diagnose()
    assert lab.record(record.inquiry.inquiry_id).state is InquiryState.STOPPED
    assert lab.jobs == []
    assert not [said for said in lab.said if "did it" in said]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"diagnose": None}, r"diagnose \w+: \[pipeline.search.diagnose\] should say how components are set"),
        (
            {"diagnose": {"machine": {"arguments": ["--on={tags.host}"]}}},
            r"does not say how to set what differs: data, code, param\.batch, param\.lr",
        ),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(make_lab, part, says):
    with pytest.raises(DiagnosisError, match=says):
        make_lab(part).begin()


def test_what_is_found_is_printed_as_a_table_and_as_json(make_lab, capsys):
    lab = make_lab()
    record = lab.diagnose()
    with lab.database.begin() as tx:
        trials = lab.diagnoser.trials(tx, record.inquiry)
    print_inquiry(record, trials, "Which change did it: the data.", as_json=False)
    assert "Which change did it: the data." in capsys.readouterr().out
    print_inquiry(record, trials, "", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["likeliest"]["components"] == ["data"]
    assert [each["value"] for each in said["reruns"]] == [trial.value for trial in trials]


def test_a_rerun_is_set_component_by_component(make_lab):
    inquiry = make_lab().begin().inquiry
    setting = tuple(str(swap.component) == "data" for swap in inquiry.swaps)
    assert set(recipe_of(setting, inquiry.swaps).arguments) == {"--data=new", "--set=lr=1", "--set=batch=8"}


class Killed(BaseException):
    """The process ends."""


def play(lab: Lab, kill_at: int | None = None) -> int:
    """Let an incident be diagnosed; with *kill_at* the process ends at that step. Return the steps."""
    taken = 0

    def step(_name: str) -> None:
        nonlocal taken
        taken += 1
        if taken == kill_at:
            raise Killed

    lab.begin()
    lab.steps = step
    try:
        lab.herald.cycle("search").diagnose()
    except Killed:
        lab.steps = lambda _: None
        lab.herald = lab.make()
        lab.now += timedelta(hours=1)  # leases of the dead lapse
        lab.herald.cycle("search").resume()
    lab.steps = lambda _: None
    return taken


def seen(lab: Lab) -> list:
    assert lab.herald.dispatcher.drain().failures == []
    (incident,) = lab.incidents()
    with lab.database.begin() as tx:
        (record,) = inquiries.of_incident(tx, incident.incident_id)
        reruns = fires.reruns_of(tx, "search", record.inquiry.inquiry_id)
    diagnosis = [said for said in lab.said if "did it" in said]
    return [record.state, record.diagnosis, [(fire.state, fire.recipe) for fire in reruns], len(lab.jobs), diagnosis]


def test_killed_at_any_step_each_rerun_is_made_once_and_the_cause_told_once(make_lab, sqlite_url, tmp_path):
    empty = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    whole = make_lab()
    steps, expected = play(whole), seen(whole)
    whole.database.close()
    for kill_at in range(1, steps + 1, 3):
        state = tmp_path / f"killed-{kill_at}.db"
        state.write_bytes(empty)
        lab = Lab(tmp_path / str(kill_at), f"sqlite:///{state}", whole.pipeline)
        lab.fall()
        play(lab, kill_at)
        assert seen(lab) == expected, f"killed at step {kill_at} of {steps}"
        lab.database.close()


def test_an_answer_on_the_ticket_begins_it_too(make_lab):
    lab = make_lab()
    (incident,) = lab.incidents()
    from bot.domain.rules import Person
    from bot.triage.by_hand import ByHand

    _, view = ByHand(lab.herald.answering, Person("ana")).say(incident.incident_id, "diagnose")
    assert [part.kind.value for part in view.parts] == ["asked"]
    lab.look()
    assert [said for said in lab.said if "Which change did it: the data" in said]
    with lab.database.begin() as tx:
        assert incidents.find(tx, incident.incident_id) is not None


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("code")

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet")
    commits = []
    for text in ("good", "bad"):
        (folder / "train").mkdir(exist_ok=True)
        (folder / "train" / "model.txt").write_text(text)
        git("add", ".")
        git("commit", "--quiet", "--message", text)
        commits.append(git("rev-parse", "HEAD"))
    return folder, commits


def test_commits_are_checked_out_beside_the_repository_which_stays_as_it_is(repository, tmp_path):
    folder, (old, new) = repository
    assert (check_out(folder, old, tmp_path) / "train/model.txt").read_text() == "good"
    assert (check_out(folder, new, tmp_path) / "train/model.txt").read_text() == "bad"
    assert (folder / "train/model.txt").read_text() == "bad"
    (tmp_path / f"{old}.ready").unlink()  # killed before it was whole
    (tmp_path / old / "train/model.txt").write_text("hal")
    assert (check_out(folder, old, tmp_path) / "train/model.txt").read_text() == "good"


@pytest.mark.parametrize("commit", ["f" * 40, "--upload-pack=x", "HEAD~1"])
def test_a_commit_that_is_gone_is_a_sentence(repository, tmp_path, commit):
    with pytest.raises(JobError, match=r"cannot (be )?check"):
        check_out(repository[0], commit, tmp_path)


@pytest.mark.parametrize("says_the_truth", [True, False])
def test_a_rerun_works_in_the_commits_tree_and_one_that_says_it_ran_another_shows_nothing(
    make_lab, repository, monkeypatch, says_the_truth
):
    folder, (old, new) = repository
    monkeypatch.setitem(OLD["tags"], COMMIT_TAG, old)
    monkeypatch.setitem(NEW["tags"], COMMIT_TAG, new)
    lab = make_lab(
        {"diagnose": {"code": {"git": str(folder / "train")}}, "job": {**JOB["job"], "cwd": str(folder / "train")}}
    )

    def train(job: Job) -> JobStatus:
        lab.jobs.append(job)
        ran = job.cwd.parent.name
        is_bad = (job.cwd / "model.txt").read_text() == "bad"
        tags = {FIRE_TAG: job.fire_id, COMMIT_TAG: ran if says_the_truth else "0" * 40}
        lab.log(0.75 if is_bad else 0.80, f"job{len(lab.jobs)}", tags=tags)
        return ENDED

    lab.executor._carry_out = train
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.is_sure is says_the_truth
    assert {job.cwd.parent.name for job in lab.jobs} <= {old, new}
    assert lab.store.reruns == {f"job{number}" for number in range(1, len(lab.jobs) + 1)}


def test_an_inquiry_is_kept_as_long_as_its_incident(make_lab):
    lab = make_lab()
    record, later = lab.diagnose(), lab.now + timedelta(days=400)
    (incident,) = lab.incidents()
    with lab.database.begin() as tx:
        forget(tx, later, {})
        assert inquiries.find(tx, record.inquiry.inquiry_id) is not None
        incidents.save(tx, replace(incident, state=IncidentState.RESOLVED, closed_at=lab.now))
        forget(tx, later, {})
        assert inquiries.find(tx, record.inquiry.inquiry_id) is None

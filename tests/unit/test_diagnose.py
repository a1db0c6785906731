"""`herald diagnose`: reruns with parts of a job set as they were, until it is known which change made an incident."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from sqlalchemy import text as sql

from bot.cli.output.diagnose import print_inquiry
from bot.cli.output.status import print_status
from bot.config.diagnose import DiagnoseSection
from bot.domain.diagnosis.hypotheses import Alone, Luck, Outside, Together
from bot.domain.diagnosis.inquiry import InquiryState, recipe_of
from bot.domain.diagnosis.pieces import DonePieces, Unlisted
from bot.domain.fires import FireState
from bot.domain.incidents import IncidentState
from bot.domain.job_protocol import COMMIT_TAG, ENVIRONMENT_TAG, FIRE_TAG
from bot.domain.manifest import Component, ComponentKind
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
from bot.domain.runs import Run, RunStatus
from bot.domain.views import AnswerView
from bot.errors import DiagnosisError, HeraldError, JobError
from bot.executors.checkouts import check_out
from bot.judging.inquiry_answers import answer_part, trials_of
from bot.judging.pieces import pieces_of
from bot.judging.swaps import kept_of
from bot.judging.views.data_parts import part_shown
from bot.pipeline.lease import LEASE_OF
from bot.pipeline.rerun_places import RerunPlaces, jobs_of_each, places_taken
from bot.pipeline.scheduling import record_due
from bot.ports import Job, JobState, JobStatus
from bot.render.dialects import MARKDOWN
from bot.reports.diagnose_checks import check_diagnose
from bot.reports.digest import compose_digest, preview
from bot.reports.overview import overview
from bot.reports.reader import Reader, WallTime
from bot.services.trello.config import TrelloSection
from bot.store import fires, incidents, inquiries, leases
from bot.store.retention import forget
from bot.text.tables import WholeConsole
from bot.triage.by_hand import find_incident
from bot.web.app import make_app
from bot.web.server import serving
from tests.unit.cycle_bench import EAGER, ENDED, JOB
from tests.unit.diagnosis_lab import DIAGNOSE, NEW, NOISE, OLD, Lab


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
    assert "|| Data || batch || lr || ndcg ||" in told
    assert told.count("\n| as it ") == len(lab.jobs)
    assert lab.diagnose() == record, "asked again, it is said from what is known"
    assert len([said for said in lab.said if "Which change did it" in said]) == 1


@pytest.mark.parametrize(
    ("language", "heading", "found"),
    [("en", "Which change did it", "the data (d1 → d2)"), ("zh", "是哪项改动所致", "数据（d1 → d2）")],
)
def test_the_page_of_the_incident_says_which_change_did_it_with_every_rerun(make_lab, language, heading, found):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "owners": OWNERS}})
    record = lab.diagnose()
    reader = Reader(lab.herald.config, lab.database, None, WallTime(lab.clock))
    with serving(make_app(reader), "127.0.0.1:0") as at:
        address = f"{at}/incidents/{record.inquiry.incident_id}?lang={language}"
        page = httpx.get(address, timeout=20, follow_redirects=True)
    assert page.status_code == 200
    _, _, shown = page.text.partition(f"<h2>{heading}</h2>")
    table = shown.partition("</table>")[0]
    assert found in table.replace("\N{NO-BREAK SPACE}", " ")
    assert "Data team" in table
    assert table.count("<tr>") == 1 + len(lab.jobs)
    life = shown.partition('<ol class="timeline">')[2]
    assert {"en": "Found after", "zh": "找到原因"}[language] in life
    assert {"en": "Ben asked which change did it: reruns began", "zh": "Ben 要求查明原因：开始重跑"}[language] in life


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
    assert "What could be set did not do it" in lab.said[-1]
    assert "could not be set: the commit. Look there first." in lab.said[-1]


def test_what_differs_and_could_not_be_set_is_named_first_where_nothing_that_could_did_it(make_lab, monkeypatch):
    monkeypatch.setitem(OLD, "tags", {"herald.test_hash": "t1"})
    monkeypatch.setitem(NEW, "tags", {"herald.test_hash": "t2"})
    lab = make_lab({"diagnose": {"params": DIAGNOSE["diagnose"]["params"]}})
    lab.guilty = frozenset()
    lab.diagnose()
    assert "What could be set did not do it" in lab.said[-1]
    assert "could not be set: the test set. Look there first." in lab.said[-1]
    assert "None of these changes" not in lab.said[-1]


def test_of_what_is_installed_no_more_is_told_than_what_differs(make_lab, monkeypatch):
    monkeypatch.setitem(OLD, "tags", {ENVIRONMENT_TAG: "python 3.11.9, numpy 2.3.0, torch 2.8.0", "venv": "old"})
    monkeypatch.setitem(NEW, "tags", {ENVIRONMENT_TAG: "python 3.11.9, numpy 2.3.0, torch 2.9.0", "venv": "new"})
    lab = make_lab({"diagnose": {"environment": {"arguments": ["--venv={tags.venv}"]}}})
    lab.guilty = frozenset({"--venv=new"})
    lab.diagnose()
    assert "the environment (torch 2.8.0 → torch 2.9.0). That alone is enough" in lab.said[-1]


def test_a_fall_that_no_rerun_shows_was_luck(make_lab):
    lab = make_lab()
    lab.guilty = frozenset({"never"})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.cause == Luck()
    assert "It is gone (" in lab.said[-1]
    assert "too small" not in lab.said[-1]


def test_a_rerun_that_fails_says_nothing_and_is_shown_as_failed(make_lab):
    lab = make_lab()
    lab.breaks = frozenset({2})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert isinstance(record.diagnosis.cause, Alone)
    assert "| the job failed (exit code 3) |" in lab.said[-1]


def test_where_every_rerun_fails_it_ends_early_and_says_so_and_may_be_asked_again(make_lab):
    lab = make_lab()
    lab.breaks = frozenset(range(1, 9))
    first = lab.diagnose()
    assert len(lab.jobs) == 2
    assert "Nothing was found out: all of 2 reruns failed, the last since the job failed (exit code 3)." in lab.said[-1]
    lab.breaks = frozenset()
    again = lab.diagnose()
    assert again.inquiry.inquiry_id != first.inquiry.inquiry_id
    assert again.diagnosis is not None
    assert isinstance(again.diagnosis.cause, Alone)


def test_where_something_was_measured_before_reruns_that_fail_do_not_leave_nothing_found_out(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "reruns": 1}})
    lab.breaks = frozenset({1})
    lab.diagnose()
    assert "Nothing was found out: the only rerun failed since the job failed (exit code 3)." in lab.said[-1]
    lab.diagnose()
    assert "1 rerun could not settle" in lab.said[-1]
    lab.breaks = frozenset({3})
    lab.diagnose()
    assert "1 rerun could not settle which change did it, and 1 more failed since the job failed" in lab.said[-1]


def test_two_failures_in_a_row_of_one_cause_end_it_after_a_good_rerun_too_and_are_counted_apart(make_lab):
    lab = make_lab()
    lab.breaks = frozenset(range(2, 12))
    lab.diagnose()
    assert len(lab.jobs) == 3
    said = (
        "1 rerun could not settle which change did it, and 2 more failed, the last since the job failed (exit code 3)."
    )
    assert said in lab.said[-1]


def test_failures_of_different_causes_end_it_at_the_third(make_lab):
    lab = make_lab()
    lab.breaks = frozenset(range(2, 12))
    asked, train = lab.begin().inquiry.inquiry_id, lab.executor._carry_out
    lab.executor._carry_out = lambda job: replace(train(job), exit_code=len(lab.jobs) if len(lab.jobs) > 1 else 0)
    lab.serve()
    assert lab.record(asked).state is InquiryState.ANSWERED
    assert len(lab.jobs) == 4


def test_of_two_that_are_as_likely_none_is_the_favourite(make_lab):
    lab = make_lab({"diagnose": {"params": DIAGNOSE["diagnose"]["params"], "reruns": 1}})
    lab.breaks = frozenset({1})
    lab.diagnose()
    record = lab.record(lab.begin().inquiry.inquiry_id)
    with lab.database.begin() as tx:
        part = answer_part(tx, lab.herald.config, replace(record, diagnosis=None), "en")
    assert part.diagnosis.is_even
    said = lab.herald.answer_text("search", AnswerView((part,), "", ""))
    assert re.search(r"Equally likely from what is on record: \w+ \(.*?\) and \w+ \(", said)


def test_the_name_that_status_has_of_a_ticket_names_its_incident_and_one_character_of_an_id_does_not(make_lab):
    lab = make_lab()
    (incident,) = lab.incidents()
    with lab.database.begin() as tx:
        tx.execute(sql("UPDATE objects SET title = '#1' WHERE target LIKE '%/ticket/%'"))
        found = [find_incident(tx, lab.herald.config, name, "diagnose") for name in ("#1", incident.incident_id[:6])]
        assert found == [incident, incident]
        for name in (incident.incident_id[:5], "1", "#2"):
            with pytest.raises(HeraldError, match="is no incident and no ticket that Herald filed"):
                find_incident(tx, lab.herald.config, name, "diagnose")


def test_what_an_earlier_diagnosis_measured_is_not_run_again(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "reruns": 1}})
    lab.diagnose()
    lab.herald = lab.make(diagnose=DIAGNOSE["diagnose"])
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.is_sure
    assert len({job.command[3:] for job in lab.jobs}) == len(lab.jobs) > 1
    assert lab.said[-1].count("\n| as it ") == len(lab.jobs), "those that count are shown"


def test_a_parameter_by_which_the_data_are_set_is_a_part_of_the_data(make_lab):
    part = {"params": DIAGNOSE["diagnose"]["params"], "data": {"arguments": ["--set=lr={params.lr}"]}}
    inquiry = make_lab({"diagnose": part}).begin().inquiry
    assert {str(swap.component) for swap in inquiry.swaps} == {"data", "param.batch"}


def test_a_rerun_that_says_it_had_the_other_sides_all_the_same_shows_nothing(make_lab):
    lab = make_lab()

    def train(job: Job) -> JobStatus:
        lab.jobs.append(job)
        tags = {FIRE_TAG: job.fire_id, **NEW["tags"]}  # whatever it was set to
        lab.log(0.75, f"job{len(lab.jobs)}", params={"lr": "1"}, tags=tags)
        return ENDED

    lab.executor._carry_out = train
    inquiry = lab.diagnose().inquiry
    shown = ["--data=new" in job.command and "--set=lr=1" in job.command for job in lab.jobs]
    with lab.database.begin() as tx:
        assert [each.value is not None for each in trials_of(tx, inquiry)] == shown
    assert {*shown} == {True, False}


def test_what_is_set_by_the_same_words_on_both_sides_is_left_out(make_lab, monkeypatch):
    for side in (OLD, NEW):
        monkeypatch.setitem(side["tags"], "folder", "all")
    same = {"arguments": ["--data={tags.folder}"]}
    inquiry = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "data": same}}).begin().inquiry
    assert {str(swap.component) for swap in inquiry.swaps} == {"param.batch", "param.lr"}
    assert [str(each) for each in inquiry.left_out] == ["data", "code"]


def test_a_budget_that_does_not_settle_it_leaves_it_undecided(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "reruns": 1}})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert not record.diagnosis.is_sure
    assert "1 rerun could not settle which change did it. Likeliest:" in lab.said[-1]


def test_that_somebody_stopped_it_is_told_on_the_ticket_with_what_was_likeliest_and_no_rerun_starts(make_lab):
    lab = make_lab()
    record = lab.begin()
    lab.look()
    stop(lab)
    lab.serve()
    assert lab.record(record.inquiry.inquiry_id).state is InquiryState.STOPPED
    assert len(lab.jobs) == 1
    (told,) = [said for said in lab.said if "did it" in said]
    assert told.startswith(
        "The search for what did it was ended by hand. 1 rerun could not settle which change did it."
    )
    with pytest.raises(HeraldError, match=r"diagnose \w+: there is none under way to stop"):
        stop(lab)


def test_stopped_while_a_rerun_is_under_way_it_says_that_this_one_is_stopped_too(make_lab):
    lab = make_lab()
    asked = lab.begin()

    def stopped_meanwhile(job: Job) -> JobStatus:
        stop(lab)
        lab.jobs.append(job)
        return replace(ENDED, exit_code=-15)

    lab.executor._carry_out = stopped_meanwhile
    lab.serve()
    assert len(lab.jobs) == 1
    (told,) = [said for said in lab.said if "did it" in said]
    assert "What is under way is stopped too. No other was made. Likeliest" in told
    with lab.database.begin() as tx:
        assert fires.find(tx, lab.jobs[0].fire_id).state is FireState.STOPPED, "it did not fail by itself"
        part = answer_part(tx, lab.herald.config, inquiries.find(tx, asked.inquiry.inquiry_id), "en")
    said = lab.herald.answer_text("search", AnswerView((part,), "", "")).replace("\N{NO-BREAK SPACE}", " ")
    assert said.strip() in told, "on the terminal the same"


@pytest.mark.parametrize("is_served", [True, False])
def test_stopped_it_ends_the_job_that_runs_whether_a_herald_waits_for_it_or_none_is_left(make_lab, is_served):
    lab = make_lab()
    asked = lab.begin().inquiry
    lab.executor._carry_out = lambda _job: JobStatus(JobState.RUNNING)

    def stop_meanwhile(name: str) -> None:
        if name == "job.started":
            stop(lab)
            if not is_served:
                raise Killed

    lab.steps = stop_meanwhile
    if is_served:
        lab.look()
    else:
        with pytest.raises(Killed):
            lab.look()
        lab.now += timedelta(hours=1)  # the lease of the dead lapses
        assert lab.herald.cycle("search").end_stopped()
    (job,) = lab.executor.started
    assert lab.executor.stopped == [job.fire_id]
    with lab.database.begin() as tx:
        (fire,) = fires.reruns_of(tx, "search", asked.inquiry_id)
        (trial,) = trials_of(tx, asked)
    assert fire.state is FireState.STOPPED
    assert trial.trouble == RerunTrouble(TroubleKind.STOPPED)


def test_two_reruns_run_at_the_same_time_by_other_settings_where_config_lets_them(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "concurrency": 2}})
    both, turn, train = threading.Barrier(2), threading.Lock(), lab.executor._carry_out

    def side_by_side(job: Job) -> JobStatus:
        both.wait(timeout=20)
        with turn:
            return train(job)

    lab.executor._carry_out = side_by_side
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.is_sure
    assert str(record.inquiry.swaps[record.diagnosis.cause.component].component) == "data"
    assert len(lab.jobs) % 2 == 0, "always two"
    assert len({job.command[3:] for job in lab.jobs}) == len(lab.jobs)


def test_of_the_reruns_that_config_lets_run_at_once_no_more_do_than_jobs_may(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "concurrency": 3}})
    lab.begin()
    lab.diagnoser.go_on(lab.folder)
    desk = lab.herald.answering.desk("search").context
    with lab.database.begin() as tx:
        assert len(fires.unfinished(tx, "search")) == 3
        leases.take(tx, f"{LEASE_OF}other", "somebody", lab.now, timedelta(minutes=2))
    owner = lab.herald.dispatcher.owner
    begun = RerunPlaces(desk, owner).begin()
    assert len(begun) == 1, "of two jobs at once another pipeline has one"
    with lab.database.begin() as tx:
        leases.give_back(tx, f"{LEASE_OF}other", "somebody")
    assert len(RerunPlaces(desk, owner).begin()) == 2
    with lab.database.begin() as tx:
        running = jobs_of_each(fires.waiting(tx))
    assert running == {"search": 2}
    config = lab.herald.config
    assert places_taken(config, {"search"}, running) == 2
    assert places_taken(config, {"search", "other"}, {}) == 2


def test_a_commits_worktree_goes_once_no_diagnosis_needs_it_and_never_while_one_does(make_code_lab, history):
    lab, _ = make_code_lab(history[1][0], history[1][5])
    checkouts = lab.folder / "jobs" / "search" / "checkouts"
    other = check_out(history[0], history[1][6], checkouts)
    asked = lab.begin().inquiry.inquiry_id
    lab.look()
    lab.herald.cycle("search").clear()
    assert not other.exists(), "of an earlier diagnosis"
    there = {each.name for each in checkouts.iterdir() if each.is_dir()}
    assert there
    assert there <= {*history[1]}
    lab.serve()
    assert lab.record(asked).state is InquiryState.ANSWERED
    assert [*checkouts.iterdir()] == []
    listed = subprocess.run(["git", "-C", history[0], "worktree", "list"], capture_output=True, text=True, check=True)
    assert str(checkouts) not in listed.stdout


def stop(lab: Lab) -> None:
    (incident,) = lab.incidents()
    with lab.database.begin() as tx:
        lab.diagnoser.stop(tx, incident)


def test_no_rerun_begins_once_the_time_for_it_is_up(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "timeout": "30s"}})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert not record.diagnosis.is_sure
    assert len(lab.jobs) == 1, "it takes a minute"
    assert lab.said[-1].startswith("The time for finding out what did it was up. 1 rerun could not settle")


def test_status_names_a_rerun_of_a_diagnosis_by_what_it_swaps(make_lab, capsys):
    lab = make_lab()
    inquiry = lab.begin().inquiry
    lab.diagnoser.go_on(lab.folder)
    print_status(overview(lab.herald), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"rerun of a diagnosis: search {inquiry.incident_id}, data as it " in said
    assert ", lr as it " in said
    print_status(overview(lab.herald), as_json=True)
    (rerun,) = json.loads(capsys.readouterr().out)["reruns"]
    assert rerun["incident"] == inquiry.incident_id
    assert rerun["run"] is None
    assert set(rerun["swapped"]) == {"data", "param.lr", "param.batch"}


def test_that_the_test_set_is_another_one_is_said_beside_what_did_it(make_lab, monkeypatch):
    monkeypatch.setitem(OLD, "tags", {"herald.test_hash": "t1"})
    monkeypatch.setitem(NEW, "tags", {"herald.test_hash": "t2"})
    lab = make_lab({"diagnose": {"params": DIAGNOSE["diagnose"]["params"]}})
    lab.guilty = frozenset({"--set=lr=2"})
    lab.diagnose()
    assert "The test set is another one than before, so the two numbers cannot be compared." in lab.said[-1]


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
        trials = trials_of(tx, record.inquiry)
    print_inquiry(record, trials, [], "Which change did it: the data.", as_json=False)
    assert "Which change did it: the data." in capsys.readouterr().out
    print_inquiry(record, [], [], "No rerun was made.", as_json=False)
    assert capsys.readouterr().out.startswith("0 of at most 9 reruns")
    print_inquiry(record, trials, [], "", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["likeliest"]["components"] == ["data"]
    assert [each["value"] for each in said["reruns"]] == [trial.value for trial in trials]


def test_in_a_narrow_terminal_each_rerun_is_named_and_nothing_lacks_its_header(make_lab, capsys, monkeypatch):
    monkeypatch.setattr(WholeConsole, "__init__", lambda self: Console.__init__(self, width=24))
    lab = make_lab()
    record = lab.diagnose()
    capsys.readouterr()
    with lab.database.begin() as tx:
        print_inquiry(record, trials_of(tx, record.inquiry), [], "", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("rerun 1")
    assert [line.split()[0] for line in lines[place + 1 : place + 5]] == ["data", "batch", "lr", "ndcg"]


def test_moments_are_written_as_iso_8601_has_them(make_lab, capsys):
    record = make_lab().begin()
    capsys.readouterr()
    print_inquiry(record, [], [], "", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["asked_at"] == record.asked_at.isoformat()
    assert said["ended_at"] is None


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
        lab.serve()
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


def test_what_is_due_goes_first_between_two_reruns(make_lab):
    lab = make_lab()
    lab.begin()
    lab.look()
    assert len(lab.jobs) == 1, "a cycle takes it on by one rerun"
    with lab.database.begin() as tx:
        (waiting,) = fires.waiting(tx)
        due = fires.record(tx, "search", lab.now)
    assert waiting.gives_way
    lab.look()
    assert [job.fire_id for job in lab.jobs[1:]] == [due.fire_id, waiting.fire_id]
    lab.serve()
    assert [said for said in lab.said if "Which change did it: the data" in said]


def test_a_due_time_is_recorded_while_a_diagnosis_goes_on(make_lab):
    lab = make_lab({"schedule": {"every": "1h"}})
    with lab.database.begin() as tx:
        record_due(tx, lab.herald.config, lab.now)
    lab.serve()
    lab.begin()
    lab.diagnoser.go_on(lab.folder)
    with lab.database.begin() as tx:
        record_due(tx, lab.herald.config, lab.now + timedelta(hours=2))
        assert [fire.gives_way for fire in fires.waiting(tx)] == [True, False]


def test_what_is_due_while_herald_diagnose_is_at_work_is_not_kept_waiting(make_lab):
    lab = make_lab()
    lab.begin()
    train, due = lab.train, []

    def train_and_be_due(job: Job) -> JobStatus:
        if not due:
            with lab.database.begin() as tx:
                due.append(fires.record(tx, "search", lab.now).fire_id)
        return train(job)

    lab.executor._carry_out = train_and_be_due
    lab.herald.cycle("search").diagnose()
    assert lab.jobs[1].fire_id == due[0]


def test_an_answer_on_the_ticket_begins_it_too(make_lab):
    lab = make_lab()
    (incident,) = lab.incidents()
    from bot.domain.rules import Person
    from bot.triage.by_hand import ByHand

    _, view = ByHand(lab.herald.answering, Person("ana")).say(incident.incident_id, "diagnose")
    assert [part.kind.value for part in view.parts] == ["asked"]
    lab.serve()
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


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> tuple[Path, list[str]]:
    """Six commits in a row, of which the fourth makes it worse, and one beside them."""
    folder = tmp_path_factory.mktemp("history")
    who = ["-c", "user.name=Ana [QA]", "-c", "user.email=a@example.com"]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet")
    commits = []
    for number in range(6):
        (folder / "model.txt").write_text(f"{'bad' if number >= 3 else 'good'} {number}")
        git("add", ".")
        git("commit", "--quiet", "--message", f"Change *{number}*", "--date", f"2026-03-0{number + 1}T12:00:00Z")
        commits.append(git("rev-parse", "HEAD"))
    git("checkout", "--quiet", "-b", "beside", commits[0])
    git("commit", "--quiet", "--allow-empty", "--message", "beside")
    commits.append(git("rev-parse", "HEAD"))
    return folder, commits


class Workshop:
    """Trains in a commit's tree: bad from the fourth on."""

    broken = ""  # the number of a commit that does not run

    def __init__(self, lab: Lab) -> None:
        self.lab, self.ran = lab, []

    def __call__(self, job: Job) -> JobStatus:
        self.lab.jobs.append(job)
        self.ran.append(job.cwd.name)
        level, number = (job.cwd / "model.txt").read_text().split()
        if number == self.broken:
            return replace(ENDED, exit_code=3)
        value = (0.75 if level == "bad" else 0.80) + NOISE[len(self.lab.jobs) % len(NOISE)]
        self.lab.log(value, f"job{len(self.lab.jobs)}", tags={FIRE_TAG: job.fire_id})
        return ENDED


@pytest.fixture
def make_code_lab(make_lab, history, monkeypatch):
    def make(old: str, new: str, **changes) -> tuple[Lab, Workshop]:
        monkeypatch.setitem(OLD, "tags", {COMMIT_TAG: old})
        monkeypatch.setitem(NEW, "tags", {COMMIT_TAG: new})
        monkeypatch.setitem(NEW, "params", OLD["params"])
        part = {"code": {"git": str(history[0])}, **changes}
        where = {"job": {**JOB["job"], "cwd": str(history[0])}, "repository": "https://git.example.com/shop/"}
        lab = make_lab({"diagnose": part, **where})
        lab.executor._carry_out = workshop = Workshop(lab)
        return lab, workshop

    return make


def test_the_commit_that_did_it_is_found_among_those_between_and_named_with_link_author_and_day(make_code_lab, history):
    commits = history[1]
    lab, _ = make_code_lab(commits[0], commits[5])
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.inquiry.pieces is not None
    assert [each.name for each in record.inquiry.pieces.all] == commits[1:6]
    assert record.diagnosis.narrowed is not None
    assert record.diagnosis.narrowed.is_one
    link = f"[{commits[3][:12]}|https://git.example.com/shop/commit/{commits[3]}]"
    assert (
        f"did it: the commit {link} “Change \\*3\\*” by Ana \\[QA\\], 4 Mar 2026. That alone is enough" in lab.said[-1]
    )
    assert "Of the 5 commits between, it is that one (" in lab.said[-1]
    assert f"* the commit up to {commits[3][:12]}: 0.7" in lab.said[-1]
    assert lab.diagnose() == record


def test_a_commit_that_does_not_run_is_not_told_from_the_next_nor_run_again(make_code_lab, history):
    commits = history[1]
    lab, workshop = make_code_lab(commits[0], commits[5])
    workshop.broken = "2"
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.narrowed is not None
    assert (record.diagnosis.narrowed.first, record.diagnosis.narrowed.last) == (1, 2)
    assert workshop.ran.count(commits[2]) == 1
    assert "Of the 5 commits between, it is one of 2 in a row" in lab.said[-1]
    told = preview(lab.herald, compose_digest(lab.herald, lab.now - timedelta(days=2)))
    assert re.search(rf"commit {commits[2][:12]} .* or {commits[3][:12]} .* explains it", told)
    assert f"* the commit up to {commits[2][:12]}: the job failed (exit code 3)" in lab.said[-1]


def test_one_commit_between_is_named_without_a_rerun_of_its_own(make_code_lab, history):
    lab, workshop = make_code_lab(history[1][2], history[1][3])
    lab.diagnose()
    assert "did it: the commit [" in lab.said[-1]
    assert "It is the only commit between." in lab.said[-1]
    assert {*workshop.ran} <= {*history[1][2:4]}


def test_commits_that_are_not_in_a_row_are_said_and_the_code_is_named_all_the_same(make_code_lab, history):
    lab, _ = make_code_lab(history[1][6], history[1][5])
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.cause == Alone(0)
    assert record.diagnosis.narrowed is None
    assert "it is could not be looked for: the one commit does not lead to the other" in lab.said[-1]


def test_of_commits_that_are_gone_nothing_is_listed_and_nothing_found(make_code_lab, history, tmp_path):
    commits = history[1]
    lab, _ = make_code_lab(commits[0], commits[5])
    subprocess.run(["git", "init", "--quiet", tmp_path / "other"], check=True)
    gone = DiagnoseSection.model_validate({"code": {"git": "other"}})
    swap, run = lab.begin().inquiry.swaps[0], lab.store._runs("search")[0]
    assert pieces_of(gone, 0, swap, run, run, tmp_path).unlisted is Unlisted.NO_LIST


def test_no_reruns_within_leaves_it_at_the_code(make_code_lab, history):
    lab, _ = make_code_lab(history[1][0], history[1][5], reruns_within=0)
    record = lab.diagnose()
    assert record.inquiry.pieces is None
    assert "commits" not in lab.said[-1]


def test_the_day_of_data_that_did_it_is_found_among_those_that_are_new_or_gone(make_lab, monkeypatch):
    monkeypatch.setitem(OLD, "tags", {"herald.data_hash": "d1", "days": "d01, d02 d03"})
    monkeypatch.setitem(NEW, "tags", {"herald.data_hash": "d2", "days": "d02 d03,d04 d05 d06"})
    lab = make_lab({"diagnose": {"data": {"arguments": ["--days={parts}"], "parts": "tags.days"}}})
    seen = []

    def train(job: Job) -> JobStatus:
        lab.jobs.append(job)
        (days,) = (word.removeprefix("--days=").split(",") for word in job.command if word.startswith("--days="))
        seen.append(days)
        value = (0.75 if "d05" in days else 0.80) + NOISE[len(lab.jobs) % len(NOISE)]
        lab.log(value, f"job{len(lab.jobs)}", tags={FIRE_TAG: job.fire_id})
        return ENDED

    lab.executor._carry_out = train
    record = lab.diagnose()
    assert [(each.name, each.is_gone) for each in record.inquiry.pieces.all] == [
        ("d01", True),
        ("d04", False),
        ("d05", False),
        ("d06", False),
    ]
    assert "Which change did it: the data of d05. That alone is enough" in lab.said[-1]
    assert "Of the 4 parts of the data that changed, it is that one (" in lab.said[-1]
    assert ["d02", "d03", "d04"] in seen
    print_inquiry(record, [], [DonePieces(2, 0.8)], "", as_json=True)


@pytest.mark.parametrize("step", ["job.started", "rerun.recorded", "inquiry.going_on"])
def test_killed_among_the_parts_it_goes_on_there_and_runs_none_twice(make_lab, monkeypatch, step):
    monkeypatch.setitem(OLD, "tags", {"herald.data_hash": "d1", "days": "d01"})
    monkeypatch.setitem(NEW, "tags", {"herald.data_hash": "d2", "days": "d01 d02 d03 d04"})
    lab = make_lab({"diagnose": {"data": {"arguments": ["--days={parts}"], "parts": "tags.days"}}})
    lab.guilty = frozenset({"--days=d01,d02,d03,d04"})  # the last of them
    lab.begin()

    def die(name: str) -> None:
        if name == step and any({"--days=d01,d02", "--days=d01,d02,d03"} & {*job.command} for job in lab.jobs):
            raise Killed

    lab.steps = die
    with pytest.raises(Killed):
        lab.herald.cycle("search").diagnose()
    lab.steps = lambda _: None
    lab.herald = lab.make()
    lab.now += timedelta(hours=1)  # leases of the dead lapse
    lab.serve()
    (told,) = [said for said in lab.said if "Which change did it" in said]
    assert "Which change did it: the data of d04. That alone is enough" in told
    assert told.count("up to d0") + told.count("\n| as it ") == len(lab.jobs)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("2026-03-03", "3 Mar 2026"),
        ("s3://shop/clicks/dt=20260303/", "3 Mar 2026"),
        ("country=DE", "DE"),
        ("clicks/part-7.parquet", "part-7.parquet"),
        ("2026-13-03", "2026-13-03"),
    ],
)
def test_a_part_of_the_data_is_called_what_people_call_it(name, shown):
    assert part_shown(0, [name, "other"], "en") == shown
    assert part_shown(0, [name, f"elsewhere/{name}"], "en") == name, "two that are called alike are told apart"


def test_a_part_that_config_cannot_set_leaves_the_data_out_and_is_said(make_lab, monkeypatch):
    monkeypatch.setitem(OLD, "tags", {"herald.data_hash": "d1"})  # it does not say its days
    monkeypatch.setitem(NEW, "tags", {"herald.data_hash": "d2", "days": "d01 d02"})
    data = {"arguments": ["--days={parts}"], "parts": "tags.days"}
    lab = make_lab({"diagnose": {"data": data, "params": DIAGNOSE["diagnose"]["params"]}})
    lab.guilty = frozenset({"--set=lr=2"})
    record = lab.diagnose()
    assert [str(each) for each in record.inquiry.left_out] == ["data"]
    assert "left out: the data (a run does not have what it is set by: tags.days)." in lab.said[-1]


def test_reruns_that_say_that_they_have_all_parts_all_the_same_accuse_none_of_them(make_lab, monkeypatch):
    monkeypatch.setitem(OLD, "tags", {"herald.data_hash": "d1", "days": "d01"})
    monkeypatch.setitem(NEW, "tags", {"herald.data_hash": "d2", "days": "d01 d02 d03 d04"})
    lab = make_lab({"diagnose": {"data": {"arguments": ["--days={parts}"], "parts": "tags.days"}}})

    def train(job: Job) -> JobStatus:
        lab.jobs.append(job)
        is_old = "--days=d01" in job.command
        tags = {FIRE_TAG: job.fire_id, "herald.data_hash": "d1" if is_old else "d2"}
        lab.log((0.80 if is_old else 0.75) + NOISE[len(lab.jobs) % len(NOISE)], f"job{len(lab.jobs)}", tags=tags)
        return ENDED

    lab.executor._carry_out = train
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.cause == Alone(0)
    assert record.diagnosis.narrowed is not None
    assert (record.diagnosis.narrowed.first, record.diagnosis.narrowed.last) == (0, 2)
    assert "Reruns could not tell which of the 3 parts of the data that changed it is." in lab.said[-1]


def test_a_commit_that_is_gone_is_found_out_before_anything_is_rerun_and_named_with_why(make_code_lab, history):
    lab, workshop = make_code_lab("f" * 40, history[1][5])
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert not record.diagnosis.is_sure
    assert workshop.ran == []
    assert "No rerun was made." in lab.said[-1]
    said = f"left out: the commit (the commit is not in the repository: {'f' * 12})."
    assert said in lab.said[-1]


def test_where_the_commit_of_the_bad_run_is_gone_too_that_is_said(make_code_lab):
    lab, _ = make_code_lab("f" * 40, "e" * 40)
    lab.diagnose()
    assert f"not in the repository: {'f' * 12}; nor can that of the bad run be had: {'e' * 12})" in lab.said[-1]


def test_without_what_cannot_be_set_the_guilty_one_of_the_others_is_found(make_lab, history, monkeypatch):
    monkeypatch.setitem(OLD["tags"], COMMIT_TAG, "f" * 40)
    monkeypatch.setitem(NEW["tags"], COMMIT_TAG, history[1][5])
    lab = make_lab(
        {
            "diagnose": {**DIAGNOSE["diagnose"], "code": {"git": str(history[0])}},
            "job": {**JOB["job"], "cwd": str(history[0])},
        }
    )
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert str(record.inquiry.swaps[record.diagnosis.cause.component].component) == "data"
    assert {job.cwd.name for job in lab.jobs} == {history[1][5]}, "the code stays as it is"
    assert "left out: the commit (the commit is not in the repository" in lab.said[-1]
    assert "failed" not in lab.said[-1]


def test_data_whose_folder_is_gone_are_left_out_and_named(make_lab):
    data = {"arguments": ["--data={tags.data_folder}"], "needs": ["{tags.data_folder}.csv"]}
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "data": data}})
    (lab.folder / "new.csv").touch()
    lab.guilty = frozenset({"--set=lr=2"})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.is_sure
    assert all("--data=new" in job.command for job in lab.jobs)
    assert "left out: the commit, the data (a path that it needs is not there: old.csv)." in lab.said[-1]


def test_why_a_rerun_failed_is_told_without_secrets_and_escaped_wherever_it_is_shown(make_lab, capsys):
    lab = make_lab({"job": {**JOB["job"], "environment": {"STORE_TOKEN": "s3cr3t-word"}}})
    lab.breaks = frozenset({1})
    train = lab.executor._carry_out

    def failing(job: Job) -> JobStatus:
        job.folder.mkdir(parents=True)
        (job.folder / "log").write_text("loading\nValueError: *no* | row for s3cr3t-word\n\n")
        return train(job)

    lab.executor._carry_out = failing
    asked = lab.begin().inquiry.inquiry_id
    lab.look()
    print_status(overview(lab.herald), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert ": the job failed (exit code 3: ValueError: *no* | row for …)" in said
    lab.serve()
    assert r"| the job failed (exit code 3: ValueError: \*no\* ∣ row for …) |" in lab.said[-1]
    record = lab.record(asked)
    with lab.database.begin() as tx:
        trials = trials_of(tx, record.inquiry)
    capsys.readouterr()
    print_inquiry(record, trials, [], "", as_json=True)
    (failed,) = [each["trouble"] for each in json.loads(capsys.readouterr().out)["reruns"] if each["trouble"]]
    assert failed == {"kind": "failed", "said": "ValueError: *no* | row for …", "exit_code": 3}
    print_inquiry(record, trials, [], "", as_json=False)
    assert "the job failed (exit code 3: ValueError: *no* | row for …)" in capsys.readouterr().out
    reader = Reader(lab.herald.config, lab.database, None, WallTime(lab.clock))
    with serving(make_app(reader), "127.0.0.1:0") as at:
        address = f"{at}/incidents/{record.inquiry.incident_id}"
        assert "ValueError: *no* | row for …" in httpx.get(address, timeout=20, follow_redirects=True).text


OWNERS = {"data": {"owner": "Data team", "assignee": "5b10ac"}, "params": {"owner": "Li"}}


def test_whoever_has_what_did_it_is_told_on_the_ticket_and_in_the_digest_once_it_is_proven(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "owners": OWNERS}})
    lab.diagnose()
    assert "It is for [~accountid:5b10ac] to see to." in lab.said[-1]
    told = preview(lab.herald, compose_digest(lab.herald, lab.now - timedelta(days=2)))
    assert "Reruns say that the data of 24 Nov explains it, 99" in told.replace("\N{NO-BREAK SPACE}", " ")
    assert "It is for Data team to see to" in told


def test_on_trello_an_owner_is_mentioned_by_the_user_name_that_config_has():
    trello = TrelloSection.model_validate(
        {"kind": "trello", "key": "k", "token": "t", "board": "nC8QJoZi", "mentions": {"5b10" * 6: "ana_chen"}}
    )
    assert trello.mention_of("5b10" * 6) == "@ana_chen"
    assert trello.mention_of("f" * 24) == ""
    mention = MARKDOWN.constructs["mention"]
    assert mention("Ana *A*", "@ana_chen") == r"Ana \*A\* (@ana_chen)"
    assert mention("Ana *A*", "accountid:5b10") == r"Ana \*A\*"


def test_what_is_not_sure_is_nobodys_and_no_news_for_the_digest(make_lab):
    lab = make_lab({"diagnose": {**DIAGNOSE["diagnose"], "owners": OWNERS, "reruns": 1}})
    lab.diagnose()
    assert "It is for" not in lab.said[-1]
    assert "Reruns say" not in preview(lab.herald, compose_digest(lab.herald, lab.now - timedelta(days=2)))


def test_a_parameter_has_its_own_owner_or_that_of_all_of_them():
    section = DiagnoseSection.model_validate(
        {**DIAGNOSE["diagnose"], "owners": {**OWNERS, "params.lr": {"owner": "Ana"}}}
    )
    lr, batch = (section.owner_of(Component(ComponentKind.PARAM, name)) for name in ("lr", "batch"))
    assert lr is not None
    assert lr.owner == "Ana"
    assert batch is not None
    assert batch.owner == "Li"
    assert section.owner_of(Component(ComponentKind.CODE)) is None
    with pytest.raises(ValueError, match="owners: 'dta' should be one of data, test_set, code, params"):
        DiagnoseSection.model_validate({**DIAGNOSE["diagnose"], "owners": {"dta": {"owner": "Ana"}}})


@pytest.mark.parametrize("data", [{"arguments": ["--days={parts}"]}, {"arguments": ["--data=x"], "parts": "tags.days"}])
def test_parts_are_listed_and_set_or_neither(make_lab, data):
    with pytest.raises(ValueError, match=r'should have both parts = "tags.NAME"'):
        make_lab({"diagnose": {"data": data}})


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


def examined(lab: Lab) -> list[str]:
    section = lab.herald.config.pipeline["search"]
    with lab.database.begin() as tx:
        return [
            f"{'ok' if each.ok else 'not'}: {each.said}" for each in check_diagnose(tx, "search", section, lab.folder)
        ]


def test_the_doctor_says_that_all_of_it_can_be_set_as_in_the_newest_good_run(make_lab):
    assert examined(make_lab()) == ["ok: sets data, params: as in run10"]


def test_the_doctor_says_what_could_not_be_set_as_in_the_newest_good_run_and_what_is_never_seen(
    make_lab, history, monkeypatch
):
    monkeypatch.setitem(OLD["tags"], COMMIT_TAG, "f" * 40)
    part = {
        "code": {"git": str(history[0])},
        "data": {"arguments": ["--days={parts}"], "parts": "tags.days"},
        "machine": {"arguments": ["--on={tags.host}"]},
        "environment": {"lock": "{tags.data_folder}.lock", "make": ["no-such-tool", "{folder}"]},
        "owners": {"params.depth": {"owner": "Ana"}},
    }
    said = examined(make_lab({"diagnose": part}))
    assert said[0].startswith(f'not: code.git = "{history[0]}": the job works in ')
    cannot = "it cannot be set as in the newest good run, run10"
    assert said[1:] == [
        "not: environment.make: there is no program 'no-such-tool' on the PATH of the job",
        "not: data: the newest good run, run10, has no tags.days: it cannot be set as it was there",
        f"not: code: {cannot}: the commit is not in the repository ({'f' * 12})",
        "ok: environment: run10 does not say which it had, so that no change of it is ever seen",
        f"not: environment: {cannot}: the lock file cannot be read (old.lock: No such file or directory)",
        "ok: machine: run10 does not say which it had, so that no change of it is ever seen",
        "not: machine: the newest good run, run10, has no tags.host: it cannot be set as it was there",
        "ok: owners: run10 has no parameter 'depth'",
    ]


def test_a_rerun_of_another_commit_than_the_bad_run_counts_as_nothing_and_earlier_ones_still_count(make_lab):
    lab = make_lab({"diagnose": {"params": DIAGNOSE["diagnose"]["params"], "reruns": 1}})
    commit = NEW["tags"][COMMIT_TAG]

    def train(job: Job) -> JobStatus:
        lab.jobs.append(job)
        tags = {FIRE_TAG: job.fire_id, COMMIT_TAG: commit}
        lab.log(0.75 if commit == "c2" else 0.80, f"job{len(lab.jobs)}", tags=tags)
        return ENDED

    lab.executor._carry_out = train
    lab.diagnose()
    commit = "c3"  # somebody has mended it, where the job works
    lab.herald = lab.make(diagnose={"params": DIAGNOSE["diagnose"]["params"], "reruns": 7})
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert not record.diagnosis.is_sure
    assert len(record.inquiry.known) == 1
    assert "it ran on commit c3, not on c2 of the bad run" in lab.said[-1]
    with lab.database.begin() as tx:
        assert {each.value for each in trials_of(tx, record.inquiry)} == {None}


def test_what_a_rerun_has_to_have_as_the_bad_run_is_what_nobody_sets_and_what_does_not_follow_from_what_is_set():
    section = DiagnoseSection.model_validate(DIAGNOSE["diagnose"])
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    old, new = (
        Run(size, size, RunStatus.FINISHED, moment, moment, params={"vocabulary": size}, tags=each["tags"])
        for size, each in (("10", OLD), ("20", NEW))
    )
    kept = {str(each.component): each for each in kept_of(section, [old, old], new)}
    assert kept["code"].identity == "c2"
    assert kept["param.vocabulary"].may_follow

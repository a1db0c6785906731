"""Reruns of a run that looks bad: what is made again, what becomes of it, and that no kill loses or doubles any of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bot.cli.output.status import print_status
from bot.domain.capabilities import TicketState
from bot.domain.fires import FireState
from bot.domain.incidents import IncidentState, Kind, SeriesKey
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.recipes import Recipe
from bot.domain.rerun_answers import Cause
from bot.domain.runs import Run, RunResult
from bot.ports import JobState, JobStatus
from bot.reports.overview import overview
from bot.store import confirmations, fires, runs
from tests.unit.cycle_bench import EAGER, GOOD, JOB, Bench
from tests.unit.judge.judged_runs import make_table
from tests.unit.state_samples import SECOND

BASELINE = {"arguments": ["--data={params.data}"], "environment": {"OLD": "{run_id}"}, "cwd": "{params.data}"}


@pytest.fixture
def make_bench(sqlite_url, tmp_path):
    made = []

    def make_bench(confirm: dict, *parts: dict, good=GOOD) -> Bench:
        pipeline = {key: value for part in (EAGER, JOB, {"confirm": confirm}, *parts) for key, value in part.items()}
        made.append(Bench(tmp_path, sqlite_url, pipeline))
        for value in good:
            made[-1].log(value, params={"data": "old"})
        return made[-1]

    yield make_bench
    for bench in made:
        bench.database.close()


def told(bench: Bench) -> str:
    return bench.ticket.draft.body.splitlines()[0].replace("\N{NO-BREAK SPACE}", " ")


def recorded(bench: Bench) -> list[str]:
    with bench.database.begin() as tx:
        return [judged.run.run_id for judged in runs.recent(tx, SeriesKey("search"), 50)]


def test_a_fall_that_a_rerun_shows_is_told_with_the_values_that_show_it(make_bench):
    bench = make_bench({"reruns": 2})
    bench.values = [0.60, 0.61]
    (judged,) = bench.run().judged[-1:]
    assert judged.outcome.value == "regressed"
    assert told(bench).endswith("A rerun with another seed shows the same (0.6100).")
    assert len(bench.jobs) == 2, "no more than settle the matter"


def test_a_rerun_is_no_run_of_the_series_nor_baseline_whoever_looks(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.60, 0.61]
    bench.run()
    bench.values = [0.60]
    bench.run()
    assert recorded(bench)[-2:] == ["job1", "job3"]
    assert bench.herald.cycle("search").judge_only().judged == []
    (incident,) = bench.incidents()
    assert incident.bad_runs == ("job1", "job3")


def test_the_report_of_a_run_waits_for_its_reruns_and_is_written_once(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.60, 0.61]
    bench.run()
    reports = [page for page in bench.wiki.pages.values() if "job" in page.draft.title]
    assert [page.draft.title for page in reports] == ["search: job1 (job1)"]
    assert "A rerun with another seed shows the same" in reports[0].storage


def test_a_fall_that_no_rerun_shows_was_luck_is_told_to_nobody_and_makes_the_run_baseline(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.60, 0.80]
    (judged,) = bench.run().judged[-1:]
    assert (judged.outcome.value, judged.findings[0].reason.value, judged.accepted) == ("ok", "not_reproduced", True)
    assert bench.tracker.tickets == {}
    assert [i.state for i in bench.incidents()] == [IncidentState.DISMISSED]
    report = next(page for page in bench.wiki.pages.values() if "job1" in page.draft.title)
    assert "which was luck: a rerun with another seed does not show it (0.8000)." in report.storage


@pytest.mark.parametrize(
    ("of_before", "cause", "says"),
    [
        (0.80, Cause.CHANGE, "and one of the baseline's recipe does not (0.8000): it is the change."),
        (0.60, Cause.OUTSIDE, "it is not the change, but the test set, the environment or the machine."),
    ],
)
def test_the_recipe_of_before_tells_a_broken_change_from_a_broken_machine(make_bench, of_before, cause, says):
    bench = make_bench({"reruns": 1, "baseline": BASELINE})
    bench.values = [0.60, 0.61, of_before]
    bench.run()
    assert says in told(bench)
    last = bench.jobs[-1]
    assert last.command == ("train", "--seed=3", f"--fire={last.fire_id}", "--data=old")
    assert (last.environment["OLD"], last.environment["A"], last.cwd.name) == ("run3", "1", "old")
    with bench.database.begin() as tx:
        assert confirmations.of_runs(tx, "search", ["job1"])["job1"].answers[0].cause is cause


def test_a_recipe_of_before_that_cannot_be_set_is_left_out(make_bench):
    bench = make_bench({"reruns": 1, "baseline": {"arguments": ["{params.learning_rate}"]}})
    bench.values = [0.60, 0.61]
    bench.run()
    assert told(bench).endswith("A rerun with another seed shows the same (0.6100).")


def test_reruns_that_cannot_tell_end_with_the_budget_and_the_next_run_tells(make_bench):
    wide = (0.75, 0.80, 0.85, 0.78, 0.82)
    bench = make_bench({"reruns": 1, "budget": 2}, good=wide)
    bench.values = [0.55, 0.69, 0.69]
    bench.run()
    assert len(bench.jobs) == 3
    assert [i.state for i in bench.incidents()] == [IncidentState.CANDIDATE]
    bench.values = [0.80]
    bench.run()
    assert [i.state for i in bench.incidents()] == [IncidentState.DISMISSED]


def test_a_rerun_that_fails_says_nothing_and_is_no_incident(make_bench):
    bench = make_bench({"reruns": 1, "budget": 2})
    bench.values = [0.60]

    def once(step: str) -> None:
        if step == "run.recorded" and len(bench.jobs) == 1:
            bench.ends_with(JobStatus(JobState.ENDED, 1))
            bench.values = [0.61]

    bench.steps = once
    bench.run()
    assert [(i.kind, i.state) for i in bench.incidents()] == [(Kind.REGRESSED, IncidentState.OPEN)]
    assert bench.fires() == [FireState.ENDED, FireState.FAILED, FireState.ENDED]


def test_where_weighing_a_rerun_breaks_it_is_over_all_the_same_and_the_next_run_tells(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.60, 0.61, 0.59]

    def break_off(step: str) -> None:
        if step == "rerun.owing":
            raise ValueError("a number that nobody foresaw")

    bench.steps = break_off
    bench.run()
    assert bench.fires() == [FireState.ENDED, FireState.ENDED]
    assert bench.tracker.tickets == {}
    bench.steps = lambda _: None
    bench.run()
    assert bench.ticket.state is TicketState.TODO


def test_what_others_logged_is_not_made_again_since_nobody_knows_how(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.80]
    bench.run()
    bench.log(0.60)
    bench.values = [0.60]
    bench.run()
    assert len(bench.jobs) == 2
    assert bench.ticket.state is TicketState.TODO, "the next run confirmed it"


def test_a_limit_that_a_rerun_breaks_is_told_after_it(make_bench):
    bench = make_bench({"reruns": 1}, {"metrics": {"ndcg": {"max": 0.9}}}, good=())
    bench.values = [0.95, 0.96]
    bench.run()
    assert (
        told(bench) == "ndcg is at 0.9500, above its limit of 0.9. A rerun with another seed shows the same (0.9600)."
    )


def test_a_run_that_comes_late_takes_nothing_back_of_what_reruns_showed(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.60, 0.61]
    bench.run()
    then = bench.now - timedelta(minutes=3)
    late = bench.log(0.803, "late", ended=then, started=then)
    assert late.ended < bench.now
    bench.values = [0.60]
    bench.run()
    assert bench.ticket.state is TicketState.TODO
    with bench.database.begin() as tx:
        assert runs.find(tx, "search", "job1").outcome.value == "regressed"


class Killed(BaseException):
    """The process ends."""


STORY = {"reruns": 2, "baseline": {"arguments": ["--data={params.data}"]}}


def play(bench: Bench, kill_at: int | None = None) -> int:
    """Let a fall be found, made again and settled; with *kill_at* the process ends at that step. Return the steps."""
    taken = 0

    def step(_name: str) -> None:
        nonlocal taken
        taken += 1
        if taken == kill_at:
            raise Killed

    bench.values = [0.60, 0.61, 0.80]
    due = bench.now + SECOND
    bench.steps = step
    try:
        bench.herald.cycle("search").run(due)
    except Killed:
        bench.herald = bench.make()
        bench.now += timedelta(hours=1)  # leases of the dead lapse
        bench.herald.cycle("search").run(due)
    bench.steps = lambda _: None
    return taken


def seen(bench: Bench) -> list:
    """Return what stands once all is delivered."""
    assert bench.herald.dispatcher.drain().failures == []
    (incident,) = bench.incidents()
    with bench.database.begin() as tx:
        found = fires.of_pipeline(tx, "search")
        answers = confirmations.of_runs(tx, "search", ["job1"])["job1"].answers
    states = [(fire.number, fire.state, fire.recipe.name, fire.is_rerun) for fire in found]
    return [states, answers, incident.state, incident.bad_runs, told(bench), len(bench.jobs), sorted(bench.pages)]


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
def test_whatever_is_killed_at_any_step_each_rerun_is_made_once_and_the_matter_told_once(
    make_bench, sqlite_url, tmp_path, every
):
    empty = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    whole = make_bench(STORY)
    steps, expected = play(whole), seen(whole)
    whole.database.close()
    for kill_at in range(1, steps + 1, every):
        state = tmp_path / f"killed-{kill_at}.db"
        state.write_bytes(empty)
        bench = Bench(tmp_path / str(kill_at), f"sqlite:///{state}", whole.pipeline)
        for value in GOOD:
            bench.log(value, params={"data": "old"})
        play(bench, kill_at)
        assert seen(bench) == expected, f"killed at step {kill_at} of {steps}"
        bench.database.close()


def test_a_rerun_of_which_only_the_tag_is_known_is_no_news_to_a_pipeline_that_watches_it(make_bench):
    bench = make_bench({"reruns": 1})
    bench.values = [0.60, 0.61]
    bench.run()
    with bench.database.begin() as tx:
        (rerun,) = fires.reruns_of(tx, "search", "job1")
        tagged = replace(bench.log(0.5, "elsewhere"), tags={FIRE_TAG: rerun.fire_id})
        assert fires.made_by_reruns(tx, [tagged, replace(tagged, run_id="x", tags={})]) == {"elsewhere"}


def test_reruns_under_way_are_named_with_the_run_that_they_ask_about(make_bench, capsys):
    bench = make_bench({"reruns": 1})
    with bench.database.begin() as tx:
        fire = fires.record(tx, "search", bench.now, "run4", recipe=Recipe("baseline", ("--old",)))
        fires.save(tx, replace(fire, started_at=bench.now))
    print_status(overview(bench.herald), as_json=False)
    assert "made again by the baseline recipe: search run4, since" in capsys.readouterr().out
    print_status(overview(bench.herald), as_json=True)
    assert '"recipe": "baseline"' in capsys.readouterr().out


def test_a_fall_that_reruns_show_is_told_with_the_examples_that_lost_most(make_bench, monkeypatch):
    bench = make_bench({"reruns": 1}, {"examples": {"attached": 50}}, good=())
    random = np.random.default_rng(4)
    level = random.uniform(0.6, 1.0, 60)

    def log(value: float, run_id: str, **changes) -> Run:
        lost = np.where(np.arange(60) < 6, (0.8 - value) * 10, 0.0)
        values = level - lost + random.normal(0, 0.002, 60)
        run = Bench.log(bench, float(values.mean()), run_id, **changes)
        bench.store.add("search", RunResult(run, examples=make_table(values, ["A"] * 60, "ndcg")))
        return run

    monkeypatch.setattr(bench, "log", log)
    for number in range(6):
        bench.log(0.80, f"run{number + 1}")
    bench.values = [0.74, 0.74]
    bench.run()
    assert "A rerun with another seed shows the same" in told(bench)
    assert "What lost most" in bench.ticket.draft.body
    assert [name for name in bench.ticket.attachments if name.endswith(".csv")]

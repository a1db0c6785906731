"""A run that breaks what judges it is set aside, with why; the others are judged as if it were not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import update

from bot.cli.output.status import print_status
from bot.domain.incidents import IncidentState, Kind
from bot.domain.judge import Outcome
from bot.domain.runs import ExampleTable, RunResult, RunStatus, Trouble, Unread
from bot.errors import ArtifactsAwayError, RowRefusedError, RunStoreError, StateError
from bot.ports import JobState, JobStatus
from bot.reports.overview import overview
from bot.store import quarantine, runs
from bot.store.quarantine import SetAside
from bot.store.tables import runs as stored
from bot.store.tables import series_states
from tests.unit.cycle_bench import GOOD, JOB, Bench
from tests.unit.state_samples import MINUTE

DAY = timedelta(days=1)
BAD = 0.4
POISON = "poison"


@pytest.fixture
def make_bench(sqlite_url, tmp_path):
    made = []

    def make(*parts: dict) -> Bench:
        made.append(Bench(tmp_path, sqlite_url, {key: value for part in parts for key, value in part.items()}))
        return made[-1]

    yield make
    for bench in made:
        bench.database.close()


@pytest.fixture
def bench(make_bench) -> Bench:
    return make_bench({"tickets": {"comment_every": "0s"}, "publish": "all"})


def set_aside(bench: Bench) -> list[SetAside]:
    with bench.database.begin() as tx:
        return list(quarantine.of_pipeline(tx, "search"))


def is_judged(bench: Bench, run_id: str) -> bool:
    with bench.database.begin() as tx:
        return runs.is_seen(tx, "search", run_id)


def judged(bench: Bench, run_id: str):
    with bench.database.begin() as tx:
        return runs.find(tx, "search", run_id)


def break_at(seam: str, bench: Bench, monkeypatch, error: Exception) -> None:
    """Let a seam break whenever it deals with the poisoned run."""
    from bot.domain import conclusion, ruled_assessment
    from bot.domain import weaving as late_runs
    from bot.judging import facts, run_recording, telling, weaving
    from bot.judging.views import page

    broken: dict[str, tuple[object, str, Callable[..., str]]] = {
        "load": (bench.store, "load", lambda run: run.run_id),
        "assess": (ruled_assessment, "assess", lambda _state, result, *_: result.run_id),
        "advance": (conclusion, "advance", lambda _standing, assessment, *_: assessment.run_id),
        "compose": (telling, "view_of", lambda _effect, on: on.result.run_id),
        "page title": (facts, "page_title", lambda _title, run, *_: run.run_id),
        "chart": (page, "chart_view", lambda on, *_: on.result.run_id),
        "record": (run_recording.runs, "record", lambda _tx, one: one.run.run_id),
        "owe": (run_recording.outbox, "owe", lambda _tx, _name, owed, *_: next(iter(owed))[0].target.name),
    }
    where, name, run_of = broken[seam]
    whole = getattr(where, name)

    def breaks(*given, **named):
        if POISON in run_of(*given):
            raise error
        return whole(*given, **named)

    monkeypatch.setattr(where, name, breaks)
    also = {"advance": late_runs, "compose": weaving}  # by the time it is tried again, later runs were judged
    if seam in also:
        monkeypatch.setattr(also[seam], name, breaks)


SEAMS = ["load", "assess", "advance", "compose", "page title", "chart", "record"]


@pytest.mark.parametrize("seam", SEAMS)
def test_a_run_that_breaks_a_seam_is_set_aside_and_a_fall_after_it_is_told(bench, monkeypatch, seam):
    bench.outcomes([*GOOD, *GOOD])
    break_at(seam, bench, monkeypatch, ZeroDivisionError("nobody foresaw this"))
    bench.log(GOOD[0], POISON)
    for _ in range(5):
        bench.log(BAD)
    report = bench.run()
    assert [each.outcome for each in report.judged[1:]] == [Outcome.REGRESSED] * 4
    (incident,) = bench.incidents(IncidentState.OPEN)
    assert incident.kind is Kind.REGRESSED
    assert POISON not in incident.bad_runs
    (told,) = set_aside(bench)
    assert (told.run_id, told.tries, told.why) == (POISON, 1, "ZeroDivisionError: nobody foresaw this")
    assert list(report.set_aside) == [told]
    bench.outcomes([BAD])
    assert set_aside(bench) == [told]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RecursionError("too deep"), OverflowError(34, "x"), RowRefusedError("too long"), KeyError("ndcg")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_it_breaks_with_is_said(bench, monkeypatch, error):
    break_at("assess", bench, monkeypatch, error)
    bench.log(GOOD[0], POISON)
    assert bench.outcomes([GOOD[1]]) == ["no_baseline"]
    (told,) = set_aside(bench)
    assert told.why.startswith(f"{type(error).__name__}: ")


@pytest.mark.parametrize("error", [RunStoreError("MLflow is away"), StateError("the disk is full")])
def test_what_is_no_single_runs_affair_is_raised(bench, monkeypatch, error):
    break_at("load", bench, monkeypatch, error)
    bench.log(GOOD[0], POISON)
    with pytest.raises(type(error), match=str(error)):
        bench.run()
    assert set_aside(bench) == []


def test_one_that_breaks_after_all_was_stored_is_judged(bench):
    def breaks(step: str) -> None:
        if step == "run.recorded":
            raise ValueError(step)

    bench.steps = breaks
    bench.log(GOOD[0])
    bench.run()
    assert set_aside(bench) == []
    assert is_judged(bench, "run1")


def test_words_that_no_database_takes_are_stored_without(bench, monkeypatch):
    break_at("assess", bench, monkeypatch, ValueError("half \ud800 and \x00" + "x" * 9999 + "\nand more"))
    bench.log(GOOD[0], POISON)
    bench.run()
    (told,) = set_aside(bench)
    assert told.why.startswith("ValueError: half ? and \ufffdxxx")
    assert len(told.why) < 450


def test_it_is_tried_again_a_few_times_and_by_the_next_version(bench, monkeypatch):
    break_at("assess", bench, monkeypatch, ValueError("always"))
    bench.log(GOOD[0], POISON)
    tries = []
    for _ in range(40):
        bench.run()
        tries.append(set_aside(bench)[0].tries)
        bench.now += 6 * 60 * MINUTE
    assert (tries[0], tries[-1]) == (1, 4)
    assert set_aside(bench)[0].not_before is None
    monkeypatch.setattr("bot.judging.setting_aside.__version__", "99.0")
    monkeypatch.setattr("bot.pipeline.new_runs.GuardedJudge", lambda context: _guarded(context, "99.0"))
    bench.run()
    assert (set_aside(bench)[0].tries, set_aside(bench)[0].version) == (1, "99.0")


def _guarded(context, version: str):
    from bot.judging.setting_aside import GuardedJudge

    return GuardedJudge(context, version)


def test_it_is_judged_once_it_no_longer_breaks_anything(bench, monkeypatch):
    bench.outcomes([*GOOD])
    with monkeypatch.context() as broken:
        break_at("assess", bench, broken, ValueError("for now"))
        bench.log(GOOD[0], POISON)
        bench.run()
    bench.run()
    assert not is_judged(bench, POISON)  # its time has not come
    bench.now += 11 * MINUTE
    assert [one.run.run_id for one in bench.run().judged] == [POISON]
    assert set_aside(bench) == []


def test_one_that_was_deleted_meanwhile_is_forgotten(bench, monkeypatch):
    break_at("assess", bench, monkeypatch, ValueError("always"))
    bench.log(GOOD[0], POISON)
    bench.run()
    bench.store.remove("search", POISON)
    bench.now += DAY
    bench.run()
    assert set_aside(bench) == []


@pytest.mark.parametrize("seam", SEAMS)
def test_a_job_whose_run_is_set_aside_is_over_and_the_next_due_times_have_jobs_of_their_own(
    make_bench, monkeypatch, seam
):
    bench = make_bench(JOB, {"publish": "all"})
    break_at(seam, bench, monkeypatch, ValueError("poison"))
    whole = bench.carry_out

    def carry_out(job):
        if len(bench.jobs) != 3:
            return whole(job)
        bench.jobs.append(job)
        bench.log(GOOD[0], POISON, tags={"herald.fire_id": job.fire_id})
        return JobStatus(JobState.ENDED, 0)

    bench.executor._carry_out = carry_out
    bench.values = [*GOOD, *GOOD, *GOOD]
    for _ in range(10):
        bench.now += 60 * MINUTE
        bench.run()
    assert len(bench.jobs) == len({job.fire_id for job in bench.jobs}) == 10
    assert bench.fires() == ["ended"] * 10
    (told,) = set_aside(bench)
    assert told.run_id == POISON


def test_a_failure_that_cannot_be_told_is_set_aside_and_told_later(make_bench, monkeypatch):
    bench = make_bench(JOB)
    bench.ends_with(JobStatus(JobState.ENDED, 3), "Traceback: out of memory")
    with monkeypatch.context() as broken:
        from bot.judging.views import by_effect

        def breaks(*_given, **_named):
            raise ValueError("no words")

        broken.setattr(by_effect, "ticket_view", breaks)
        bench.run()
    (told,) = set_aside(bench)
    assert (bench.fires(), told.log_tail) == (["failed"], "Traceback: out of memory")
    bench.now += 11 * MINUTE
    bench.values = [GOOD[0]]
    bench.run()
    assert set_aside(bench) == []
    assert "out of memory" in bench.ticket.draft.body


def test_among_runs_of_long_ago_only_the_one_that_breaks_is_set_aside(bench, monkeypatch):
    for number in range(60):
        bench.log(GOOD[number % 3], POISON if number == 7 else None)
    break_at("record", bench, monkeypatch, ValueError("poison"))
    bench.run()
    assert [told.run_id for told in set_aside(bench)] == [POISON]
    assert set_aside(bench)[0].was_past
    with bench.database.begin() as tx:
        assert runs.count(tx, "search") == 59


def test_one_of_the_past_that_breaks_is_no_news_when_it_is_judged_at_last(bench, monkeypatch):
    for number in range(8):
        bench.log(BAD if number == 7 else GOOD[number % 3], POISON if number == 7 else None)
    with monkeypatch.context() as broken:
        break_at("assess", bench, broken, ValueError("poison"))
        bench.run()
    bench.now += DAY
    bench.run()
    assert is_judged(bench, POISON)
    assert bench.tracker.tickets == {}


def test_a_baseline_run_whose_artifacts_break_counts_by_its_metrics(bench, monkeypatch):
    bench.log(GOOD[0], POISON)
    bench.run()
    bench.outcomes([*GOOD, *GOOD])
    break_at("load", bench, monkeypatch, ValueError("its table is a trap"))
    bench.outcomes([BAD] * 3)
    assert set_aside(bench) == []
    assert len(bench.incidents(IncidentState.OPEN)) == 1


def test_a_released_run_whose_artifacts_break_counts_by_its_metrics(make_bench, monkeypatch):
    bench = make_bench({"release": {"run": POISON}})
    bench.log(GOOD[0], POISON)
    bench.run()
    break_at("load", bench, monkeypatch, ValueError("its table is a trap"))
    bench.outcomes([*GOOD])
    assert set_aside(bench) == []


def with_examples(bench: Bench, value: float, run_id: str) -> None:
    run = bench.log(value, run_id)
    ids = np.array([str(number) for number in range(50)])
    examples = ExampleTable(ids, np.ones(50), {"ndcg": np.full(50, value)})
    bench.store.add("search", RunResult(run, examples=examples))


def test_a_run_whose_examples_break_the_comparison_is_judged_by_its_metrics(bench, monkeypatch):
    from bot.domain import ruled_assessment

    whole = ruled_assessment.assess

    def breaks(state, result, *given):
        if result.run_id == POISON and result.examples is not None:
            raise np.linalg.LinAlgError("Singular matrix")
        return whole(state, result, *given)

    monkeypatch.setattr(ruled_assessment, "assess", breaks)
    for number, value in enumerate(GOOD):
        with_examples(bench, value, f"good{number}")
    bench.run()
    with_examples(bench, GOOD[0], POISON)
    bench.run()
    told = judged(bench, POISON)
    assert told.outcome is Outcome.OK
    assert [each.trouble for each in told.unread] == [Trouble.NOT_COMPARED]
    assert "Singular matrix" in told.unread[0].detail


def test_artifacts_that_are_away_hold_up_their_run_for_three_tries(bench, monkeypatch):
    bench.outcomes([*GOOD])
    break_at("load", bench, monkeypatch, ArtifactsAwayError("no route to the store"))
    bench.log(GOOD[0], POISON)
    later = bench.log(GOOD[1])
    for _ in range(2):
        with pytest.raises(RunStoreError, match="no route to the store"):
            bench.run()
        assert not is_judged(bench, later.run_id)  # order is kept
        assert set_aside(bench) == []
    assert [one.run.run_id for one in bench.run().judged] == [POISON, later.run_id]
    assert [each.trouble for each in judged(bench, POISON).unread] == [Trouble.NOT_HAD]


def test_artifacts_that_come_back_are_read(bench, monkeypatch):
    with monkeypatch.context() as away:
        break_at("load", bench, away, ArtifactsAwayError("no route to the store"))
        bench.log(GOOD[0], POISON)
        with pytest.raises(RunStoreError):
            bench.run()
    bench.run()
    assert judged(bench, POISON).unread == ()
    with bench.database.begin() as tx:
        assert quarantine.find(tx, "search", POISON) is None


def test_runs_that_are_set_aside_are_no_silence(make_bench, monkeypatch):
    bench = make_bench({"stale": {"cadence": "1d", "grace": "1h"}})
    bench.outcomes([GOOD[0]])
    break_at("assess", bench, monkeypatch, ValueError("poison"))
    bench.now += 2 * DAY - 60 * MINUTE
    bench.log(GOOD[0], POISON)
    bench.run()
    bench.now += 60 * MINUTE
    bench.run()
    assert bench.incidents() == []


def test_a_series_whose_state_cannot_be_read_leaves_the_others_alone(make_bench):
    bench = make_bench({"series_by": ["params.model"]})
    for name in ("a", "b"):
        bench.log(GOOD[0], params={"model": name})
    bench.run()
    with bench.database.begin() as tx:
        tx.execute(update(series_states).where(series_states.c.series.like("%=a")).values(state='[{"judged": "x"}]'))
    for name in ("a", "b"):
        bench.log(GOOD[1], f"second {name}", params={"model": name})
    assert [one.run.run_id for one in bench.run().judged] == ["second b"]
    assert [told.run_id for told in set_aside(bench)] == ["second a"]


def test_status_says_how_many_are_set_aside_and_why(bench, monkeypatch, capsys):
    break_at("assess", bench, monkeypatch, ValueError("Singular [matrix]"))
    bench.log(GOOD[0], POISON)
    bench.run()
    capsys.readouterr()  # what was logged
    print_status(overview(bench.herald), as_json=True)
    (pipeline,) = json.loads(capsys.readouterr().out)["pipelines"]
    (told,) = pipeline["set_aside"]
    assert (told["run"], told["tries"], told["why"]) == (POISON, 1, "ValueError: Singular [matrix]")
    print_status(overview(bench.herald), as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "set aside: search: poison: ValueError: Singular [matrix] (tried 1 times" in shown


def test_what_a_run_was_judged_without_is_stored_and_shown(bench, capsys):
    bench.outcomes([*GOOD])
    run = bench.log(GOOD[0], POISON)
    unread = (
        Unread("data_card.json", Trouble.BROKEN, "not JSON: [line 1]"),
        Unread("per_example.parquet", Trouble.FOLDER),
    )
    bench.store.add("search", RunResult(run, unread=unread))
    report = bench.run()
    assert judged(bench, POISON).unread == unread
    capsys.readouterr()  # what was logged
    print_status(overview(bench.herald), as_json=True)
    (pipeline,) = json.loads(capsys.readouterr().out)["pipelines"]
    assert [each["trouble"] for each in pipeline["last"]["unread"]] == ["broken", "folder"]
    print_status(overview(bench.herald), as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "judged without: search: poison: data_card.json cannot be read: not JSON: [line 1]" in shown
    (page,) = [page for page in bench.wiki.pages.values() if "poison" in page.draft.title]
    assert "it was judged without that" in page.draft.body
    assert "<code>data_card.json</code> cannot be read: not JSON: [line 1]" in page.draft.body
    assert report.judged[0].outcome is Outcome.OK


def test_numbers_that_are_none_are_null_in_json(bench, capsys):
    bench.log(float("nan"))
    bench.run()
    capsys.readouterr()  # what was logged
    print_status(overview(bench.herald), as_json=True)
    (pipeline,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["pipelines"]
    assert pipeline["last"]["metrics"] == {"ndcg": None}


@pytest.mark.parametrize("value", [1e200, 1.7976931348623157e308, -1e200, float("inf"), float("-inf"), float("nan")])
def test_absurd_values_are_invalid_and_told_and_what_comes_after_is_judged(bench, value):
    bench.outcomes([*GOOD, *GOOD])
    assert bench.outcomes([value, GOOD[0], BAD, BAD]) == ["invalid", "ok", "suspicious", "regressed"]
    kinds = {incident.kind for incident in bench.incidents(IncidentState.OPEN)}
    assert Kind.REGRESSED in kinds


def test_a_log_that_mlflow_does_not_take_holds_nothing_up(make_bench, monkeypatch):
    bench = make_bench(JOB)

    def breaks(*_: object) -> None:
        raise RunStoreError("No module named 'boto3'")

    monkeypatch.setattr(bench.store, "attach_log", breaks)
    bench.values = [*GOOD]
    for _ in GOOD:
        bench.run()
    assert bench.fires() == ["ended"] * 3


def test_a_long_log_is_cut_before_it_is_kept_and_the_failure_has_its_end(make_bench):
    bench = make_bench({"job": {**JOB["job"], "log_limit": "10 kB"}})
    lines = "".join(f"step {number}\n" for number in range(10_000)) + "Traceback: " + "y" * 9000
    bench.ends_with(JobStatus(JobState.ENDED, 1), lines, run=RunStatus.FAILED)
    bench.run()
    (kept,) = bench.store.logs.values()
    assert len(kept) <= 10_000
    assert kept.startswith("step 0\n")
    assert "bytes were left out here (job.log_limit)" in kept
    tail = bench.ticket.draft.body
    assert "step 9999" in tail
    assert "y" * 400 in tail
    assert len(tail) < 5000


def test_the_doctor_names_what_is_set_aside_and_what_the_last_run_was_judged_without(bench, monkeypatch):
    from bot.doctor import _check_judged

    bench.outcomes([*GOOD])
    run = bench.log(GOOD[0])
    bench.store.add("search", RunResult(run, unread=(Unread("per_example.parquet", Trouble.TOO_LARGE, "9 rows"),)))
    break_at("assess", bench, monkeypatch, ValueError("Singular matrix"))
    bench.log(GOOD[0], POISON)
    bench.run()
    aside_check, artifact_check = _check_judged(bench.database, bench.herald.config)
    assert not aside_check.ok
    assert aside_check.said == "1 could not be judged; the latest, poison: ValueError: Singular matrix"
    assert artifact_check.ok
    assert artifact_check.said.endswith("per_example.parquet is too large to be read: 9 rows")


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (Trouble.BROKEN, "Mend what the runs log."),
        (Trouble.NOT_HAD, "See that the place which keeps it is there"),
        (Trouble.ABSENT, "the place which keeps it has not lost it"),
    ],
)
def test_the_doctor_sends_nobody_to_the_runs_for_what_the_place_of_their_artifacts_lacks(bench, trouble, remedy):
    from bot.doctor import _check_judged

    bench.store.add("search", RunResult(bench.log(GOOD[0]), unread=(Unread("data_card.json", trouble, ""),)))
    bench.run()
    (check,) = _check_judged(bench.database, bench.herald.config)
    assert remedy in check.remedy


@pytest.mark.parametrize("column", ["run", "card", "findings", "outcome", "unread"])
def test_a_stored_run_that_cannot_be_read_hides_no_other(bench, column, capsys):
    bench.outcomes([*GOOD, *GOOD])
    with bench.database.begin() as tx:
        broken = stored.c.run_id.in_(["run2", "run6"])
        tx.execute(update(stored).where(broken).values({column: '[{"half'}))
    bench.outcomes([BAD] * 3)
    assert len(bench.incidents(IncidentState.OPEN)) == 1
    assert set_aside(bench) == []
    print_status(overview(bench.herald), as_json=True)
    assert "run9" in capsys.readouterr().out

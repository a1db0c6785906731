"""First contact with runs that are there already: the past is read, and nothing is filed about it."""

from contextlib import suppress
from datetime import timedelta

import pytest
from mlflow import MlflowClient
from pydantic import SecretStr

from bot.cli.dry_run import run_dry
from bot.config.models import StoreSection
from bot.domain.incidents import IncidentState
from bot.domain.judge import Outcome
from bot.services.mlflow.run_store import MlflowRunStore
from bot.store import Database
from bot.store.backup import back_up, restore
from tests.watching.bench import BAD, GOOD, NAME
from tests.watching.many_runs import Written, milliseconds, write


def test_a_fall_that_stands_at_the_newest_run_is_filed_once(bench):
    ids = bench.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    assert len(bench.tracker.tickets) == 1
    (incident,) = bench.incidents()
    assert incident.bad_runs == tuple(ids[5:])
    assert [page.draft.title[-9:-1] for page in bench.wiki.pages.values() if page.draft.labels] == [ids[6][:8]]
    bench.cycle()
    assert len(bench.tracker.tickets) == 1


def test_the_next_bad_run_joins_the_incident_that_first_contact_filed(bench):
    bench.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.ahead = timedelta(days=2)
    bench.log(BAD, bench.now())
    bench.cycle()
    (ticket,) = bench.tracker.tickets.values()
    assert len(ticket.comments) == 1


def test_a_fall_of_long_ago_is_what_the_team_lives_with(bench):
    watching = {"experiment": "search", "watch": {"recent": 3}}
    ids = bench.log_row([GOOD] * 5 + [BAD] * 7, bench.now() - timedelta(hours=1))
    bench.cycle(**watching)
    assert bench.incidents() == []
    assert bench.tracker.tickets == {}
    assert bench.wiki.pages == {}
    assert all(bench.judged(run_id).accepted for run_id in ids)
    bench.ahead = timedelta(hours=1)
    as_ever = bench.log(BAD, bench.now())
    bench.cycle(**watching)
    assert bench.judged(as_ever).outcome is Outcome.OK


def test_a_fall_that_ended_is_over(bench):
    ids = bench.log_row([GOOD] * 5 + [BAD] * 2 + [GOOD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    assert bench.incidents() == []
    assert bench.tracker.tickets == {}
    assert all(bench.judged(run_id).accepted for run_id in ids)


def test_one_bad_run_at_the_end_is_a_candidate_that_nobody_hears_of(bench):
    bench.log_row([GOOD] * 5 + [BAD], bench.now() - timedelta(hours=1))
    bench.cycle()
    (incident,) = bench.incidents()
    assert incident.state is IncidentState.CANDIDATE
    assert bench.wiki.pages == {}
    bench.ahead = timedelta(hours=1)
    bench.log(BAD, bench.now())
    bench.cycle()
    (incident,) = bench.incidents()
    assert incident.state is IncidentState.OPEN
    assert len(bench.tracker.tickets) == 1


def test_a_run_of_the_past_without_a_value_is_no_baseline_and_no_ticket(bench):
    *_, broken = bench.log_row([GOOD] * 4 + [float("nan")], bench.now() - timedelta(hours=1))
    bench.cycle()
    assert bench.judged(broken).outcome is Outcome.INVALID
    assert not bench.judged(broken).accepted
    assert bench.incidents() == []


def test_a_run_that_was_still_running_is_news_once_it_ends(bench):
    bench.log_row([GOOD] * 5 + [BAD], bench.now() - timedelta(hours=1))
    running = bench.log(BAD, bench.now(), status="RUNNING")
    bench.cycle()
    assert bench.tracker.tickets == {}
    bench.ahead = timedelta(hours=1)
    bench.mlflow.set_terminated(running, "FINISHED", int(bench.now().timestamp() * 1000))
    bench.cycle()
    assert len(bench.tracker.tickets) == 1


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("step", ["run.recording", "run.owing", "run.recorded"])
def test_reading_the_past_goes_on_where_it_was_killed(bench, step):
    ids = bench.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    for killed_at in (2, 6, 7):
        left = iter(range(killed_at - 1, -1, -1))

        def kill(name, left=left):
            if name == step and next(left) == 0:
                raise KilledError

        with suppress(KilledError):  # it may come through to the end
            bench.herald(on_step=kill).cycle(NAME).run(bench.now())
    bench.cycle()
    assert all(bench.is_judged(run_id) for run_id in ids)
    assert len(bench.tracker.tickets) == 1


def test_a_longer_past_asks_mlflow_for_no_more_runs(bench, monkeypatch):
    asked: list[str] = []
    search = MlflowClient.search_runs

    def counting(self, ids, terms="", *words, **named):
        asked.append(terms)
        return search(self, ids, terms, *words, **named)

    monkeypatch.setattr(MlflowClient, "search_runs", counting)
    bench.log_row([GOOD] * 20, bench.now() - timedelta(hours=1))
    bench.cycle()
    assert sum("run_id" in terms for terms in asked) <= 1  # which of those that the newest is held against are there


def test_each_value_of_a_series_is_judged_by_itself(bench):
    watching = {"experiment": "search", "series_by": ["params.model", "tags.dataset"], "title": "Search"}
    end = bench.now() - timedelta(hours=1)
    for place in range(5):
        for model, value in (("bm25", 0.2), ("two-tower", 0.3)):
            when = end - timedelta(hours=10 - place)
            bench.log(value + 0.0005 * place, when, params={"model": model}, tags={"dataset": "web"})
    for hours in (1, 0):
        bench.log(
            0.2 + 0.001 * hours, end - timedelta(hours=hours), params={"model": "two-tower"}, tags={"dataset": "web"}
        )
    bench.cycle(**watching)
    (incident,) = bench.incidents()
    assert incident.series.series == "params.model=two-tower, tags.dataset=web"
    assert "Search / two-tower / web" in bench.titles()[0]


def test_how_far_it_has_come_is_told(bench):
    bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1))
    told = []
    bench.herald().cycle(NAME, lambda done, total: told.append((done, total))).run(bench.now())
    assert told == [(4, 0), (0, 4), (1, 4), (2, 4), (3, 4)]  # so many were read, and then judged


def test_a_dry_run_reads_the_past_and_leaves_no_trace(bench, tmp_path):
    bench.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    store = StoreSection(url=SecretStr(f"sqlite:///{tmp_path / 'state.db'}"))
    dry = run_dry(bench.config().model_copy(update={"store": store}), tmp_path, NAME)
    assert [said.what for said in dry.sent].count("open ticket") == 1
    assert bench.incidents() == []


def test_a_herald_that_lost_its_state_finds_its_ticket_and_its_page_again(bench, tmp_path):
    bench.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.database = Database(f"sqlite:///{tmp_path / 'anew.db'}")
    bench.database.migrate()
    bench.cycle()
    assert len(bench.tracker.tickets) == 1
    titles = [page.draft.title for page in bench.wiki.pages.values()]
    assert len(titles) == len(set(titles)) == 3
    bench.database.close()


def test_after_a_restore_what_happened_meanwhile_is_filed_once(bench, tmp_path):
    bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=9))
    bench.cycle()
    back_up(bench.database, tmp_path / "backup")
    bench.ahead = timedelta(hours=3)
    bench.log_row([BAD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle()
    restore(bench.database, tmp_path / "backup", bench.now(), replace=True)
    bench.cycle()
    assert len(bench.tracker.tickets) == 1
    assert [incident.state for incident in bench.incidents()] == [IncidentState.OPEN]


@pytest.fixture
def short_memory(monkeypatch):
    """Let a past of eight runs a series be judged, read four runs at a time."""
    monkeypatch.setattr("bot.services.mlflow.run_search._HISTORY_PAGE", 4)
    monkeypatch.setattr("bot.pipeline.new_runs.BASELINE_RUNS", 4)
    monkeypatch.setattr("bot.pipeline.new_runs._JUDGED_BY_METRICS", 2)
    return {"experiment": "search", "watch": {"recent": 2}}


def test_what_is_older_than_the_judge_leans_on_is_put_on_record_unjudged(bench, short_memory):
    ids = bench.log_row([GOOD] * 6 + [float("nan")] + [GOOD] * 6 + [BAD] * 2, bench.now() - timedelta(hours=1))
    report = bench.cycle(**short_memory)
    assert report.history == len(ids)
    on_record, judged = ids[:7], ids[7:]
    assert [bench.judged(run_id).findings for run_id in on_record] == [()] * 7
    assert [bench.judged(run_id).accepted for run_id in on_record] == [True] * 6 + [False]
    assert all(bench.judged(run_id).findings for run_id in judged)
    assert len(bench.tracker.tickets) == 1
    assert bench.cycle(**short_memory).judged == []


@pytest.mark.parametrize("killed_after", [2, 3])
def test_reading_a_long_past_goes_on_where_it_was_killed(bench, short_memory, killed_after, monkeypatch):
    """A series that has few runs is read again from the first of them that was not on record."""
    short_memory["series_by"] = ["params.model"]
    end = bench.now() - timedelta(hours=1)
    ids = bench.log_row([GOOD] * 22, end, params={"model": "often"})
    ids += [bench.log(GOOD, end - timedelta(hours=hours), params={"model": "seldom"}) for hours in (12.5, 0.5)]
    left = iter(range(killed_after - 1, -1, -1))

    def kill(name):
        if name == "past.recorded" and next(left) == 0:
            raise KilledError

    with suppress(KilledError):
        bench.herald(kill, **short_memory).cycle(NAME).run(bench.now())
    on_record = [run_id for run_id in ids if bench.is_judged(run_id)]
    assert on_record
    read = []
    history = MlflowRunStore.history

    def noting(*words):
        for page in history(*words):
            read.extend(run.run_id for _, run in page.runs)
            yield page

    monkeypatch.setattr(MlflowRunStore, "history", noting)
    bench.cycle(**short_memory)
    assert all(bench.is_judged(run_id) for run_id in ids)
    assert len(read) < len(ids)
    assert len(set(read).intersection(on_record)) < len(on_record)


def test_hundreds_that_were_started_at_one_moment_are_read(bench, short_memory):
    at = milliseconds(bench.now() - timedelta(hours=5))
    runs = [Written(bench.experiment("search"), at + place, at, {"ndcg": GOOD}) for place in range(30)]
    write(bench.uri, runs)
    bench.cycle(**short_memory)
    assert all(bench.is_judged(run.run_id) for run in runs)


def test_a_past_of_several_pages_is_read_to_its_end(bench, monkeypatch):
    monkeypatch.setattr("bot.services.mlflow.run_search._HISTORY_PAGE", 2)
    monkeypatch.setattr("bot.judging.run_judge.BASELINE_RUNS", 4)
    monkeypatch.setattr("bot.pipeline.new_runs.BASELINE_RUNS", 4)
    monkeypatch.setattr("bot.pipeline.new_runs._AT_ONCE", 2)
    ids = bench.log_row([GOOD] * 7 + [BAD] * 2, bench.now() - timedelta(hours=1))
    bench.cycle(experiment="search", watch={"recent": 2})
    assert all(bench.is_judged(run_id) for run_id in ids)
    assert len(bench.tracker.tickets) == 1

"""Pipelines that share an MLflow share their looks at it: few requests, and each run is found once by each of them."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils

from bot.config.models import Config
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import DataCard, Run, RunStatus
from bot.errors import RefusedError, RunStoreError
from bot.pipeline import lookout
from bot.pipeline.lookout import FAR_BACK_EVERY, Lookout
from bot.pipeline.run_discovery import RunDiscovery
from bot.pipeline.scheduling import record_due
from bot.ports import FoundRun
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore
from bot.store import Database, fires, runs
from tests.memory_runs import MemoryRunStore
from tests.watching.bench import GOOD, Bench
from tests.watching.many_runs import Written, milliseconds, write

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OVERLAP = 26 * HOUR


def configured(watched: dict[str, Sequence[str]], **watch: object) -> Config:
    return Config.model_validate(
        {
            "pipeline": {
                name: {
                    "watch": {"experiments": list(globs), "overlap": "26h", **watch},
                    "schedule": {"every": "10m"},
                    "metrics": {"ndcg": {}},
                }
                for name, globs in watched.items()
            }
        }
    )


@dataclass
class Watchers:
    """Pipelines that look, and take what is new for judged."""

    config: Config
    database: Database
    run_store: object
    ahead: timedelta = timedelta(0)
    met: list[tuple[str, str]] = field(default_factory=list)  # pipelines and the runs that were new to them

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        names = set(self.config.pipeline)
        self.lookout = Lookout(self.config, self.database, self.run_store, self.now, names)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def cycle(self, name: str, as_of: datetime | None = None) -> list[str]:
        section = self.config.pipeline[name]
        discovery = RunDiscovery(name, section, self.database, self.run_store, self.lookout)
        sights = discovery.look(self.now(), as_of or self.now())
        found = [each.run for page in discovery.past(sights) for each in page.runs]
        sighting = discovery.sight(sights)
        found += [run for run, _ in discovery.unseen(sights, sighting)]
        for run in found:
            self.judge(name, run)
        discovery.see_to(sights, sighting)
        return [run.run_id for run in found]

    def judge(self, name: str, run: Run) -> None:
        self.met.append((name, run.run_id))
        said = JudgedRun(run, SeriesKey(name), DataCard(), (), Outcome.OK, True, False, run.ended)
        with self.database.begin() as tx:
            if not runs.is_seen(tx, name, run.run_id):
                runs.record(tx, said)


@contextmanager
def calls_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Write down each call of MLflow's client that asks the server something, with its terms and its order."""
    made: list[tuple[str, str]] = []

    def counted(name: str, call: Callable) -> Callable:
        def asked(self, *words, **named):
            made.append((name, f"{words[1:2]} {named.get('order_by', '')}"))
            return call(self, *words, **named)

        return asked

    with monkeypatch.context() as patch:
        for name in ("search_runs", "search_experiments", "get_experiment_by_name", "get_run"):
            patch.setattr(MlflowClient, name, counted(name, getattr(MlflowClient, name)))
        yield made


@pytest.fixture
def many(bench: Bench) -> tuple[Bench, Config]:
    """Let a dozen pipelines watch an experiment each, with a run in it."""
    names = [f"team{number:02}" for number in range(12)]
    ids = [bench.experiment(name) for name in names]
    ended = milliseconds(bench.now() - HOUR)
    write(bench.uri, [Written(each, ended, ended - 1000, {"ndcg": GOOD}) for each in ids])
    config = configured({name: [name] for name in names})
    return bench, config.model_copy(update={"mlflow": MlflowSection(tracking_uri=bench.uri)})


def due_round(bench: Bench, herald: object) -> int:
    """Let ten minutes pass, and run all that is due; return how many runs were judged."""
    bench.ahead += 10 * MINUTE
    with herald.database.begin() as tx:
        record_due(tx, herald.config, bench.now())
        waiting = [fire.pipeline for fire in fires.waiting(tx)]
    return sum(len(herald.cycle(name).resume().judged) for name in waiting)


def test_where_nothing_is_new_all_pipelines_together_ask_twice_and_never_by_a_metric(many, monkeypatch):
    bench, config = many
    herald = bench.herald_of(config)
    due_round(bench, herald)  # schedules what is due from then on
    assert due_round(bench, herald) == 12
    with calls_counted(monkeypatch) as asked:
        for _ in range(3):
            assert due_round(bench, herald) == 0
    assert Counter(name for name, _ in asked) == {"search_experiments": 3, "search_runs": 3}
    with calls_counted(monkeypatch) as asked:
        bench.log(GOOD, bench.now() + 9 * MINUTE, experiment="team07")
        herald.lookout.look_far_back()
        assert due_round(bench, herald) == 1
    assert not any("metric" in terms for _, terms in asked)


@dataclass
class Real:
    """One MLflow in a file for all examples, each of which has experiments of its own."""

    bench: Bench
    store: MlflowRunStore
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def row(self, run_id: str, **columns: object) -> None:
        with sqlite3.connect(self.bench.folder / "mlflow.db") as connection:
            for column, value in columns.items():
                connection.execute(f"UPDATE runs SET {column} = ? WHERE run_uuid = ?", (value, run_id))
        connection.close()


@pytest.fixture(scope="module")
def real(mlflow_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Real:
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copyfile(mlflow_file, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return Real(Bench(uri, folder, None), MlflowRunStore(MlflowSection(tracking_uri=uri)))


@dataclass
class Story:
    """What happens to two experiments, of which the pipeline `p` watches both, and `q` the second."""

    real: Real
    watchers: Watchers
    ids: Sequence[str]
    logged: dict[str, int] = field(default_factory=dict)  # experiments, by run
    running: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def log(self, ago: timedelta, experiment: int, unit: str = "ms", many: int = 1) -> None:
        size = {"ms": 1000, "s": 1, "us": 10**6, "ns": 10**9, "none": 1000}[unit]
        at = int((self.watchers.now() - ago).timestamp()) * size
        end = None if unit == "none" else at
        self._write([Written(self.ids[experiment], end, at, {"ndcg": 1.0}) for _ in range(many)], experiment)

    def begin(self, experiment: int) -> None:
        started = milliseconds(self.watchers.now() - 5 * DAY)
        made = Written(self.ids[experiment], None, started, {"ndcg": 1.0}, status="RUNNING")
        self._write([made], experiment)
        self.running.append(made.run_id)

    def _write(self, made: Sequence[Written], experiment: int) -> None:
        write(self.real.bench.uri, made)
        self.logged.update({each.run_id: experiment for each in made})

    def end(self, ago: timedelta) -> None:
        if self.running:
            ended = milliseconds(self.watchers.now() - ago)
            self.real.row(self.running.pop(), status="FINISHED", end_time=ended)

    def delete(self, which: int) -> None:
        if self.logged:
            self.gone.add(sorted(self.logged)[which % len(self.logged)])
            for run_id in self.gone:
                self.real.row(run_id, lifecycle_stage="deleted")

    def restore(self, which: int) -> None:
        if self.gone:
            run_id = sorted(self.gone)[which % len(self.gone)]
            self.gone.discard(run_id)
            self.real.row(run_id, lifecycle_stage="active")

    def end_anew(self, which: int, ago: timedelta) -> None:
        ended = sorted(self.logged.keys() - set(self.running))
        if ended:
            self.real.row(ended[which % len(ended)], end_time=milliseconds(self.watchers.now() - ago))

    def cycle(self, name: str, minutes: int) -> None:
        self.watchers.ahead += minutes * MINUTE
        found = self.watchers.cycle(name)
        assert not self.gone.intersection(found)
        assert not set(self.running).intersection(found)

    def look_far_back(self) -> None:
        self.watchers.lookout.look_far_back()

    def restart(self) -> None:
        self.watchers.restart()

    def expected(self) -> set[tuple[str, str]]:
        over = self.logged.keys() - set(self.running)
        return {(name, run_id) for name in "pq" for run_id in over if name == "p" or self.logged[run_id] == 1}


AGO = st.integers(0, 10 * 60).map(lambda minutes: minutes * MINUTE)
EXPERIMENT, WHICH = st.integers(0, 1), st.integers(0, 9)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("log"), AGO, EXPERIMENT, st.sampled_from(["ms", "ms", "s", "us", "ns", "none"])),
        st.tuples(st.just("log"), AGO, EXPERIMENT, st.just("ms"), st.integers(2, 5)),  # of one moment
        st.tuples(st.just("begin"), EXPERIMENT),
        st.tuples(st.just("end"), AGO),
        st.tuples(st.just("delete"), WHICH),
        st.tuples(st.just("restore"), WHICH),
        st.tuples(st.just("end_anew"), WHICH, AGO),
        st.tuples(st.just("cycle"), st.sampled_from("pq"), st.integers(1, 60)),
        st.tuples(st.just("look_far_back")),
        st.tuples(st.just("restart")),
    ),
    max_size=14,
)


@settings(max_examples=15, deadline=None)
@given(events=EVENTS)
def test_each_run_is_found_once_in_whatever_order_runs_arrive_end_change_and_go(real, migrated_sqlite, events):
    """Late ones, ones of one moment, ones that ran for days, odd clocks, deleted and restored ones, two cadences.

    What comes back is found where it ended within the overlap of then: the story lasts no longer.
    """
    number = next(real.numbers)
    names = [f"{number}-one", f"{number}-two"]
    ids = [real.bench.experiment(name) for name in names]
    state = real.bench.folder / f"state{number}.db"
    shutil.copyfile(migrated_sqlite, state)
    database = Database(f"sqlite:///{state}")
    watchers = Watchers(configured({"p": [f"{number}-*"], "q": [names[1]]}), database, real.store)
    for name in "pq":
        watchers.cycle(name)
    story = Story(real, watchers, ids)
    for kind, *words in events:
        watchers.ahead += MINUTE
        getattr(story, kind)(*words)
    for run_id in story.gone:
        real.row(run_id, lifecycle_stage="active")
    watchers.ahead += MINUTE
    story.look_far_back()
    for name in "pq":
        watchers.cycle(name)
    database.close()
    state.unlink()
    assert Counter(watchers.met) == Counter(story.expected())


def test_hundreds_that_ended_at_one_moment_are_all_found(real, sqlite_database, monkeypatch):
    monkeypatch.setattr("bot.services.mlflow.run_search._PAGE", 20)
    monkeypatch.setattr("bot.services.mlflow.run_search._FIRST_PAGE", 10)
    experiment = real.bench.experiment("at once")
    watchers = Watchers(configured({"p": ["at once"]}), sqlite_database, real.store)
    watchers.cycle("p")
    watchers.ahead += HOUR
    ends = [milliseconds(watchers.now() - minutes * MINUTE) for minutes in (3, 2, 2, 1)]
    made = [Written(experiment, end, end - 1000) for end in ends for _ in range(30)]
    write(real.bench.uri, made)
    assert sorted(watchers.cycle("p")) == sorted(each.run_id for each in made)
    assert watchers.cycle("p") == []


class Guarded(MemoryRunStore):
    """A store that refuses all of a search for one experiment in it."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: set[str] = set()
        self.away = False
        self.searches: list[tuple[str, ...]] = []

    def experiments(self, patterns):
        if self.away:
            self.searches.append(("*",))
            raise RunStoreError("mlflow.tracking_uri: nothing answers there")
        return super().experiments(patterns)

    def finished(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[Sequence[FoundRun]]:
        self.searches.append(tuple(experiment_ids))
        if self.forbidden.intersection(experiment_ids):
            raise RefusedError("mlflow.tracking_uri: PERMISSION_DENIED")
        return super().finished(experiment_ids, since)

    def log(self, experiment: str, run_id: str, ended: datetime) -> None:
        self.add(experiment, Run(run_id, run_id, RunStatus.FINISHED, ended - MINUTE, ended, {"ndcg": GOOD}))


@pytest.fixture
def guarded(sqlite_database: Database) -> tuple[Guarded, Watchers]:
    store = Guarded()
    names = [f"team{number}" for number in range(8)]
    for name in names:
        store.create(name)
    watchers = Watchers(configured({name: [name] for name in names}), sqlite_database, store)
    for name in names:
        watchers.cycle(name)
    store.searches.clear()
    return store, watchers


def test_an_experiment_that_is_refused_blinds_its_own_pipeline_alone_and_what_it_hid_is_found_once_it_is_not(guarded):
    store, watchers = guarded
    store.forbidden.add("team3")
    for day in range(1, 4):
        watchers.ahead += DAY
        for name in ("team3", "team4"):
            store.log(name, f"{name}-{day}", watchers.now() - HOUR)
        began = watchers.now()
        assert watchers.cycle("team4", began) == [f"team4-{day}"]
        with pytest.raises(RefusedError):
            watchers.cycle("team3", began)
    watchers.ahead += MINUTE
    store.searches.clear()
    watchers.cycle("team4")
    assert sum("team3" in some for some in store.searches) == 1  # asked alone, once a look
    assert all(some == ("team3",) for some in store.searches if "team3" in some)
    store.forbidden.clear()
    watchers.ahead += MINUTE
    assert watchers.cycle("team3") == ["team3-1", "team3-2", "team3-3"]


def test_an_mlflow_that_is_away_is_asked_once_for_all_that_are_due(guarded):
    store, watchers = guarded
    store.away = True
    watchers.ahead += MINUTE
    due = watchers.now()
    for name in watchers.config.pipeline:
        with pytest.raises(RunStoreError, match="nothing answers"):
            watchers.cycle(name, due)
    assert len(store.searches) == 1
    store.away = False
    watchers.ahead += MINUTE / 2  # as long as a pipeline rests before it tries the same fire again
    assert watchers.cycle("team0", due) == []


def test_a_pipeline_that_is_seldom_due_finds_what_looks_for_others_have_found_as_it_is_then(guarded):
    store, watchers = guarded
    watchers.config = configured({"often": ["team0"], "seldom": ["team*"]})
    watchers.restart()
    for name in ("often", "seldom"):
        watchers.cycle(name)
    for hour in range(1, 7):
        watchers.ahead += HOUR
        store.log("team0", f"run{hour}", watchers.now() - MINUTE)
        assert watchers.cycle("often") == [f"run{hour}"]
    store.remove("team0", "run2")
    store.log("team0", "run4", watchers.now() - 2 * MINUTE)
    watchers.ahead += MINUTE
    assert watchers.cycle("seldom") == ["run1", "run3", "run5", "run4", "run6"]
    assert watchers.cycle("seldom") == []


def test_a_pipeline_for_which_too_much_waits_looks_for_itself(guarded, monkeypatch):
    monkeypatch.setattr(lookout, "MOST", 5)
    store, watchers = guarded
    watchers.config = configured({"often": ["team0"], "seldom": ["team*"]})
    watchers.restart()
    for name in ("often", "seldom"):
        watchers.cycle(name)
    for minute in range(12):
        watchers.ahead += HOUR
        store.log("team0", f"run{minute:02}", watchers.now() - MINUTE)
        watchers.cycle("often")
    watchers.ahead += MINUTE
    assert watchers.cycle("seldom") == [f"run{minute:02}" for minute in range(12)]
    assert watchers.cycle("seldom") == []


def test_what_is_due_at_one_time_shares_a_look_and_what_is_due_later_has_its_own(guarded):
    store, watchers = guarded
    watchers.ahead += HOUR
    due = watchers.now()
    for name in watchers.config.pipeline:
        watchers.cycle(name, due)
    assert len(store.searches) == 1
    store.log("team0", "new", watchers.now())
    assert watchers.cycle("team0", watchers.now()) == ["new"]


def test_the_mark_from_which_a_next_herald_looks_moves_with_looks_far_back_alone(guarded):
    """A look at the newest says nothing of what was logged late meanwhile."""
    store, watchers = guarded
    watchers.ahead += FAR_BACK_EVERY / 2
    late = watchers.now() - OVERLAP + 2 * MINUTE
    store.log("team0", "late", late)
    for number in range(20):
        store.log("team0", f"run{number:02}", watchers.now())
    watchers.ahead += 10 * MINUTE
    watchers.restart()
    assert "late" in watchers.cycle("team0")


def test_a_filter_is_asked_for_what_is_new_alone(bench, sqlite_database, monkeypatch):
    config = configured({"p": ["search"]}, filter="tags.stage = 'nightly'")
    watchers = Watchers(config, sqlite_database, MlflowRunStore(MlflowSection(tracking_uri=bench.uri)))
    bench.experiment("search")
    watchers.cycle("p")
    watchers.ahead += MINUTE
    nightly = bench.log(GOOD, watchers.now() - MINUTE, tags={"stage": "nightly"})
    trial = bench.log(GOOD, watchers.now() - MINUTE, tags={"stage": "trial"})
    with calls_counted(monkeypatch) as asked:
        assert watchers.cycle("p") == [nightly]
        assert sum("nightly" in terms for _, terms in asked) == 1
        watchers.ahead += MINUTE
        assert watchers.cycle("p") == []
        assert sum("nightly" in terms for _, terms in asked) == 1
    more = [
        bench.log(GOOD, watchers.now() - MINUTE, tags={"stage": stage}) for stage in ("nightly", "trial", "nightly")
    ]
    watchers.ahead += MINUTE
    with monkeypatch.context() as patch:
        reads = SearchUtils.parse_search_filter

        def as_of_2_3(terms: str) -> list:
            if " IN (" in terms and " and " in terms:
                raise MlflowException.invalid_parameter_value("Invalid clause(s) in filter string")
            return reads(terms)

        patch.setattr(SearchUtils, "parse_search_filter", as_of_2_3)
        assert watchers.cycle("p") == [more[0], more[2]]
    bench.mlflow.set_tag(trial, "stage", "nightly")
    watchers.lookout.look_far_back()
    watchers.ahead += MINUTE
    assert watchers.cycle("p") == [trial]


def test_over_http_a_round_in_which_nothing_is_new_is_two_requests(httpserver, sqlite_database):
    names = [f"team{number}" for number in range(5)]
    listed = [{"experiment_id": name[4:], "name": name, "lifecycle_stage": "active"} for name in names]
    httpserver.expect_request("/version").respond_with_data("2.3.0")
    httpserver.expect_request(re.compile(".*/experiments/search")).respond_with_json({"experiments": listed})
    httpserver.expect_request(re.compile(".*/runs/search")).respond_with_json({"runs": []})
    store = MlflowRunStore(MlflowSection(tracking_uri=httpserver.url_for("").rstrip("/")))
    watchers = Watchers(configured({name: [name] for name in names}), sqlite_database, store)
    for _ in range(2):
        watchers.ahead += HOUR / 4
        due = watchers.now()
        asked = len(httpserver.log)
        for name in names:
            assert watchers.cycle(name, due) == []
    paths = [request.path.rpartition("/mlflow/")[2] for request, _ in httpserver.log[asked:]]
    assert paths == ["experiments/search", "runs/search"]

"""A cluster that cannot be asked is told once a cause, in its words, for all pipelines that wait; then it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.capabilities import TicketState
from bot.domain.cluster_outages import find_outages
from bot.domain.fires import Fire, JobStanding, Standing
from bot.domain.incidents import IncidentState, Kind
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.runs import Run, RunStatus
from bot.errors import ExecutorAwayError
from bot.ports import Job, JobState, JobStatus
from bot.reports.digest import compose_digest, preview
from bot.reports.own_health import check_own_health
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.store import fires, incidents
from tests.memory_runs import MemoryExecutor, MemoryRunStore
from tests.unit.state_samples import NOON

HOUR, MINUTE, STEP = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=10)
REFUSED = "Ray at http://ray.example:8265 refuses who asks (401): check its token"
IN_WIKI = "refuses who asks \\(401\\): check its token"
RAY = {"kind": "ray", "url": "http://ray.example:8265", "tracking_uri": "http://mlflow.lab:5000"}


class Lab(MemoryExecutor):
    """A cluster that may refuse who asks."""

    why = ""  # it cannot be asked; empty: it can
    wait: float | None = None  # seconds that it asks to be left alone for
    asked = 0

    def submit(self, job):
        self._ask()
        return super().submit(job)

    def look(self, job):
        self._ask()
        return super().look(job)

    def _ask(self) -> None:
        self.asked += 1
        if self.why:
            raise ExecutorAwayError(self.why, retry_after=self.wait)


class House:
    """A Herald with pipelines that run their jobs on one cluster, or two; its clock goes on while it waits."""

    def __init__(self, database, folder: Path) -> None:
        self.database, self.folder, self.now = database, folder, NOON
        self.store, self.tracker, self.chat = MemoryRunStore(), MemoryTracker(), MemoryChat()
        self.labs = {name: Lab(self._train) for name in ("lab", "far")}
        self.pauses = 0  # that a cycle may still take before Herald is asked to end
        self.executors = {"lab": RAY, "far": RAY | {"url": "http://far.example:8265"}}
        for name in ("search", "ranking"):
            self.store.create(name)

    def herald(self, *, locale: str = "en", **jobs: str | None) -> Herald:
        """Return one whose pipelines have these executors."""
        jobs = jobs or {"search": "lab", "ranking": "lab"}
        config = Config.model_validate(
            {
                "locale": locale,
                "tracker": {"jira": {"url": "https://example.com", "token": "none", "project": "P"}},
                "chat": {"slack": {"kind": "slack", "token": "none"}},
                "executor": self.executors,
                "pipeline": {
                    name: {
                        "title": name.title(),
                        "experiment": name,
                        "tracker": "jira",
                        "chat": "slack",
                        "channel": "C1",
                        "metrics": {"ndcg": {}},
                        "job": {"command": ["train"], "executor": executor, "retry": 0},
                    }
                    for name, executor in jobs.items()
                },
            }
        )
        around = Surroundings(
            clock=lambda: self.now, pause=self._pause, stopping=lambda: self.pauses <= 0, on_step=lambda _: None
        )
        made = make_herald(
            config,
            self.folder,
            around=around,
            services=Services({"jira": self.tracker}, {}, {"slack": self.chat}),
            run_store=self.store,
            database=self.database,
        )
        return replace(made, executor_of=self.labs.__getitem__)

    def _train(self, job: Job) -> JobStatus:
        """Let the run of a job appear, and the job end."""
        run = Run(job.fire_id, job.fire_id, RunStatus.FINISHED, self.now - MINUTE, self.now, {"ndcg": 0.5})
        self.store.add(job.owner.partition("/")[2], replace(run, tags={FIRE_TAG: job.fire_id}))
        return JobStatus(JobState.ENDED, 0)

    def _pause(self, _: float) -> None:
        self.now += STEP  # much longer than asked for: nobody has that many looks at a clock to spare
        self.pauses -= 1

    def wait(self, herald: Herald, name: str, lasting: timedelta) -> None:
        """See the pipeline's fire through for so long, as a Herald does that is then asked to end."""
        self.pauses = int(lasting / STEP)
        with self.database.begin() as tx:
            is_new = not fires.unfinished(tx, name)
        cycle = herald.cycle(name)
        cycle.run(self.now, by_hand=True) if is_new else cycle.resume()
        self.deliver(herald)

    def deliver(self, herald: Herald) -> None:
        self.pauses = 1000
        assert herald.dispatcher.drain().failures == []

    def record(self, name: str) -> None:
        with self.database.begin() as tx:
            fires.record(tx, name, self.now)

    def told(self) -> list[str]:
        return [ticket.draft.title for ticket in self.tracker.tickets.values()]

    def open_ones(self):
        with self.database.begin() as tx:
            return incidents.open_of_kind(tx, Kind.AWAY)

    def doctor(self, herald: Herald) -> list[str]:
        with self.database.begin() as tx:
            return [each.said for each in check_own_health(tx, herald.config, self.now) if each.name == "cluster"]


@pytest.fixture
def house(sqlite_database, tmp_path) -> Iterator[House]:
    return House(sqlite_database, tmp_path)


def test_a_cluster_that_refuses_a_token_for_an_hour_has_a_ticket_in_its_words_and_starts_nothing_twice(house):
    herald = house.herald()
    house.labs["lab"].why = REFUSED
    house.record("ranking")
    house.wait(herald, "search", 59 * MINUTE)
    assert house.told() == []
    assert house.doctor(herald) == [f"lab cannot be asked about jobs since 2026-11-24 12:00 UTC: {REFUSED}"], "at once"
    house.wait(herald, "search", 5 * MINUTE)
    (ticket,) = house.tracker.tickets.values()
    assert ticket.draft.title == "Search: the cluster lab cannot be asked"
    assert "The cluster lab cannot be asked about jobs since 24 Nov 2026, 12:00" in ticket.draft.body
    assert "Search and Ranking wait for it." in ticket.draft.body
    assert IN_WIKI in ticket.draft.body
    assert "herald doctor says of {{executor.lab}}: its address, its token, its rights" in ticket.draft.body
    assert "The cluster lab cannot be asked about jobs since 24 Nov: Search and all else" in digest(herald)
    house.labs["lab"].why = ""
    house.wait(herald, "search", 5 * MINUTE)
    assert ticket.state is TicketState.DONE
    assert "No job waits any more for the cluster lab to answer." in ticket.comments[-1][1]
    assert len(house.labs["lab"].started) == 1
    assert house.open_ones() == []
    assert house.doctor(herald) == []
    assert "No job waits any more for the cluster lab to answer, after" in digest(herald)


def digest(herald: Herald, locale: str = "en") -> str:
    return preview(herald, compose_digest(herald, locale=locale))


def test_it_is_told_once_however_many_pipelines_wait_and_however_often_herald_is_started(house):
    house.labs["lab"].why = REFUSED
    for _ in range(4):
        herald = house.herald()
        for name in ("search", "ranking"):
            house.wait(herald, name, 40 * MINUTE)
        herald.cycle("ranking").listen()
        house.deliver(herald)
    assert house.told() == ["Search: the cluster lab cannot be asked"]
    assert len(house.chat.messages) == 1
    house.labs["lab"].why = ""
    herald = house.herald()
    for name in ("search", "ranking"):
        house.wait(herald, name, 40 * MINUTE)
    assert [ticket.state for ticket in house.tracker.tickets.values()] == [TicketState.DONE]
    assert len(house.labs["lab"].started) == 2


def test_the_ticket_stays_open_as_long_as_any_job_cannot_be_asked_about(house):
    herald = house.herald()
    house.labs["lab"].why = REFUSED
    house.wait(herald, "search", HOUR / 2)
    house.wait(herald, "ranking", HOUR)
    (ticket,) = house.tracker.tickets.values()
    house.labs["lab"].why = ""
    house.wait(herald, "search", 5 * MINUTE)
    assert ticket.state is TicketState.TODO
    house.wait(herald, "ranking", 5 * MINUTE)
    assert ticket.state is TicketState.DONE
    assert len(house.told()) == 1


def test_people_hear_once_of_another_cause_and_the_message_says_the_present_one(house):
    herald = house.herald()
    house.labs["lab"].why = "Ray at http://ray.example:8265 takes no connection (port 50123 refused)"
    house.wait(herald, "search", 90 * MINUTE)
    (ticket,) = house.tracker.tickets.values()
    house.labs["lab"].why = "Ray at http://ray.example:8265 takes no connection (port 50999 refused)"
    house.wait(herald, "search", 30 * MINUTE)
    assert ticket.comments == [], "the same cause, though its particulars are others"
    house.labs["lab"].why = REFUSED
    house.wait(herald, "search", 2 * HOUR)
    ((_, comment),) = ticket.comments
    assert comment.startswith("*Still there.* The cluster lab cannot be asked about jobs since 24 Nov 2026, 12:00")
    assert IN_WIKI in comment
    (message,) = house.chat.messages
    assert "check its token" in str(message)
    house.labs["lab"].why = "Ray at http://ray.example:8265 has no such page (404)"
    house.wait(herald, "search", 2 * HOUR)
    assert [words in text for (_, text), words in zip(ticket.comments, ("401", "404"), strict=True)] == [True, True]
    assert len(house.told()) == 1


def test_a_cluster_that_says_something_else_each_minute_is_told_of_a_few_times(house):
    herald = house.herald()
    for letter in "abcdefghijkl" * 20:
        house.labs["lab"].why = f"Ray at http://ray.example:8265 refuses who asks, says {letter}"
        house.wait(herald, "search", MINUTE)
    (ticket,) = house.tracker.tickets.values()
    assert len(ticket.comments) == 4
    house.labs["lab"].why = REFUSED
    house.wait(herald, "search", 25 * HOUR)
    assert (len(ticket.comments), IN_WIKI in ticket.comments[-1][1]) == (5, True), "as often as repeats"


def test_each_cluster_has_a_ticket_of_its_own(house):
    herald = house.herald(search="lab", ranking="far")
    house.labs["lab"].why, house.labs["far"].why = REFUSED, "Ray at http://far.example:8265 takes no connection"
    house.wait(herald, "search", 2 * HOUR)
    house.wait(herald, "ranking", 2 * HOUR)
    assert house.told() == [
        "Search: the cluster lab cannot be asked",
        "Ranking: the cluster far cannot be asked",
    ]
    house.labs["far"].why = ""
    house.wait(herald, "ranking", 5 * MINUTE)
    states = [ticket.state for ticket in house.tracker.tickets.values()]
    assert states == [TicketState.TODO, TicketState.DONE]


def test_an_executor_that_config_has_lost_is_told_and_over_once_it_is_put_back(house):
    lab = house.labs["lab"]
    lab._carry_out = lambda _: JobStatus(JobState.RUNNING)
    house.wait(house.herald(), "search", MINUTE)
    whole, house.executors = house.executors, {"far": house.executors["far"]}
    without = house.herald(search="far")
    for _ in range(3):
        house.wait(without, "search", MINUTE)
        house.now += HOUR / 2
    house.wait(without, "search", MINUTE)
    (ticket,) = house.tracker.tickets.values()
    assert "config has no \\[executor.lab\\] any more, where its job was submitted: put it back" in ticket.draft.body
    assert "put it back" in house.doctor(without)[0]
    house.executors = whole
    house.wait(house.herald(), "search", MINUTE)
    assert ticket.state is TicketState.DONE
    assert len(lab.started) == 1


def test_it_is_told_in_chinese_too(house):
    herald = house.herald(locale="zh")
    house.labs["lab"].why = REFUSED
    house.wait(herald, "search", 2 * HOUR)
    (ticket,) = house.tracker.tickets.values()
    assert ticket.draft.title == "Search：无法访问集群 lab"
    assert IN_WIKI in ticket.draft.body
    assert "无法向集群 lab 查询任务" in digest(herald, "zh")


def test_a_run_that_comes_meanwhile_does_not_say_that_the_cluster_answers(house):
    herald = house.herald()
    house.labs["lab"].why = REFUSED
    house.wait(herald, "search", 2 * HOUR)
    house.store.add("search", Run("hand", "hand", RunStatus.FINISHED, house.now - MINUTE, house.now, {"ndcg": 0.5}))
    house.wait(herald, "search", 5 * MINUTE)
    assert [each.state for each in house.open_ones()] == [IncidentState.OPEN]


@pytest.mark.parametrize(("wait", "most"), [(None, 64), (300.0, 13), (10.0**9, 7)])
def test_a_cluster_is_left_alone_for_as_long_as_it_asks_and_ten_minutes_at_most(house, wait, most):
    lab = house.labs["lab"]
    lab.why, lab.wait = "Ray at http://ray.example:8265 is busy (HTTP 429)", wait
    house.wait(house.herald(), "search", HOUR)
    assert most - 2 <= lab.asked <= most
    lab.why = ""
    house.wait(house.herald(), "search", 20 * MINUTE)
    assert len(lab.started) == 1


def fire(name: str, executor: str, minutes: int | None, standing: Standing = Standing.AWAY) -> Fire:
    """Return a fire that has stood so since a number of minutes; None: it has not started."""
    if minutes is None:
        return Fire(name, name, NOON, 1, executor=executor)
    how = JobStanding(standing, NOON - minutes * MINUTE, f"words of {name}")
    return Fire(name, name, NOON, 1, executor=executor, started_at=NOON, standing=how)


def test_an_outage_is_as_old_as_the_first_that_cannot_be_asked_about_and_speaks_its_words():
    found = find_outages(
        [
            fire("late", "lab", 10),
            fire("first", "lab", 90),
            fire("due", "lab", None),
            fire("runs", "lab", 5, Standing.RUNNING),
            fire("well", "far", 500, Standing.QUEUED),
        ]
    )
    (outage,) = found
    assert (outage.executor, outage.since, outage.said) == ("lab", NOON - 90 * MINUTE, "words of first")
    assert outage.pipelines == ("first", "late", "due")

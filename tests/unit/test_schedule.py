"""Weeks of schedules, told by moving the clock: each due time comes once, whatever happens in between."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.domain.fires import FireState
from bot.domain.runs import Run, RunStatus
from bot.reports.overview import overview
from bot.store import Database, fires, leases, pipelines, runs
from tests.unit.simulation import Killed, World, configured, due_times_of, make_server

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 10, 19, tzinfo=BERLIN).astimezone(UTC)  # of the week in which the clocks go back
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
JOB = {"command": ["train"]}
STEP = HOUR
SHORT = timedelta(minutes=20)


@pytest.fixture
def world(tmp_path):
    return World(MONDAY, tmp_path)


def daily(hour):
    return {"schedule": {"cron": f"0 {hour} * * *"}, "job": JOB, "time_zone": "Europe/Berlin"}


def serve(server, world, until, step=STEP):
    while world.now < until:
        server.round()
        world.advance(step)


def berlin(moments):
    return [f"{moment.astimezone(BERLIN):%a %H:%M}" for moment in moments]


def test_a_week_has_each_due_time_once(world, sqlite_database):
    config = configured(
        {
            "nightly": daily(3),
            "often": {"schedule": {"every": "6h"}, "job": JOB},
            "looks": {"schedule": {"every": "4h"}},
            "once": {"schedule": {"at": "2026-10-21 12:00"}, "job": JOB, "time_zone": "Europe/Berlin"},
            "later": {"schedule": {"after": "nightly"}, "job": JOB},
            "last": {"schedule": {"after": "later"}},
            "by-hand": {"job": JOB},
        },
        jobs_at_once=9,
    )
    serve(make_server(world, sqlite_database, config), world, MONDAY + WEEK + HOUR)
    counts = {name: len(due_times_of(sqlite_database, name)) for name in config.pipeline}
    assert counts == {"nightly": 7, "often": 28, "looks": 42, "once": 1, "later": 7, "last": 7, "by-hand": 0}
    assert set(world.starts.values()) == {1}
    assert berlin(due_times_of(sqlite_database, "nightly")) == [
        f"{day} 03:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    ]
    assert berlin(due_times_of(sqlite_database, "once")) == ["Wed 12:00"]
    with sqlite_database.begin() as tx:
        assert fires.waiting(tx) == []
        assert {fire.state for name in config.pipeline for fire in fires.of_pipeline(tx, name)} == {FireState.ENDED}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 8))])
def test_days_of_kills_and_restarts_lose_no_due_time_and_double_none(seed, world, sqlite_database):
    """Whatever is left out must have passed while Herald was down or at work on the pipeline before."""
    chance = random.Random(seed)
    world.now = began = MONDAY + 5.5 * DAY  # over the night in which the clocks go back
    world.job_takes = timedelta(minutes=40)
    config = configured(
        {
            "nightly": daily(3),
            "often": {"schedule": {"every": "2h", "jitter": "20m"}, "job": JOB},
            "busy": {"schedule": {"every": "30m"}, "job": JOB},
            "looks": {"schedule": {"every": "20m"}},
            "later": {"schedule": {"after": "often"}, "job": JOB},
        },
        jobs_at_once=9,
    )
    idle: list[tuple[datetime, str]] = []  # when a round found nothing left to do for a pipeline

    def die(step):
        if chance.random() < 0.02:
            raise Killed

    def pause(seconds):
        world.advance(timedelta(minutes=5))
        if chance.random() < 0.04:
            raise Killed

    kills = 0
    while world.now < MONDAY + WEEK:
        server = make_server(world, sqlite_database, config, die, pause)
        try:
            while world.now < MONDAY + WEEK:
                with sqlite_database.begin() as tx:
                    waiting = {fire.pipeline for fire in fires.waiting(tx)}
                now = world.now
                server.round()
                idle += [(now, name) for name in config.pipeline if name not in waiting]
                world.advance(timedelta(minutes=10))
        except Killed:
            kills += 1
            world.advance(timedelta(minutes=chance.choice([0, 1, 30, 200])))
    serve(make_server(world, sqlite_database, config), world, MONDAY + WEEK + 6 * HOUR)
    assert kills > 5
    assert set(world.starts.values()) == {1}
    for name in ("nightly", "often", "busy", "looks"):
        recorded = due_times_of(sqlite_database, name)
        assert len(recorded) == len(set(recorded))
        section = config.pipeline[name].schedule
        due = section.timetable(config.zone_of(name)).between(began, world.now - HOUR)
        assert set(recorded) <= {*due, *section.timetable(config.zone_of(name)).between(world.now - HOUR, world.now)}
        for missed in sorted(set(due) - set(recorded)):
            following = min((moment for moment in recorded if moment > missed), default=world.now)
            ripe = missed + section.jitter
            assert not [t for t, who in idle if who == name and ripe <= t < following], (name, missed, following)
    with sqlite_database.begin() as tx:
        assert fires.waiting(tx) == []
        ended = [fire for name in config.pipeline for fire in fires.of_pipeline(tx, name) if fire.run_id]
        assert set(Counter(fire.run_id for fire in ended).values()) == {1}
        assert all(runs.is_seen(tx, fire.pipeline, fire.run_id) for fire in ended)
    successes = [fire for fire in all_fires(sqlite_database, "often") if fire.state is FireState.ENDED]
    assert set(due_times_of(sqlite_database, "later")) <= {fire.ended_at for fire in successes}


def all_fires(database, name):
    with database.begin() as tx:
        return fires.of_pipeline(tx, name)


def test_times_that_pass_while_herald_is_away_are_made_up_for_by_one_run(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY)
    world.advance(4 * DAY)
    serve(make_server(world, sqlite_database, config), world, MONDAY + WEEK)
    assert berlin(due_times_of(sqlite_database, "nightly")) == ["Mon 03:00", "Fri 03:00", "Sat 03:00", "Sun 03:00"]


def test_a_time_that_passes_before_the_first_fire_ever_is_not_lost_either(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    make_server(world, sqlite_database, config).round()
    world.advance(12 * HOUR)
    serve(make_server(world, sqlite_database, config), world, world.now + HOUR)
    assert berlin(due_times_of(sqlite_database, "nightly")) == ["Mon 03:00"]


def test_without_catching_up_missed_times_are_left_out(world, sqlite_database):
    config = configured({"nightly": {**daily(3), "schedule": {"cron": "0 3 * * *", "catch_up": "none"}}})
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY, step=SHORT)
    world.advance(2 * DAY + 12 * HOUR)
    serve(make_server(world, sqlite_database, config), world, MONDAY + 5 * DAY, step=SHORT)
    assert berlin(due_times_of(sqlite_database, "nightly")) == ["Mon 03:00", "Fri 03:00"]


def test_times_that_pass_while_the_pipeline_is_busy_are_made_up_for_by_one_run(world, sqlite_database):
    world.job_takes = timedelta(hours=3, minutes=30)
    config = configured({"hourly": {"schedule": {"every": "1h"}, "job": {"command": ["train"], "timeout": "9h"}}})
    serve(make_server(world, sqlite_database, config), world, MONDAY + 9 * HOUR, step=SHORT)
    assert [(due - MONDAY) // HOUR for due in due_times_of(sqlite_database, "hourly")] == [1, 4, 8]


def test_a_schedule_that_changes_loses_no_time_of_the_old_one(world, sqlite_database):
    old, new = configured({"nightly": daily(3)}), configured({"nightly": daily(5)})
    make_server(world, sqlite_database, old).round()
    world.advance(4 * HOUR)
    serve(make_server(world, sqlite_database, new), world, MONDAY + DAY + 12 * HOUR)
    assert berlin(due_times_of(sqlite_database, "nightly")) == ["Mon 03:00", "Mon 05:00", "Tue 05:00"]


def test_a_configuration_read_anew_changes_the_times_and_a_bad_one_nothing(world, sqlite_database):
    server = make_server(world, sqlite_database, configured({"nightly": daily(3)}))
    server.reconfigured = lambda old: replace(old, config=configured({"nightly": daily(5), "new": daily(4)}))
    serve(server, world, MONDAY + 4 * HOUR)
    server.orders.ask_to_reload()
    serve(server, world, MONDAY + DAY + 4 * HOUR + STEP)
    assert berlin(due_times_of(sqlite_database, "nightly")) == ["Mon 03:00", "Mon 05:00"]
    assert berlin(due_times_of(sqlite_database, "new")) == ["Tue 04:00"]


def test_the_same_delay_follows_from_the_same_due_time(world, sqlite_database):
    config = configured({"nightly": {**daily(3), "schedule": {"cron": "0 3 * * *", "jitter": "2h"}}})
    starts = []
    for name in ("first", "second"):
        made = World(MONDAY, world.folder)
        database = Database(f"sqlite:///{world.folder}/{name}.db")
        database.migrate()
        serve(make_server(made, database, config), made, MONDAY + 4 * DAY)
        assert len(due_times_of(database, "nightly")) == 4
        starts.append([each.at - MONDAY for each in made.started.values()])
        database.close()
    assert starts[0] == starts[1]
    delays = [(start - 3 * HOUR) % DAY for start in starts[0]]
    assert all(timedelta(0) <= delay <= 2 * HOUR + STEP for delay in delays)
    assert len(set(delays)) > 1


def test_a_pipeline_follows_another_only_when_that_ended_well(world, sqlite_database):
    config = configured({"first": {**daily(3), "recovery": {"runs": 1}}, "second": {"schedule": {"after": "first"}}})
    world.exit_code = 1
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY)
    assert due_times_of(sqlite_database, "second") == []
    world.exit_code = 0
    serve(make_server(world, sqlite_database, config), world, MONDAY + 2 * DAY)
    assert len(due_times_of(sqlite_database, "second")) == 1


class AtWork:
    """Work that never ends."""

    def is_alive(self):
        return True

    def join(self):
        raise AssertionError


def test_only_so_many_jobs_run_at_once_and_looking_takes_no_place(world, sqlite_database):
    waiting = []

    def start(name, work):
        waiting.append(name)
        return AtWork()

    schedule = {"schedule": {"every": "1h"}}
    config = configured(
        {
            "a": {**schedule, "job": JOB},
            "b": {**schedule, "job": JOB},
            "c": {**schedule, "job": JOB},
            "looks": schedule,
        },
        jobs_at_once=2,
    )
    server = make_server(world, sqlite_database, config)
    server.start_task = start
    serve(server, world, MONDAY + 2 * HOUR)
    assert [name for name in waiting if name in config.pipeline] == ["a", "b", "looks"]
    with sqlite_database.begin() as tx:
        assert {fire.pipeline for fire in fires.waiting(tx)} == {"a", "b", "c", "looks"}


def test_a_lost_job_is_started_anew_as_often_as_config_says(world, sqlite_database):
    config = configured({"nightly": {**daily(3), "job": {**JOB, "retry": 2}}})
    for _ in range(2):
        with pytest.raises(Killed):
            serve(make_server(world, sqlite_database, config, pause=die_at_once), world, MONDAY + DAY)
        world.reboot()
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY)
    found = all_fires(sqlite_database, "nightly")
    assert [(fire.attempt, fire.state) for fire in found] == [
        (0, FireState.LOST),
        (1, FireState.LOST),
        (2, FireState.ENDED),
    ]
    assert len({fire.due_at for fire in found}) == 1
    with sqlite_database.begin() as tx:
        assert [judged.outcome for judged in [runs.latest(tx, "nightly")]] == ["no_baseline"]


def die_at_once(seconds):
    raise Killed


def test_a_job_that_is_lost_once_too_often_has_failed(world, sqlite_database):
    config = configured({"nightly": {**daily(3), "job": {**JOB, "retry": 0}}})
    with pytest.raises(Killed):
        serve(make_server(world, sqlite_database, config, pause=die_at_once), world, MONDAY + DAY)
    world.reboot()
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY)
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.LOST]
    with sqlite_database.begin() as tx:
        assert runs.latest(tx, "nightly").outcome == "failed"


def test_a_job_whose_end_nobody_saw_is_judged_by_its_run(world, sqlite_database):
    """The machine went down after the run was finished and before the shell wrote the exit code."""
    config = configured({"nightly": daily(3)})
    with pytest.raises(Killed):
        serve(make_server(world, sqlite_database, config, pause=die_at_once), world, MONDAY + DAY)
    world.advance(world.job_takes)
    (fire_id,) = world.started
    ended = world.now
    world.started[fire_id].lost = True
    server = make_server(world, sqlite_database, config)
    made = next(iter(world.started.values())).at
    world.found = Run("run1", "night", RunStatus.FINISHED, made, ended, {"ndcg": 0.8})
    serve(server, world, world.now + HOUR)
    assert [(fire.state, fire.run_id) for fire in all_fires(sqlite_database, "nightly")] == [(FireState.ENDED, "run1")]
    assert world.starts == {fire_id: 1}


def test_a_job_that_cannot_be_started_has_failed(world, sqlite_database):
    world.cannot_start = "job x: cannot be started in /nowhere"
    config = configured({"nightly": daily(3)})
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY)
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.FAILED]


def test_while_mlflow_is_away_a_run_waits_to_be_judged(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    world.mlflow_is_away = True
    server = make_server(world, sqlite_database, config)
    serve(server, world, MONDAY + 6 * HOUR)
    assert not server.is_healthy
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.DUE]
    world.mlflow_is_away = False
    serve(server, world, MONDAY + 7 * HOUR)
    assert server.is_healthy
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.ENDED]
    assert set(world.starts.values()) == {1}


def test_a_run_by_hand_is_no_due_time(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    server = make_server(world, sqlite_database, config)
    server.round()
    world.advance(5 * HOUR)
    server.herald.cycle("nightly").run(world.now, by_hand=True)
    serve(server, world, MONDAY + DAY)
    assert berlin(due_times_of(sqlite_database, "nightly")) == ["Mon 03:00"]
    assert len(all_fires(sqlite_database, "nightly")) == 2


def test_what_another_herald_works_on_is_left_to_it(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    server = make_server(world, sqlite_database, config)
    serve(server, world, MONDAY + 2 * HOUR)
    with sqlite_database.begin() as tx:
        assert leases.take(tx, "pipeline:nightly", "other", world.now, 4 * HOUR)
    serve(server, world, MONDAY + 5 * HOUR)
    assert world.starts == {}
    serve(server, world, MONDAY + 7 * HOUR)
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.ENDED]


def test_a_run_by_hand_takes_a_place_among_the_jobs_at_once(world, database):
    config = configured({name: {"schedule": {"every": "1h"}, "job": JOB} for name in ("one", "two")}, jobs_at_once=1)
    server = make_server(world, database, config)
    server.round()
    world.advance(HOUR)
    with database.begin() as tx:
        leases.take(tx, "pipeline:by-hand", "somebody", world.now, 10 * HOUR)
    server.round()
    assert world.starts.total() == 0
    with database.begin() as tx:
        leases.give_back(tx, "pipeline:by-hand", "somebody")
    server.round()
    assert world.starts.total() == 2  # one after the other


def test_a_second_herald_beside_the_first_doubles_nothing(world, database):
    config = configured({"often": {"schedule": {"every": "1h"}, "job": JOB}, "looks": {"schedule": {"every": "20m"}}})
    first, second = (make_server(world, database, config) for _ in range(2))
    while world.now < MONDAY + 8 * HOUR:
        first.round()
        second.round()
        world.advance(SHORT)
    assert len(due_times_of(database, "often")) == 7
    assert set(world.starts.values()) == {1}


def test_a_machine_without_room_for_a_thread_is_waited_for(world, sqlite_database):
    def refuse(name, work):
        raise RuntimeError("can't start new thread")

    server = make_server(world, sqlite_database, configured({"often": {"schedule": {"every": "1h"}, "job": JOB}}))
    with_room, server.start_task = server.start_task, refuse
    serve(server, world, MONDAY + 2 * HOUR, step=SHORT)
    assert not server.is_healthy
    assert world.starts == {}
    server.start_task = with_room
    serve(server, world, MONDAY + 3 * HOUR, step=SHORT)
    assert world.starts.total() == 2
    assert server.is_healthy


def test_stopping_starts_nothing_new_and_leaves_the_job_to_the_next(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    server = make_server(world, sqlite_database, config)
    server.herald = replace(
        server.herald, around=replace(server.herald.around, pause=lambda _: server.orders.ask_to_stop())
    )
    while not server.orders.stop:
        server.round()
        world.advance(STEP)
    server.finish()
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.DUE]
    serve(make_server(world, sqlite_database, config), world, MONDAY + DAY)
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.ENDED]
    assert set(world.starts.values()) == {1}


def test_stopping_with_jobs_ends_them_and_the_next_due_time_comes_as_ever(world, sqlite_database):
    config = configured({"nightly": daily(3)})
    server = make_server(world, sqlite_database, config)
    server.stop_jobs = True
    server.herald = replace(
        server.herald, around=replace(server.herald.around, pause=lambda _: server.orders.ask_to_stop())
    )
    while not server.orders.stop:
        world.advance(STEP)
        server.round()
    server.finish()
    assert [each.lost for each in world.started.values()] == [True]
    serve(make_server(world, sqlite_database, config), world, MONDAY + 2 * DAY)
    assert [fire.state for fire in all_fires(sqlite_database, "nightly")] == [FireState.STOPPED, FireState.ENDED]


def test_status_shows_when_each_is_due_next(world, sqlite_database):
    config = configured({"nightly": daily(3), "later": {"schedule": {"after": "nightly"}}, "by-hand": {}})
    server = make_server(world, sqlite_database, config)
    seen = {p.name: (p.next_due, p.after) for p in overview(server.herald).pipelines}
    assert seen == {"nightly": (MONDAY + 3 * HOUR, None), "later": (None, "nightly"), "by-hand": (None, None)}
    server.round()
    with sqlite_database.begin() as tx:
        assert pipelines.find(tx, "nightly").next_due == MONDAY + 3 * HOUR
    world.advance(4 * HOUR)
    assert overview(server.herald).pipelines[0].next_due == MONDAY + 3 * HOUR  # overdue, and shown so

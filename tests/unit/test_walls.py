"""What nobody foresaw in one effect, one pipeline or one errand stays behind its wall: it is set aside, and told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from sqlalchemy import update

from bot.app import make_herald
from bot.config.emptied import check_not_emptied
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.effects import AttachToTicket, OpenTicket
from bot.domain.fires import FireState
from bot.domain.objects import ObjectKey, ObjectKind
from bot.errors import ConfigError, StateError
from bot.serve.loop import Orders, Server
from bot.store import backlog, fires, outbox
from bot.store.tables import outbox as rows
from tests.unit.delivery_bench import Bench, Wording, attach
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import TICKET, comment, open_ticket, tell

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OTHER = ObjectKey("jira", ObjectKind.TICKET, "herald-test-other-0-1")
SEAMS = (
    "delivery.claimed",
    "delivery.marking-sent",
    "delivery.marked-sent",
    "delivery.performed",
    "delivery.recording",
    "delivery.recorded",
)


class Broken(Exception):  # noqa: N818  an exception that no one knows
    pass


def break_once(seam: str, error: Exception | None = None):
    """Return a hook that raises the first time a step of that name is taken."""
    taken: Counter[str] = Counter()

    def on_step(step: str) -> None:
        taken[step] += 1
        if step == seam and taken[step] == 1:
            raise error or Broken("out of luck")

    return on_step


@pytest.fixture
def bench(sqlite_database) -> Bench:
    return Bench(sqlite_database)


# ---- an effect


@pytest.mark.parametrize("seam", SEAMS)
def test_what_breaks_in_one_effect_parks_that_effect_and_the_others_are_delivered(bench, seam):
    bench.owe(open_ticket(), (replace(open_ticket()[0], target=OTHER), open_ticket()[1]), tell("opened"))
    report = bench.dispatcher(on_step=break_once(seam)).drain()
    is_delivered = seam == "delivery.recorded"
    assert len(bench.chat.messages) == 1
    assert OTHER.name in {ticket.marker for ticket in bench.tracker.tickets.values()}
    assert len(bench.parked) == (not is_delivered)
    assert report.delivered == 2
    if not is_delivered:
        [(kind, words)] = bench.parked
        assert kind == OpenTicket.kind
        assert words.startswith("broke: Broken: out of luck (at ")
        assert report.failures == [words]


@pytest.mark.parametrize("seam", SEAMS)
def test_what_broke_is_looked_for_before_a_retry_sends_it_again(bench, seam):
    bench.owe(open_ticket(), comment("run6"))
    bench.dispatcher(on_step=break_once(seam)).drain()
    for number in (1, 2):
        bench.retry(number)
    bench.clock.now += MINUTE
    bench.drain()
    assert [mark for mark, _ in bench.ticket.comments] == ["mark-run6"]
    assert bench.tracker.faults.calls["create"] == 1
    assert bench.owed == []


@pytest.mark.parametrize("workers", [1, 4])
def test_a_chart_that_cannot_be_drawn_ends_no_drain(bench, workers, monkeypatch):
    def draw(chart):
        raise OverflowError("cannot convert float infinity to integer")

    monkeypatch.setattr("bot.delivery.attachments.draw_history", draw)
    bench.owe(open_ticket(), attach(AttachToTicket, TICKET), comment("run6"))
    bench.dispatcher(workers=workers).drain(MINUTE)
    assert [kind for kind, _ in bench.parked] == [AttachToTicket.kind]
    assert len(bench.ticket.comments) == 1


def test_an_effect_that_cannot_be_made_ready_is_parked(bench):
    class Wordless(Wording):
        def renderer(self, pipeline, target):
            if target.service == "jira":
                raise Broken("no template")
            return super().renderer(pipeline, target)

    bench.owe(open_ticket(), tell("opened"))
    bench.dispatcher(wording=Wordless()).drain()
    assert [kind for kind, _ in bench.parked] == [OpenTicket.kind]
    assert len(bench.chat.messages) == 1


@pytest.mark.parametrize("column", ["effect", "view"])
def test_an_effect_that_cannot_be_read_is_parked_and_listed(bench, column):
    bench.owe(open_ticket(), tell("opened"))
    with bench.database.begin() as tx:
        tx.execute(update(rows).where(rows.c.seq == 1).values({column: '[{"of": "another version"}]'}))
    bench.drain()
    assert len(bench.chat.messages) == 1
    [(kind, words)] = bench.parked
    assert kind == OpenTicket.kind
    assert words.startswith("what is stored of it cannot be read")
    with bench.database.begin() as tx:
        found = outbox.find(tx, 1)
    assert found is not None
    assert (found.effect.target, found.effect.kind) == (TICKET, OpenTicket.kind)


def test_a_state_that_fails_in_the_middle_of_a_delivery_gives_the_claim_back(bench):
    bench.owe(open_ticket())
    with pytest.raises(StateError):
        bench.dispatcher(on_step=break_once("delivery.performed", StateError("the disk is full"))).drain()
    bench.clock.now += MINUTE
    bench.dispatcher().drain()
    assert bench.owed == []
    assert bench.tracker.faults.calls["create"] == 1


def test_what_was_delivered_in_the_end_is_no_failure(bench):
    from bot.errors import RetryableError

    bench.tracker.faults.fail_next("create", RetryableError("503", doubtful=False))
    bench.owe(open_ticket())
    report = bench.drain(MINUTE)
    assert (report.delivered, report.failures) == (1, [])
    with bench.database.begin() as tx:
        assert backlog.count_left(tx, "p", NOON) == 0


def test_what_is_left_of_a_pipeline_is_what_it_owes_and_what_was_parked_since(bench):
    from bot.errors import PermanentError

    bench.owe(open_ticket(), comment("run6"))
    bench.tracker.faults.fail_next("create", PermanentError("no"))
    bench.drain()
    with bench.database.begin() as tx:
        pipeline = outbox.outstanding(tx)[0].pipeline
        assert backlog.count_left(tx, pipeline, bench.clock.now) == 2
        assert backlog.count_left(tx, pipeline, bench.clock.now + MINUTE) == 1, (
            "parked before, and what waits behind it"
        )
        assert backlog.count_left(tx, "another", bench.clock.now) == 0


def test_a_dispatcher_that_is_to_stop_begins_nothing_more(bench):
    bench.owe(open_ticket(), tell("opened"))
    taken: list[str] = []
    bench.dispatcher(on_step=taken.append, stopping=lambda: "delivery.recorded" in taken).drain()
    assert taken.count("delivery.claimed") == 1
    assert len(bench.owed) == 1


@pytest.mark.parametrize("workers", [1, 4])
def test_one_that_was_stopped_before_begins_nothing(bench, workers):
    bench.owe(open_ticket())
    bench.dispatcher(workers=workers, stopping=lambda: True).drain(MINUTE)
    assert len(bench.owed) == 1


# ---- a pipeline


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


def serve(server, world, rounds=8, step=MINUTE):
    for _ in range(rounds):
        server.round()
        world.advance(step)


PIPELINES = {name: {"schedule": {"every": "1m"}, "stale": {"cadence": "1d"}} for name in ("a", "b", "c")}
JOBS = {name: {"schedule": {"every": "5m"}, "job": {"command": ["train"]}} for name in ("a", "b", "c")}


def ended(database, name):
    with database.begin() as tx:
        return [fire for fire in fires.of_pipeline(tx, name) if fire.state is FireState.ENDED]


@pytest.mark.parametrize("part", ["runs_since", "experiments", "run_of_fire"])
def test_what_breaks_in_reading_one_pipelines_runs_leaves_the_others_alone(world, sqlite_database, part):
    server = make_server(world, sqlite_database, configured(JOBS, jobs_at_once=9))
    real = server.herald.run_store

    class Breaking:
        def __getattr__(self, name: str):  # noqa: ANN204
            if name != part:
                return getattr(real, name)

            def read(*words):
                if words[0] in ("a", ("a",)) or getattr(words[0], "name", "") == "a":
                    raise Broken("out of luck")
                return getattr(real, name)(*words)

            return read

    server.herald = replace(server.herald, run_store=Breaking())
    with structlog.testing.capture_logs() as told:
        serve(server, world, 12, 2 * MINUTE)
    assert {len(ended(sqlite_database, name)) > 1 for name in ("b", "c")} == {True}
    assert {each["what"] for each in told if each["event"] == "broke"} <= {"a", "listening for silence of a"}


@pytest.mark.parametrize(
    "seam", ["fire.recorded", "job.starting", "job.started", "job.ended", "run.loaded", "run.recording"]
)
def test_a_step_of_a_cycle_that_breaks_once_loses_no_fire(world, sqlite_database, seam):
    server = make_server(world, sqlite_database, configured(JOBS, jobs_at_once=9), break_once(seam))
    serve(server, world, 8, 3 * MINUTE)
    counts = {name: len(ended(sqlite_database, name)) for name in JOBS}
    assert min(counts.values()) >= 2
    assert set(world.starts.values()) == {1}
    assert server.is_healthy


def test_due_times_that_cannot_be_told_leave_the_other_pipelines_theirs(world, sqlite_database, monkeypatch):
    import bot.pipeline.scheduling

    real = bot.pipeline.scheduling.first_after

    def first_after(timetable, moment):
        if timetable.interval == MINUTE:
            raise OverflowError("date value out of range")
        return real(timetable, moment)

    monkeypatch.setattr("bot.pipeline.scheduling.first_after", first_after)
    config = configured({"a": {"schedule": {"every": "1m"}}, "b": {"schedule": {"every": "2m"}}})
    server = make_server(world, sqlite_database, config)
    serve(server, world)
    assert len(ended(sqlite_database, "b")) > 2
    assert ended(sqlite_database, "a") == []
    assert not server.is_healthy
    assert list(server.duties.unscheduled) == ["a"]


def test_a_pipeline_that_cannot_be_listened_for_leaves_the_others_heard(world, sqlite_database, monkeypatch):
    from bot.judging.silence import SilenceWatch

    heard: list[str] = []

    def look(watch: SilenceWatch) -> None:
        if watch.context.name == "a":
            raise Broken("out of luck")
        heard.append(watch.context.name)

    monkeypatch.setattr(SilenceWatch, "look_for_silence", look)
    server = make_server(world, sqlite_database, configured(PIPELINES))
    server.round()
    assert {"b", "c"} <= set(heard)
    assert server.duties.listening.trouble


def test_a_configuration_that_breaks_whoever_reads_it_changes_nothing(world, sqlite_database):
    server = make_server(world, sqlite_database, configured(PIPELINES))

    def reconfigured(_herald):
        raise Broken("out of luck")

    server.reconfigured = reconfigured
    server.orders.ask_to_reload()
    serve(server, world)
    assert len(ended(sqlite_database, "b")) > 2


def test_a_configuration_that_has_lost_every_pipeline_is_kept_as_it_was_and_one_that_has_lost_some_names_them(
    world, sqlite_database
):
    server = make_server(world, sqlite_database, configured(PIPELINES))
    with pytest.raises(ConfigError, match="there is none any more"):
        check_not_emptied(server.herald.config, configured({}))
    check_not_emptied(configured({}), configured({}))
    left = configured({name: section for name, section in PIPELINES.items() if name != "b"})
    server.reconfigured = lambda old: replace(old, config=left)
    server.orders.ask_to_reload()
    with structlog.testing.capture_logs() as told:
        server.round()
    (line,) = [each for each in told if each["event"] == "pipelines are gone from the configuration"]
    assert (line["log_level"], line["pipelines"]) == ("warning", "b")


def test_equal_troubles_of_an_errand_end_with_one_line_that_says_so(world, sqlite_database):
    server = make_server(world, sqlite_database, configured(PIPELINES))
    server.round()
    world.mlflow_is_away = True
    serve(server, world)
    world.mlflow_is_away = False
    with structlog.testing.capture_logs() as told:
        serve(server, world)
    again = [each for each in told if each["event"] == "well again" and each["what"] == "a"]
    assert len(again) == 1
    assert again[0]["failures"] > 2


def test_serve_names_the_pipelines_that_have_no_schedule(sqlite_database, tmp_path):
    config = Config.model_validate(
        {
            "pipeline": {
                "by-hand": {"experiment": "e", "metrics": {"m": {}}},
                "hourly": {"experiment": "e", "metrics": {"m": {}}, "schedule": {"every": "1h"}},
            }
        }
    )
    herald = make_herald(config, tmp_path, services=Services({}, {}, {}), database=sqlite_database)
    with structlog.testing.capture_logs() as told:
        Server(herald, Orders(), lambda old: old)._name_the_unscheduled()
    assert [(line["event"], line["pipeline"]) for line in told] == [
        ("pipeline has no schedule: only `herald run` looks at it", "by-hand")
    ]

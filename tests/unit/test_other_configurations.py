"""Heralds that share a state and have configurations that differ are told apart, by name and by what differs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from bot.config.digests import digests_of
from bot.config.models import Config
from bot.domain.config_differences import compare
from bot.reports.digest import compose_digest, preview
from bot.reports.leader_checks import check_leader
from bot.reports.overview import overview
from bot.reports.own_health import own_health
from bot.store import leadership, serving
from bot.store.owners import Owner, database_time
from bot.web.metrics import exposition
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON

DAILY = {"schedule": {"every": "1d"}, "job": {"command": ["true"]}}
HELD = DAILY | {"experiment": "any", "metrics": {"ndcg": {}}}
JIRA = {"jira": {"url": "https://jira.example", "token": "t", "project": "P"}}


def test_a_digest_says_where_two_differ_and_nothing_of_secrets_and_of_the_machine():
    first = configured({"search": DAILY, "feed": DAILY}, tracker=JIRA)
    other_token = {"jira": JIRA["jira"] | {"token": "another", "ca_file": "/etc/ca.pem"}}
    elsewhere = DAILY | {"job": {"command": ["/opt/true"]}}
    same = configured({"search": elsewhere, "feed": DAILY}, tracker=other_token, jobs_at_once=7)
    assert digests_of(first) == digests_of(same)
    more = configured(
        {"search": DAILY | {"schedule": {"every": "2d"}}, "new": DAILY},
        tracker={"jira": JIRA["jira"] | {"project": "Q"}},
    )
    (found,) = compare({"a": digests_of(first), "b": digests_of(more)}, "a")
    assert found.herald == "b"
    assert found.only_here == ("new",)
    assert found.only_there == ("feed",)
    assert found.otherwise == ("[tracker.jira]", "search")
    assert compare({"b": digests_of(more)}, "a") == ()


@pytest.mark.parametrize(
    ("part", "more"),
    [
        ("instance", {"instance": "other"}),
        ("locale", {"locale": "zh"}),
        ("[mlflow]", {"mlflow": {"tracking_uri": "https://b:c@elsewhere.example"}}),
        ("[executor.gpus]", {"executor": {"gpus": {"kind": "slurm", "partition": "b"}}}),
        ("search", {"pipeline": {"search": HELD | {"job": {"command": ["false"], "executor": "gpus"}}}}),
    ],
)
def test_what_decides_who_is_told_what_and_what_runs_where_is_held_together(part, more):
    job = {"command": ["true"], "executor": "gpus", "environment": {"TOKEN": "a"}}
    one = {
        "pipeline": {"search": HELD | {"job": job}},
        "executor": {"gpus": {"kind": "slurm", "partition": "a"}},
        "mlflow": {"tracking_uri": "https://mlflow.example"},
    }

    def digests(**changed: object) -> Mapping[str, str]:
        return digests_of(Config.model_validate({**one, **changed}))

    (found,) = compare({"a": digests(), "b": digests(**more)}, "a")
    assert found.parts == (part,)
    secrets = {
        "mlflow": {"tracking_uri": "https://user:secret@mlflow.example"},
        "pipeline": {"search": HELD | {"job": job | {"environment": {"TOKEN": "b"}}}},
    }
    assert digests(**secrets) == digests()


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


def test_a_follower_with_another_configuration_is_named_wherever_herald_is_looked_at(
    world, sqlite_database, monkeypatch
):
    leader = make_server(world, sqlite_database, configured({"search": DAILY}))
    follower = make_server(world, sqlite_database, configured({"search": DAILY, "feed": DAILY}))
    for module in ("leader_checks", "own_health", "overview"):
        monkeypatch.setattr(f"bot.reports.{module}.database_time", lambda _tx: world.now)
    monkeypatch.setattr("bot.web.metrics.database_time", lambda _tx: world.now)
    leader.round()
    follower.round()
    name = follower.herald.dispatcher.owner.name
    with sqlite_database.begin() as tx:
        (check,) = [each for each in check_leader(tx) if each.name == "configuration"]
        (differing,) = own_health(tx, leader.herald.config, world.now).differing
        shown = exposition(leader.herald, tx).decode()
    assert (check.ok, name in check.said, "the leader does not have feed" in check.said) == (False, True, True)
    assert (differing.herald, differing.parts) == (name, ("feed",))
    assert [each.herald for each in overview(leader.herald).differing] == [name]
    assert "herald_other_configurations 1.0" in shown
    for locale, said in (("en", "has another configuration"), ("zh", "配置不同")):
        assert said in preview(leader.herald, compose_digest(leader.herald, locale=locale))
    follower.duties.leading.end()
    with sqlite_database.begin() as tx:
        assert not serving.differences(tx, world.now)


def test_what_was_not_heard_of_lately_is_not_at_work(database):
    with database.begin() as tx:
        now = database_time(tx)
        serving.note(tx, "a", {"search": "1"}, now - 10 * serving.NOTED_EVERY)
        serving.note(tx, "a", {"search": "2"}, now - 10 * serving.NOTED_EVERY)
        assert not serving.differences(tx, now)


def test_a_herald_that_died_leading_is_not_at_work_once_another_leads(database):
    now = NOON
    dead, next_one = (Owner.begin(None, lambda _tx: now) for _ in range(2))
    with database.begin() as tx:
        assert leadership.take(tx, dead, now) == 1
        serving.note(tx, dead.name, {"search": "1"}, now)
        now += leadership.LEASE + timedelta(seconds=1)
        assert leadership.take(tx, next_one, now) == 2
        serving.note(tx, next_one.name, {"search": "2"}, now)
        assert not serving.differences(tx, now)


def test_a_herald_of_which_nothing_was_heard_for_longer_than_its_lease_is_not_at_work(database):
    leader = Owner.begin(None, lambda _tx: NOON)
    silent = serving.NOTED_EVERY + leadership.LEASE + timedelta(seconds=1)
    with database.begin() as tx:
        leadership.take(tx, leader, NOON)
        serving.note(tx, leader.name, {"search": "1"}, NOON)
        serving.note(tx, "late", {"search": "2"}, NOON - serving.NOTED_EVERY - timedelta(seconds=5))
        serving.note(tx, "dead", {"search": "2"}, NOON - silent)
        assert [each.herald for each in serving.differences(tx, NOON)] == ["late"]

"""Heralds that share a state and have configurations that differ are told apart, by name and by what differs."""

from __future__ import annotations

import pytest

from bot.config.digests import digests_of
from bot.domain.config_differences import compare
from bot.reports.digest import compose_digest, preview
from bot.reports.leader_checks import check_leader
from bot.reports.overview import overview
from bot.reports.own_health import own_health
from bot.store import serving
from bot.store.owners import database_time
from bot.web.metrics import exposition
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON

DAILY = {"schedule": {"every": "1d"}, "job": {"command": ["true"]}}
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

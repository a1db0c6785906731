"""What is forgotten of the state, and what never is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.app import reconfigure
from bot.domain.effects import PostDigest, PublishArchive, PublishPage, UpdateSection
from bot.domain.fires import FireState
from bot.domain.incidents import IncidentState, SeriesKey, Turn
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.runs import Run, RunStatus
from bot.domain.snapshots import DigestBody, IncidentBody, Snapshot
from bot.errors import ConfigError
from bot.store import claims, contacts, fires, incidents, objects, outbox, runs, snapshots
from bot.store.backup import back_up, restore
from bot.store.contacts import Contact
from bot.store.owed import EffectState
from bot.store.retention import forget
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import (
    INCIDENT,
    NOON,
    PAGE,
    SECOND,
    TICKET,
    incident,
    judged,
    known,
    open_ticket,
    resolve,
    run_at,
)

MINUTE, HOUR, DAY, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=365)
SECTION = ObjectKey("confluence", ObjectKind.PAGE, "Search (Herald test)")
ARCHIVE = ObjectKey("confluence", ObjectKind.PAGE, "Search 2026 (Herald test)")
DIGEST = ObjectKey("slack", ObjectKind.MESSAGE, "C1 test-digest-1")


def fill(database) -> None:
    with database.begin() as tx:
        incidents.save(tx, incident())
        outbox.owe(tx, "search", [open_ticket()], NOON)
        objects.know(tx, known(TICKET, "S-1"))
        fires.record(tx, "search", NOON)


def deliver_all(tx) -> None:
    for owed in outbox.outstanding(tx):
        claims.mark_delivered(tx, owed, NOON)


def record_many(tx, number: int = 70, ended: datetime = NOON) -> None:
    for each in range(number):
        runs.record(tx, judged(run_at(f"run{each:02}", ended + each * SECOND)))


def test_old_runs_are_forgotten_but_for_the_latest_of_each_series(database):
    with database.begin() as tx:
        for number in range(70):
            runs.record(tx, judged(run_at(f"run{number:02}", NOON + number * timedelta(hours=1))))
        runs.record(tx, judged(run_at("lonely", NOON), series=SeriesKey("search", "rare")))
        forget(tx, NOON + YEAR, {})
        assert runs.find(tx, "search", "lonely") is not None
        assert runs.find(tx, "search", "run10") is not None
        assert runs.find(tx, "search", "run09") is None


def test_what_is_young_is_kept(database):
    with database.begin() as tx:
        for number in range(70):
            runs.record(tx, judged(run_at(f"run{number}", NOON)))
        assert forget(tx, NOON, {}) == 0


def test_an_open_incident_keeps_its_runs_and_its_ticket(database):
    fill(database)
    with database.begin() as tx:
        incidents.save(tx, incident(bad_runs=("old",)))
        runs.record(tx, judged(run_at("old", NOON - YEAR)))
        for number in range(70):
            runs.record(tx, judged(run_at(f"later{number}", NOON)))
        outbox.set_state(tx, 1, EffectState.CANCELLED, NOON)
        forget(tx, NOON + YEAR, {})
        assert runs.find(tx, "search", "old") is not None
        assert TICKET in objects.known_objects(tx, [TICKET])
        incidents.save(tx, incident(state=IncidentState.RESOLVED))
        forget(tx, NOON + YEAR, {})
        assert runs.find(tx, "search", "old") is None
        assert incidents.of_pipeline(tx, "search", *IncidentState) == []
        assert objects.known_objects(tx, [TICKET]) == {}


def test_what_is_owed_is_never_forgotten(database):
    fill(database)
    with database.begin() as tx:
        incidents.save(tx, incident(state=IncidentState.RESOLVED))
        forget(tx, NOON + 9 * YEAR, {})
        assert len(outbox.outstanding(tx)) == 1
        assert TICKET in objects.known_objects(tx, [TICKET])
        assert [fire.number for fire in fires.of_pipeline(tx, "search")] == [1]


# ---- incidents that were open until lately, and what is still owed on them


def test_an_incident_that_was_open_until_lately_keeps_what_the_digest_tells_of_it(database):
    fill(database)
    with database.begin() as tx:
        closed = incident(state=IncidentState.RESOLVED, bad_runs=("old",), closed_at=NOON + YEAR)
        incidents.save(tx, closed)
        runs.record(tx, judged(run_at("old", NOON - YEAR)))
        record_many(tx)
        deliver_all(tx)
        forget(tx, NOON + YEAR - DAY, {})
        assert incidents.of_pipeline(tx, "search", IncidentState.RESOLVED) == [closed]
        assert runs.find(tx, "search", "old") is not None
        assert TICKET in objects.known_objects(tx, [TICKET])
        forget(tx, NOON + YEAR + DAY, {})
        assert incidents.of_pipeline(tx, "search", IncidentState.RESOLVED) == []
        assert objects.known_objects(tx, [TICKET]) == {}


def test_a_word_that_waits_for_a_tracker_finds_its_old_ticket(database):
    fill(database)
    with database.begin() as tx:
        deliver_all(tx)
        incidents.save(tx, incident(state=IncidentState.RESOLVED))
        outbox.owe(tx, "search", [resolve("late")], NOON + YEAR)
        forget(tx, NOON + YEAR - DAY, {})
        assert TICKET in objects.known_objects(tx, [TICKET])


# ---- what the next look at MLflow may meet again


@pytest.mark.parametrize(
    ("contact", "overlap"),
    [
        pytest.param(Contact("search", "7", NOON - YEAR, NOON, NOON, True), DAY, id="nobody looked for a year"),
        pytest.param(Contact("search", "7", NOON, NOON, None, True), DAY, id="nobody looked since first contact"),
        pytest.param(Contact("search", "7", NOON, NOON + YEAR, NOON + YEAR, True), 2 * YEAR, id="it looks far back"),
        pytest.param(Contact("search", "7", NOON, NOON + YEAR, None, False), DAY, id="the past is being read"),
    ],
)
def test_what_the_next_look_meets_again_stays_known(contact, overlap, database):
    with database.begin() as tx:
        record_many(tx, ended=NOON - HOUR)
        contacts.save(tx, contact)
        contacts.save(tx, Contact("search", "8", NOON - YEAR, NOON + YEAR, NOON + YEAR, past_read=True))
        forget(tx, NOON + YEAR - DAY, {"search": overlap})
        assert runs.count(tx, "search") == 70
        contacts.save(tx, Contact("search", "7", NOON - YEAR, NOON + YEAR, NOON + YEAR, past_read=True))
        forget(tx, NOON + YEAR - DAY, {"search": DAY})
        assert runs.count(tx, "search") == 60


def logged(world: World, number: int) -> list[Run]:
    times = [world.now - (number - each) * MINUTE for each in range(number)]
    return [Run(f"run{at:%m%d%H%M}", "run", RunStatus.FINISHED, at, at, {"ndcg": 0.8}) for at in times]


def test_after_a_year_without_a_look_nothing_that_was_forgotten_is_news(tmp_path, sqlite_database):
    world = World(datetime(2026, 1, 5, tzinfo=UTC), tmp_path)
    looking = {"schedule": {"every": "1h"}}
    keep = {"store": {"keep": "30d"}}
    server = make_server(world, sqlite_database, configured({"looks": looking}, **keep))
    server.round()
    world.advance(2 * HOUR)
    world.logged += logged(world, 70)
    server.round()
    for _ in range(4):
        world.advance(90 * DAY)
        make_server(world, sqlite_database, configured({"looks": {}}, **keep)).round()
    server = make_server(world, sqlite_database, configured({"looks": looking}, **keep))
    world.advance(HOUR)
    server.round()
    server.round()
    with sqlite_database.begin() as tx:
        assert runs.count(tx, "looks") == 70
        assert outbox.outstanding(tx) == []


def test_a_state_that_forgot_is_carried_away_brought_back_and_files_nothing_of_what_it_forgot(tmp_path, database):
    world = World(datetime(2026, 1, 5, tzinfo=UTC), tmp_path)
    config = configured({"looks": {"schedule": {"every": "1h"}}}, store={"keep": "30d"})
    server = make_server(world, database, config)
    server.round()
    world.advance(2 * HOUR)
    world.logged += logged(world, 65)
    server.round()
    world.advance(60 * DAY)
    server.round()  # looks
    world.advance(DAY)
    server.round()  # forgets
    with database.begin() as tx:
        assert runs.count(tx, "looks") == 60
    back_up(database, tmp_path / "backup")
    restore(database, tmp_path / "backup", world.now, replace=True)
    server = make_server(world, database, config)
    for _ in range(3):
        world.advance(HOUR)
        server.round()
    with database.begin() as tx:
        assert incidents.of_pipeline(tx, "looks", *IncidentState) == []
        assert outbox.outstanding(tx) == []
        assert {each.outcome.is_acceptable for each in runs.recent(tx, SeriesKey("looks"), 100)} == {True}
        assert runs.count(tx, "looks") == 60


# ---- what else the next round leans on


def test_a_pipeline_that_has_followed_another_does_not_follow_it_again(database):
    with database.begin() as tx:
        followed = fires.record(tx, "later", NOON)
        fires.save(tx, replace(followed, state=FireState.ENDED))
        for number in range(1, 13):
            fire = fires.record(tx, "later", NOON + number * MINUTE, by_hand=True)
            fires.save(tx, replace(fire, state=FireState.ENDED))
        forget(tx, NOON + YEAR, {})
        left = fires.of_pipeline(tx, "later")
    assert followed.fire_id in {fire.fire_id for fire in left}
    assert len(left) == 11


def test_pages_that_are_kept_true_and_the_latest_digest_stay_known(database):
    section = UpdateSection(SECTION, "run1")
    archive = PublishArchive(ARCHIVE, "year")
    page = PublishPage(PAGE, "run1")
    digest = PostDigest(DIGEST, "digest")
    with database.begin() as tx:
        owed = [section, archive, page, replace(section, cause="run2"), digest]
        outbox.owe(tx, "search", [(effect, None) for effect in owed], NOON)
        deliver_all(tx)
        for key in (SECTION, ARCHIVE, PAGE):
            objects.know(tx, known(key, "1"))
        forget(tx, NOON + YEAR, {})
        assert set(objects.known_objects(tx, [SECTION, ARCHIVE, PAGE])) == {SECTION, ARCHIVE}
        assert outbox.last_digest(tx) == NOON
        outbox.owe(tx, "search", [(archive, None)], NOON + YEAR)
        assert outbox.outstanding(tx) == []
        assert [outbox.find(tx, number) is None for number in range(1, 6)] == [True, False, True, False, False]


def test_the_page_of_a_run_that_is_kept_stays_known(database):
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1"), page_title=PAGE.name))
        objects.know(tx, known(PAGE, "1"))
        forget(tx, NOON + YEAR, {})
        assert PAGE in objects.known_objects(tx, [PAGE])


# ---- in the server


def test_serving_forgets_once_a_day(tmp_path, sqlite_database):
    world = World(NOON + 2 * YEAR, tmp_path)
    server = make_server(world, sqlite_database, configured({"search": {}}))

    def left_of(prefix: str) -> int:
        with sqlite_database.begin() as tx:
            for number in range(62):
                runs.record(tx, judged(run_at(f"{prefix}{number:02}"), series=SeriesKey("search", prefix)))
        server.round()
        with sqlite_database.begin() as tx:
            return runs.count(tx, "search")

    assert left_of("first") == 60
    world.advance(DAY - MINUTE)
    assert left_of("second") == 122
    world.advance(MINUTE)
    assert left_of("third") == 180
    assert server.is_healthy


def test_how_long_to_keep_may_change_without_a_restart(tmp_path, sqlite_database):
    world = World(NOON, tmp_path)
    server = make_server(world, sqlite_database, configured({"search": {}}))
    changed = configured({"search": {}}, store={"keep": "30d"})
    assert reconfigure(server.herald, changed).config.store.keep == 30 * DAY
    moved = configured({"search": {}}, store={"url": "sqlite:///other.db"})
    with pytest.raises(ConfigError, match="takes effect when Herald is started anew"):
        reconfigure(server.herald, moved)


def test_what_was_told_is_kept_as_long_as_its_incident_and_a_digest_as_long_as_config_says(database):
    def told(snapshot_id: str, incident_id: str | None) -> Snapshot:
        body = DigestBody({}) if incident_id is None else IncidentBody(Turn.FILED, {}, {})
        return Snapshot(snapshot_id, NOON, "search", body, incident_id)

    with database.begin() as tx:
        incidents.save(tx, incident())
        for each in (told("a", INCIDENT), told("b", "forgotten"), told("c", None)):
            snapshots.keep(tx, each)
        forget(tx, NOON, {})
        assert all(snapshots.find(tx, each) for each in "abc")
        forget(tx, NOON + YEAR, {})
        assert [each for each in "abc" if snapshots.find(tx, each)] == ["a"]

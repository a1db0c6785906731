"""What thousands of incidents, tickets and owed effects cost: work in proportion to what is done, pages of what is there."""

import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, update
from typer.testing import CliRunner

from bot.app import Surroundings, make_herald
from bot.cli.main import app
from bot.config.models import Config
from bot.delivery.drain_report import DrainReport
from bot.delivery.services import Services
from bot.domain.effects import LinkTicket, OpenTicket, TellChannel
from bot.domain.fires import FireState
from bot.domain.incidents import IncidentState
from bot.domain.objects import ObjectKey, ObjectKind
from bot.pipeline.scheduling import LastLook
from bot.reports.digest import compose_digest
from bot.serve.loop import Orders, Server
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.store import Database, backlog, claims, fires, incidents, objects, outbox, retention, runs
from bot.store.backlog import Pile, Why
from bot.store.backup import back_up, restore
from bot.store.claims import Closed
from bot.store.owed import EffectState, ParkedFor
from bot.store.tables import outbox as table
from tests.memory_runs import MemoryRunStore
from tests.unit.backlogs import counted, effect_row, fill, many
from tests.unit.simulation import do_at_once
from tests.unit.state_samples import (
    INCIDENT,
    NOON,
    PAGE,
    TICKET,
    comment,
    judged,
    label,
    link,
    open_ticket,
    owe,
    run_at,
    tell,
)

MINUTE, YEAR = timedelta(minutes=1), timedelta(days=365)
PIPELINES = 20


def config(**others) -> Config:
    pipelines = {
        f"search{number:03}": {
            "experiment": "x",
            "tracker": "jira",
            "chat": "slack",
            "channel": "C1",
            "metrics": {"ndcg": {}},
        }
        for number in range(PIPELINES)
    }
    services = {
        "tracker": {"jira": {"url": "http://127.0.0.1:1", "project": "SR", "token": "x"}},
        "chat": {"slack": {"kind": "slack", "token": "x"}},
    }
    return Config.model_validate({"instance": "test", **services, "pipeline": pipelines, **others})


def make(database: Database, folder):
    services = Services({"jira": MemoryTracker()}, {}, {"slack": MemoryChat(clock=lambda: NOON)})
    around = Surroundings(clock=lambda: NOON + timedelta(days=1), pause=lambda _: None)
    return make_herald(
        config(), folder, around=around, services=services, run_store=MemoryRunStore(), database=database
    )


@pytest.fixture
def folder(sqlite_url, tmp_path, monkeypatch):
    """Return a folder with a configuration of twenty pipelines over an empty state."""
    text = f'[store]\nurl = "{sqlite_url}"\n[tracker.jira]\nurl = "http://127.0.0.1:1"\nproject = "SR"\n'
    for number in range(PIPELINES):
        text += f'[pipeline.search{number:03}]\nexperiment = "x"\ntracker = "jira"\n[pipeline.search{number:03}.metrics.ndcg]\n'
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "x")
    return tmp_path


def herald(folder, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*arguments, "--config", str(folder / "config.toml")])
    assert done.exit_code == code, done.output
    return done.output


def put_in(folder, number: int, **how) -> None:
    database = Database(f"sqlite:///{folder / 'state.db'}")
    fill(database, many(number, PIPELINES), **how)
    database.close()


# ---- what commands print


def test_the_outbox_says_how_much_is_owed_and_why_and_shows_a_page_of_it(folder):
    put_in(folder, 40, owed=True)
    shown = herald(folder, "outbox")
    assert shown.startswith("80 owed:\n")
    assert "40 jira: not tried yet, the oldest since 2026-11-24" in shown
    assert "40 slack: not tried yet" in shown
    assert "1 to 20 of 80; --page N shows others" in shown
    assert "61 to 80 of 80" in herald(folder, "outbox", "--page", "4")
    assert "There is no page 5." in herald(folder, "outbox", "--page", "5")
    assert "71 to 80 of 80" in herald(folder, "outbox", "--page", "8", "--limit", "10")


def test_scripts_get_all_that_is_owed_or_the_page_they_ask_for(folder):
    put_in(folder, 600, owed=True)
    assert [each["number"] for each in json.loads(herald(folder, "outbox", "--json"))] == list(range(1, 1201))
    page = json.loads(herald(folder, "outbox", "--json", "--limit", "3", "--page", "2"))
    assert [each["number"] for each in page] == [4, 5, 6]
    lines = herald(folder, "outbox", "--all").splitlines()
    assert [line.split("\t")[0] for line in lines if "\t" in line] == [str(number) for number in range(1, 1201)]
    assert json.loads(herald(folder, "outbox", "--json", "--page", "9999")) == []


def test_the_status_names_the_latest_incidents_of_each_pipeline_and_counts_the_others(folder):
    put_in(folder, 200)
    assert len(herald(folder, "status").splitlines()) < 200
    assert "--all names every open incident" in herald(folder, "status")
    told = json.loads(herald(folder, "status", "--json"))["pipelines"]
    assert [(each["open_incidents"], len(each["incidents"])) for each in told] == [(10, 10)] * PIPELINES
    assert "--all" not in herald(folder, "status", "--all")


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("outbox",), ("digest",)])
def test_a_command_asks_for_a_backlog_of_thousands_in_as_few_statements_as_for_a_small_one(folder, command):
    put_in(folder, 40, owed=True)
    with counted() as small:
        herald(folder, *command)
    fill_more(folder)
    with counted() as large:
        herald(folder, *command)
    more_pages = 4  # a statement names at most 500 keys
    assert large.statements <= small.statements + more_pages


def fill_more(folder) -> None:
    database = Database(f"sqlite:///{folder / 'state.db'}")
    fill(database, many(1000, PIPELINES)[40:], owed=True)
    database.close()


# ---- why it is not delivered


def test_what_is_owed_is_counted_by_service_and_reason(database):
    owe(database, open_ticket(), comment("a"), tell("a"), link())
    owe(database, tell("b"), now=NOON + MINUTE)
    rows = {
        "open_ticket": {"state": EffectState.PARKED, "parked_for": ParkedFor.BROKEN, "error": "line 3"},
        "comment_ticket": {"error": "Jira is away"},
        "link_ticket": {"waits_for": str(PAGE)},
    }
    with database.begin() as tx:
        for kind, values in rows.items():
            tx.execute(update(table).where(table.c.kind == kind).values(values))
        found = backlog.piles(tx)
    assert found == [
        Pile("slack", Why.IN_LINE, 2, NOON),
        Pile("jira", Why.BROKEN, 1, NOON, "line 3"),
        Pile("jira", Why.FAILED, 1, NOON, "Jira is away"),
        Pile("jira", Why.WAITS, 1, NOON),
    ]


def test_what_stands_in_line_for_a_service_that_refuses_our_account_waits_for_that(database):
    owe(database, open_ticket(), comment("a"), tell("a"))
    with database.begin() as tx:
        held = {"parked_for": ParkedFor.ACCOUNT, "error": "Jira does not take the token"}
        tx.execute(update(table).where(table.c.seq == 1).values(held))
        assert backlog.piles(tx) == [
            Pile("jira", Why.ACCOUNT, 2, NOON, "Jira does not take the token"),
            Pile("slack", Why.IN_LINE, 1, NOON),
        ]


def test_words_that_not_all_of_a_pile_have_are_an_example(database):
    owe(database, tell("a"), tell("b"))
    with database.begin() as tx:
        tx.execute(update(table).values(sent_at=NOON))
        tx.execute(update(table).where(table.c.seq == 1).values(error="a timeout"))
        tx.execute(update(table).where(table.c.seq == 2).values(error="half an answer"))
        assert backlog.piles(tx) == [Pile("slack", Why.DOUBTFUL, 2, NOON, "a timeout", is_everybodys=False)]


def test_what_is_parked_is_shown_first(database):
    owe(database, tell("a"), open_ticket())
    with database.begin() as tx:
        tx.execute(update(table).where(table.c.seq == 2).values(state=EffectState.PARKED))
        assert [owed.seq for owed in backlog.page(tx, 10)] == [2, 1]
        assert [owed.seq for owed in backlog.page(tx, 1, 1)] == [1]
        assert [owed.seq for owed in backlog.each_listed(tx)] == [1, 2]


# ---- delivering


def work_of_delivering(database, folder, number: int = 20) -> int:
    dispatcher = make(database, folder).dispatcher
    dispatcher.deliver_next(DrainReport())  # whatever is done once
    with counted() as work:
        for _ in range(number):
            assert dispatcher.deliver_next(DrainReport())
    return work.hundreds


def test_a_delivery_costs_the_same_however_much_is_owed_and_was_delivered(sqlite_database, tmp_path):
    told = many(1500, PIPELINES)
    fill(sqlite_database, told[:20], owed=True, have_tickets=False)
    small = work_of_delivering(sqlite_database, tmp_path)
    fill(sqlite_database, told[20:500], owed=True, have_tickets=False)
    with sqlite_database.begin() as tx:
        tx.execute(update(table).values(state=EffectState.DELIVERED))
    fill(sqlite_database, told[500:], owed=True, have_tickets=False)
    assert work_of_delivering(sqlite_database, tmp_path) < 1.5 * small


def owe_behind(database, number: int, **head) -> None:
    """Owe a ticket and a comment on it for each of many incidents; the ticket is as *head* says."""
    rows = []
    for each in many(number, PIPELINES):
        ticket, _ = each.effects()
        rows += [effect_row(each.pipeline, *ticket) | head, effect_row(each.pipeline, *each.comment())]
    with database.begin() as tx:
        tx.execute(insert(table), rows)


@pytest.mark.parametrize(
    "head",
    [{"state": EffectState.PARKED, "parked_for": ParkedFor.REFUSED}, {"not_before": NOON + YEAR}],
    ids=["parked", "later"],
)
def test_what_cannot_go_yet_is_walked_over_without_reading_its_rows(sqlite_database, head):
    """Each costs a look into an index or three: some dozens of steps, where its row alone has pages."""
    owe_behind(sqlite_database, 500, **head)
    owe(sqlite_database, tell("a"))
    with counted() as work, sqlite_database.begin() as tx:
        assert claims.claim_next(tx, "host/1/1/a", NOON, NOON).effect.kind == TellChannel.kind
        assert claims.claim_next(tx, "host/1/1/a", NOON, NOON, Closed({"slack"})) is None
    assert work.hundreds < 1200


def test_nothing_is_due_behind_what_is_parked_nor_what_waits_for_it(database):
    owe(database, open_ticket(), comment("a"), link())
    with database.begin() as tx:
        tx.execute(update(table).where(table.c.kind == OpenTicket.kind).values(state=EffectState.PARKED))
        tx.execute(update(table).where(table.c.kind == LinkTicket.kind).values(waits_for=str(TICKET)))
        assert claims.next_due(tx) is None
    owe(database, tell("a"), now=NOON + MINUTE)
    with database.begin() as tx:
        assert claims.next_due(tx) == NOON + MINUTE
        for _ in range(2):
            claims.claim_next(tx, "host/1/1/a", NOON + MINUTE, NOON + 5 * MINUTE)
        assert claims.next_due(tx) == NOON + 5 * MINUTE  # when the lease ends


def test_asking_when_something_is_due_reads_no_effects(sqlite_database):
    fill(sqlite_database, many(500, PIPELINES), owed=True)
    with counted() as work, sqlite_database.begin() as tx:
        assert claims.next_due(tx) == NOON
    assert work.hundreds < 10


def test_more_objects_are_known_than_a_statement_may_name(sqlite_database):
    keys = [ObjectKey("jira", ObjectKind.TICKET, f"herald-test-{number:012}-0-1") for number in range(33_000)]
    with sqlite_database.begin() as tx:
        assert objects.known_objects(tx, keys) == {}


def test_a_message_whose_end_is_not_known_costs_no_walk_over_all_that_was_made(sqlite_database):
    fill(sqlite_database, many(1000, PIPELINES))
    with counted() as work, sqlite_database.begin() as tx:
        assert objects.place_of(tx, many(1)[0].message) == "C1"
    assert work.hundreds < 10


def test_a_round_of_the_server_asks_as_much_of_a_backlog_as_of_none(sqlite_database, tmp_path):
    server = Server(make(sqlite_database, tmp_path), Orders(), lambda old: old, start_task=do_at_once)
    server.round()
    server.duties.looked = LastLook()  # or nothing would be looked at so soon
    with counted() as calm:
        server._record_and_start(NOON + timedelta(days=1))
    fill(sqlite_database, many(500, PIPELINES), owed=True)
    with sqlite_database.begin() as tx:
        for number in range(200):
            fire = fires.record(tx, "search000", NOON + number * MINUTE)
            fires.save(tx, replace(fire, state=FireState.ENDED, ended_at=NOON))
    server.duties.looked = LastLook()
    with counted() as busy:
        server._record_and_start(NOON + timedelta(days=1))
    assert (busy.statements, busy.hundreds) == (calm.statements, pytest.approx(calm.hundreds, abs=2))


def test_what_nothing_makes_any_more_is_left_to_a_person_and_not_waited_for(sqlite_database, tmp_path):
    owe(sqlite_database, label())
    make(sqlite_database, tmp_path).dispatcher.drain()
    with sqlite_database.begin() as tx:
        (left,) = outbox.outstanding(tx)
    assert left.state is EffectState.PARKED
    assert left.error == f"{PAGE}: is gone or was never made, and nothing makes it any more"


# ---- the digest, forgetting, backup


def test_of_a_thousand_incidents_the_digest_reads_the_runs_of_those_that_it_has_room_for(sqlite_database, tmp_path):
    fill(sqlite_database, many(1000, PIPELINES))
    made = make(sqlite_database, tmp_path)
    with counted() as work:
        digest = compose_digest(made)
    assert sum(len(part.lines) for part in digest.view.parts) <= 15
    assert digest.view.parts[0].more == "995"
    assert digest.view.parts[1].more == "15"  # of 20 pipelines that have never been looked at
    assert work.statements < 8 * PIPELINES


def test_an_incident_that_was_over_before_the_last_digest_is_not_read(sqlite_database):
    fill(sqlite_database, many(300, PIPELINES), state=IncidentState.RESOLVED)
    with sqlite_database.begin() as tx:
        late = incidents.closed_since(tx, IncidentState.RESOLVED, NOON + 298 * MINUTE)
    assert [each.opened_by for each in late] == ["run000297", "run000298", "run000299"]


def test_forgetting_goes_on_where_open_incidents_have_more_runs_than_a_statement_may_name(sqlite_database):
    each = many(1, PIPELINES)[0]
    bad = tuple(f"run{number:06}" for number in range(33_000))
    with sqlite_database.begin() as tx:
        incidents.save(tx, replace(each.incident(IncidentState.OPEN), bad_runs=bad))
        for number in range(80):
            runs.record(tx, judged(run_at(f"run{number:06}", NOON + number * MINUTE)))
        retention.forget(tx, NOON + YEAR, {})
        assert runs.count(tx, "search") == 80


def test_a_backup_and_a_restore_hold_some_rows_at_a_time(sqlite_database, tmp_path):
    long = "x" * 20_000
    told = many(1000, PIPELINES)
    with sqlite_database.begin() as tx:
        for each in told:
            effect = OpenTicket(each.ticket, "opened", INCIDENT)
            tx.execute(insert(table).values(effect_row(each.pipeline, effect, None, error=long)))
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    empty.migrate()
    tracemalloc.start()
    count = back_up(sqlite_database, tmp_path / "backup")
    assert restore(empty, tmp_path / "backup", NOON, replace=False) == count == 1000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    empty.close()
    assert peak < 10_000_000 < 1000 * len(long)

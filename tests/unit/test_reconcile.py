"""What we believe and what the services hold are brought together."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.app import Surroundings, make_herald
from bot.cli.main import app
from bot.cli.output import outbox as output
from bot.config.models import Config
from bot.delivery.reconciliation import look, repair
from bot.delivery.services import Services
from bot.domain.capabilities import TicketState
from bot.domain.effects import AttachText, AttachToTicket, PublishPage
from bot.domain.incidents import IncidentState
from bot.domain.message import MessageDocument
from bot.domain.repairs import Held, RepairKind, settle_duplicates
from bot.domain.views import ChartView, RunPageView
from bot.errors import AccountError, PermanentError
from bot.ports import PageDraft, Ticket, TicketDraft
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTicket, MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import incidents, objects, outbox, tables
from tests.memory_runs import MemoryRunStore
from tests.unit.backlogs import counted, many
from tests.unit.state_samples import (
    INCIDENT,
    MESSAGE,
    NOON,
    PAGE,
    RUN_VIEW,
    TICKET,
    VERDICT,
    comment,
    incident,
    link,
    open_ticket,
    owe,
    owed_kinds,
    tell,
    ticket_view,
)

CONFIG = Config.model_validate(
    {
        "instance": "test",
        "tracker": {"jira": {"url": "http://127.0.0.1:1", "project": "SR", "token": "x"}},
        "wiki": {"confluence": {"url": "http://127.0.0.1:1", "space": "SR", "token": "x"}},
        "chat": {"slack": {"kind": "slack", "token": "x"}},
        "pipeline": {
            "search": {
                "experiment": "search",
                "tracker": "jira",
                "wiki": "confluence",
                "chat": "slack",
                "channel": "C1",
                "metrics": {"ndcg": {}},
            }
        },
    }
)


class Bench:
    def __init__(self, database, folder) -> None:
        self.tracker, self.wiki = MemoryTracker(), MemoryWiki()
        self.chat = MemoryChat(clock=lambda: NOON)
        services = Services({"jira": self.tracker}, {"confluence": self.wiki}, {"slack": self.chat})
        around = Surroundings(clock=lambda: NOON + timedelta(minutes=1), pause=lambda _: None)
        self.database = database
        self.herald = make_herald(
            CONFIG, folder, around=around, services=services, run_store=MemoryRunStore(), database=database
        )
        with database.begin() as tx:
            incidents.save(tx, incident())

    def told(self) -> None:
        """Deliver a page, a ticket and a message."""
        view = RunPageView(PAGE.name, VERDICT, RUN_VIEW, (), (), (), (), None, TICKET.name, ("herald", "herald-test"))
        publish = PublishPage(PAGE, "run5", INCIDENT), view
        owe(self.database, publish, open_ticket(), tell("a"))
        self.herald.dispatcher.drain()
        self.wiki.label("1", ["herald", "herald-test"])

    def heal(self) -> list[RepairKind]:
        repairs = look(self.herald.reconciliation).repairs
        repair(self.herald.reconciliation, repairs)
        self.herald.dispatcher.drain()
        assert [
            each for each in look(self.herald.reconciliation).repairs if each.kind is not RepairKind.TELL_DUPLICATE
        ] == []
        return [each.kind for each in repairs]

    def lose_the_state(self) -> None:
        with self.database.begin() as tx:
            tx.execute(tables.outbox.delete())
            tx.execute(tables.objects.delete())

    def known(self, key):
        with self.database.begin() as tx:
            return objects.known_objects(tx, [key]).get(key)


@pytest.fixture
def bench(sqlite_database, tmp_path) -> Bench:
    return Bench(sqlite_database, tmp_path)


def test_where_nothing_was_touched_nothing_is_to_be_repaired(bench):
    bench.told()
    assert bench.heal() == []


def test_a_deleted_ticket_of_an_open_incident_is_filed_anew_and_takes_what_is_owed(bench):
    bench.told()
    bench.tracker.tickets.clear()
    owe(bench.database, comment("later"))
    assert bench.heal() == [RepairKind.FILE_ANEW]
    (ticket,) = [each for each in bench.tracker.tickets.values() if each.marker == TICKET.name]
    assert bench.known(TICKET).bound.external_id == ticket.key
    assert [mark for mark, _ in ticket.comments] == ["mark-later"]
    assert owed_kinds(bench.database) == []


def test_a_ticket_that_is_filed_anew_has_everything_that_the_first_one_had(bench):
    view = RunPageView(PAGE.name, VERDICT, RUN_VIEW, (), (), (), (), None, TICKET.name, ("herald", "herald-test"))
    publish = PublishPage(PAGE, "run5", INCIDENT), view
    chart = ChartView("ndcg", ("a", "b"), (0.8, 0.6), (None, None))
    chart = AttachToTicket(TICKET, "run5", INCIDENT, needs=(TICKET,)), chart
    whole = AttachText(TICKET, "opened", INCIDENT, needs=(TICKET,)), ticket_view()
    owe(bench.database, publish, open_ticket(report=PAGE), chart, link(), whole, comment("a"), tell("a", ticket=TICKET))
    bench.herald.dispatcher.drain()
    bench.wiki.label("1", ["herald", "herald-test"])
    (first,) = bench.tracker.tickets.values()
    assert (len(first.attachments), len(first.links), len(first.comments)) == (2, 1, 1)
    assert "MEM-1" in bench.chat.messages[0].text
    del bench.tracker.tickets["MEM-1"]
    assert bench.heal() == [RepairKind.FILE_ANEW]
    again = bench.tracker.tickets["MEM-2"]
    assert (again.draft, again.attachments, again.links, again.comments) == (
        first.draft,
        first.attachments,
        first.links,
        first.comments,
    )
    assert "MEM-2" in bench.chat.messages[0].text
    assert "MEM-1" not in bench.chat.messages[0].text
    assert owed_kinds(bench.database) == []


def test_a_ticket_that_is_filed_anew_waits_for_no_page_that_was_deleted_too(bench):
    bench.told()
    owe(bench.database, link())
    bench.herald.dispatcher.drain()
    bench.tracker.tickets.clear()
    bench.wiki.pages.clear()
    assert bench.heal() == [RepairKind.FILE_ANEW, RepairKind.FORGET]
    (ticket,) = bench.tracker.tickets.values()
    assert ticket.links == {}
    assert owed_kinds(bench.database) == []


def test_messages_name_a_ticket_by_the_key_that_it_was_moved_to(bench):
    owe(bench.database, open_ticket(), tell("a", ticket=TICKET))
    bench.herald.dispatcher.drain()
    ticket = bench.tracker.tickets.pop("MEM-1")
    ticket.key, ticket.marker = "OPS-4", f"moved {ticket.marker}"
    bench.tracker.tickets["OPS-4"] = ticket
    bench.tracker.moved["MEM-1"] = "OPS-4"
    assert bench.heal() == [RepairKind.FOLLOW]
    (message,) = bench.chat.messages
    assert "OPS-4" in message.text
    assert "MEM-1" not in message.text


# ---- which of several tickets


def repeated(bench) -> tuple[MemoryTicket, MemoryTicket]:
    """Return a ticket and a later one that was closed as repeating it."""
    bench.told()
    bench.tracker.create(TICKET.name, TicketDraft("again", ""))
    assert bench.heal() == [RepairKind.CLOSE_DUPLICATE]
    first, later = bench.tracker.tickets.values()
    return first, later


def test_with_the_state_lost_the_open_original_wins_over_its_closed_duplicate(bench):
    first, _ = repeated(bench)
    bench.lose_the_state()
    bench.heal()
    assert bench.known(TICKET).bound.external_id == first.key


def test_an_older_ticket_that_was_closed_gives_way_to_the_open_one(bench):
    """Whoever closed it left the other open: that is the one that people work on."""
    bench.told()
    bench.tracker.create(TICKET.name, TicketDraft("again", ""))
    bench.tracker.tickets["MEM-1"].state = TicketState.DONE
    bench.lose_the_state()
    bench.heal()
    assert bench.known(TICKET).bound.external_id == "MEM-2"
    assert bench.tracker.tickets["MEM-2"].state is TicketState.TODO


def test_a_known_ticket_that_was_closed_gives_way_to_the_open_one_which_gets_its_chart(bench):
    chart = ChartView("ndcg", ("a", "b"), (0.8, 0.6), (None, None))
    chart = AttachToTicket(TICKET, "run5", INCIDENT, needs=(TICKET,)), chart
    owe(bench.database, open_ticket(), chart, tell("a", ticket=TICKET))
    bench.herald.dispatcher.drain()
    bench.tracker.create(TICKET.name, TicketDraft("again", ""))
    bench.tracker.close_duplicate("MEM-1", Ticket("MEM-2", "https://x/MEM-2", TicketState.TODO))
    assert bench.heal() == [RepairKind.TURN_TO]
    assert bench.known(TICKET).bound.external_id == "MEM-2"
    assert len(bench.tracker.tickets["MEM-2"].attachments) == 1
    assert "MEM-2" in bench.chat.messages[0].text


@pytest.mark.parametrize("is_known", [True, False])
def test_of_a_deleted_original_and_its_closed_duplicate_an_open_incident_takes_neither(bench, is_known):
    first, later = repeated(bench)
    del bench.tracker.tickets[first.key]
    if not is_known:
        bench.lose_the_state()
    repairs = look(bench.herald.reconciliation).repairs
    assert [each.kind for each in repairs if each.key == TICKET] == ([RepairKind.FILE_ANEW] if is_known else [])
    repair(bench.herald.reconciliation, repairs)
    if not is_known:  # Herald comes to the same incident again, and looks for its ticket first
        with bench.database.begin() as tx:
            outbox.owe(tx, "search", [open_ticket()], NOON, asked_before=NOON - timedelta(hours=1))
    bench.herald.dispatcher.drain()
    (standing,) = [each for each in bench.tracker.tickets.values() if each.state is TicketState.TODO]
    assert standing.key not in (first.key, later.key)
    assert bench.known(TICKET).bound.external_id == standing.key
    assert look(bench.herald.reconciliation).repairs == ()


def test_an_original_that_was_moved_out_of_sight_is_not_exchanged_for_its_closed_duplicate(bench):
    repeated(bench)
    original = bench.tracker.tickets.pop("MEM-1")
    original.key, original.marker = "OPS-4", f"moved {original.marker}"
    bench.tracker.tickets["OPS-4"] = original
    bench.tracker.moved["MEM-1"] = "OPS-4"
    assert bench.heal() == [RepairKind.FOLLOW]
    assert bench.known(TICKET).bound.external_id == "OPS-4"


def test_a_ticket_that_people_closed_stays_the_incidents_and_none_is_filed_beside_it(bench):
    bench.told()
    bench.tracker.tickets["MEM-1"].state = TicketState.DONE
    assert bench.heal() == []
    bench.lose_the_state()
    (found,) = [each for each in look(bench.herald.reconciliation).repairs if each.key == TICKET]
    assert (found.kind, found.held.is_over) == (RepairKind.KNOW, True)
    bench.heal()
    bench.told()
    assert len(bench.tracker.tickets) == 1


def test_a_ticket_that_people_closed_as_a_duplicate_of_theirs_stays_the_one_we_know(bench):
    bench.told()
    bench.tracker.close_duplicate("MEM-1", Ticket("HUMAN-7", "https://x/HUMAN-7", TicketState.TODO))
    assert bench.heal() == []
    assert bench.known(TICKET).bound.external_id == "MEM-1"


def test_what_repeats_the_ticket_of_an_incident_that_is_over_is_closed_and_not_taken(bench):
    bench.told()
    bench.tracker.tickets["MEM-1"].state = TicketState.DONE
    with bench.database.begin() as tx:
        incidents.save(tx, incident(state=IncidentState.RESOLVED))
    bench.tracker.create(TICKET.name, TicketDraft("again", ""))
    assert bench.heal() == [RepairKind.CLOSE_DUPLICATE]
    assert bench.known(TICKET).bound.external_id == "MEM-1"
    assert bench.tracker.tickets["MEM-2"].state is TicketState.DONE


# ---- many


def test_pages_of_another_herald_in_the_same_space_are_not_ours(bench):
    theirs = bench.wiki.create(PageDraft("Search: run 1 (run0001)", ""))
    bench.wiki.label(theirs.page_id, ["herald", "herald-another"])
    assert look(bench.herald.reconciliation).repairs == ()


def test_pages_that_the_wiki_lists_are_not_asked_for_one_by_one(bench):
    for number in range(30):
        page = bench.wiki.create(PageDraft(f"Search: run {number} (run{number:04})", ""))
        bench.wiki.label(page.page_id, ["herald", "herald-test"])
    bench.heal()
    asked = bench.wiki.faults.calls["read"]
    assert look(bench.herald.reconciliation).repairs == ()
    assert bench.wiki.faults.calls["read"] == asked


def test_many_repairs_are_kept_in_few_statements_each(bench):
    told = many(300, 1)
    for each in told:
        bench.tracker.create(each.ticket.name, TicketDraft("t", "", ("herald-test",)))
    repairs = look(bench.herald.reconciliation).repairs
    with counted() as work:
        repair(bench.herald.reconciliation, repairs)
    assert len(repairs) == 300
    assert work.texts.count("BEGIN IMMEDIATE") <= 1
    assert work.statements < 8 * 300


def test_of_many_repairs_the_command_shows_some_and_counts_the_others(bench, capsys):
    for each in many(60, 1):
        bench.tracker.create(each.ticket.name, TicketDraft("t", "", ("herald-test",)))
    looked = look(bench.herald.reconciliation)
    output.print_repairs(looked, dry_run=True, as_json=False)
    shown = capsys.readouterr().out
    assert "60 in all, which --json lists:" in shown
    assert "60: it is there and was not known" in shown
    output.print_repairs(looked, dry_run=True, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["repairs"]) == 60


def test_a_deleted_ticket_of_an_incident_that_is_over_is_forgotten_with_what_is_owed_on_it(bench):
    bench.told()
    with bench.database.begin() as tx:
        incidents.save(tx, incident(state=IncidentState.RESOLVED))
    bench.tracker.tickets.clear()
    owe(bench.database, comment("later"))
    assert bench.heal() == [RepairKind.FORGET]
    assert bench.known(TICKET) is None
    assert owed_kinds(bench.database) == []
    assert bench.tracker.tickets == {}


def test_a_ticket_that_was_moved_to_another_project_is_followed(bench):
    bench.told()
    ticket = bench.tracker.tickets.pop("MEM-1")
    ticket.key, ticket.marker = "OPS-4", f"moved {ticket.marker}"  # no search of our project shows it
    bench.tracker.tickets["OPS-4"] = ticket
    bench.tracker.moved["MEM-1"] = "OPS-4"
    assert bench.heal() == [RepairKind.FOLLOW]
    assert bench.known(TICKET).bound.external_id == "OPS-4"


def test_of_two_tickets_with_one_marker_the_later_is_closed_as_a_duplicate_and_says_why(bench):
    bench.told()
    bench.tracker.create(TICKET.name, TicketDraft("again", ""))
    assert bench.heal() == [RepairKind.CLOSE_DUPLICATE]
    first, later = bench.tracker.tickets.values()
    assert (first.state, later.state) == (TicketState.TODO, TicketState.DONE)
    assert later.links["duplicate"].title == "MEM-1"
    ((_, words),) = later.comments
    assert words == "MEM-1 was opened first for the same incident; this ticket repeats it."
    assert bench.known(TICKET).bound.external_id == "MEM-1"


def test_tickets_of_another_herald_are_left_alone(bench):
    bench.tracker.create("herald-other-0123456789ab-0-1", TicketDraft("theirs", ""))
    assert bench.heal() == []


def test_a_renamed_page_is_followed(bench):
    bench.told()
    page = bench.wiki.pages["1"]
    page.draft = replace(page.draft, title="What people call it")
    assert bench.heal() == [RepairKind.FOLLOW]
    assert bench.known(PAGE).bound.title == "What people call it"


def test_a_deleted_page_is_forgotten(bench):
    bench.told()
    bench.wiki.pages.clear()
    assert bench.heal() == [RepairKind.FORGET]
    assert bench.known(PAGE) is None


def test_a_second_message_is_told_and_the_first_stays_known(bench):
    bench.told()
    bench.chat.post("C1", f"test-{INCIDENT}", MessageDocument.read("again"))
    assert bench.heal() == [RepairKind.TELL_DUPLICATE]
    assert bench.known(MESSAGE).bound.external_id == "1"


def test_with_the_state_lost_everything_is_known_again_by_its_marker_and_nothing_is_said_twice(bench):
    bench.told()
    parent = bench.wiki.create(PageDraft("search (Herald test)", ""))
    before = {key: bench.known(key).bound.external_id for key in (TICKET, PAGE, MESSAGE)}
    bench.lose_the_state()
    assert bench.heal() == [RepairKind.KNOW] * 4
    assert {key: bench.known(key).bound.external_id for key in before} == before
    assert parent.page_id == "2"
    bench.told()
    assert (len(bench.tracker.tickets), len(bench.wiki.pages), len(bench.chat.messages)) == (1, 2, 1)


def test_a_dry_run_changes_nothing(bench):
    bench.told()
    bench.lose_the_state()
    assert len(look(bench.herald.reconciliation).repairs) == 3
    assert bench.known(TICKET) is None


HELD = st.lists(st.sampled_from(["open", "closed", "repeats"]), min_size=1, max_size=5)


@given(HELD, st.none() | st.integers(0, 4), st.booleans())
def test_of_several_tickets_one_stands_and_the_other_open_ones_are_closed(states, known_number, is_live):
    held = [
        Held(f"SR-{number}", f"SR-{number}", "", is_over=state != "open", is_duplicate=state == "repeats")
        for number, state in enumerate(states)
    ]
    believed = held[known_number] if known_number is not None and known_number < len(held) else None
    stands, repairs = settle_duplicates(TICKET, held, believed, RepairKind.CLOSE_DUPLICATE, is_live=is_live)
    closed = [each.held for each in repairs if each.kind is RepairKind.CLOSE_DUPLICATE]
    opened = [each for each in held if not each.is_over]
    assert (stands is None) == all(each.is_duplicate for each in held)
    assert stands is None or not stands.is_duplicate
    assert closed == [each for each in opened if each != stands]
    if is_live and opened:
        assert stands == opened[0]
    elif believed is not None and not believed.is_duplicate:
        assert stands == believed


def test_the_command_tells_what_it_found(sqlite_url, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        f'[store]\nurl = "{sqlite_url}"\n[pipeline.search]\nexperiment = "x"\n[pipeline.search.metrics.ndcg]\n'
    )
    done = CliRunner().invoke(app, ["outbox", "reconcile", "--dry-run", "--json", "--config", str(path)])
    assert json.loads(done.output) == {"dry_run": True, "repairs": [], "not_seen": []}
    assert "What we believe is" in CliRunner().invoke(app, ["outbox", "reconcile", "--config", str(path)]).output


# ---- walls between services


@pytest.mark.parametrize("refusing", ["tracker", "wiki", "chat"])
def test_a_service_that_refuses_is_named_and_the_others_are_looked_at(bench, refusing):
    bench.told()
    bench.lose_the_state()
    method = {"tracker": "marked", "wiki": "labelled", "chat": "marked"}[refusing]
    getattr(bench, refusing).faults.fail_next(method, AccountError("who are you?"))
    looked = look(bench.herald.reconciliation)
    names = {"tracker": "jira", "wiki": "confluence", "chat": "slack C1"}
    assert [(each.where, each.words) for each in looked.unseen] == [(names[refusing], "who are you?")]
    assert {each.key.service for each in looked.repairs} == {"jira", "confluence", "slack"} - {
        names[refusing].split()[0]
    }


def test_a_service_that_refuses_half_way_is_not_repaired_by_halves(bench):
    bench.told()
    bench.tracker.tickets.clear()
    bench.tracker.faults.fail_next("read", AccountError("the project is hidden"))
    looked = look(bench.herald.reconciliation)
    assert looked.repairs == ()
    assert len(looked.unseen) == 1


def test_a_repair_that_is_refused_is_named_and_the_next_goes_on(bench):
    bench.told()
    twin = bench.tracker.create(TICKET.name, TicketDraft("again", "b", ("herald-test",)))
    bench.lose_the_state()
    bench.tracker.faults.fail_next("comment", PermanentError("may not comment"))
    looked = look(bench.herald.reconciliation)
    assert [each.words for each in repair(bench.herald.reconciliation, looked.repairs)] == ["may not comment"]
    assert bench.known(TICKET).bound.external_id != twin.key
    assert bench.known(PAGE) is not None


def test_a_channel_that_may_not_be_looked_up_is_found_by_the_id_of_an_earlier_message(bench):
    bench.told()
    with bench.database.begin() as tx:
        known = objects.known_objects(tx, [MESSAGE])[MESSAGE]
        objects.know(tx, replace(known, place="C0123456789"))
    bench.chat.messages[0].channel = "C0123456789"
    bench.chat.faults.fail_next("marked", AccountError("missing_scope"))
    assert look(bench.herald.reconciliation).unseen == ()
    assert bench.chat.faults.calls["marked"] == 2


def test_the_command_names_who_refused_and_ends_with_1(tmp_path):
    (tmp_path / "config.toml").write_text(
        '[tracker.jira]\nurl = "http://127.0.0.1:9"\nproject = "S"\n[pipeline.p]\nexperiment = "p"\n'
        "[pipeline.p.metrics.m]\n"
    )
    command = ["outbox", "reconcile", "--config", str(tmp_path / "config.toml")]
    env = {"HERALD_TRACKER__JIRA__TOKEN": "x"}
    shown = CliRunner().invoke(app, command, env=env)
    assert shown.exit_code == 1
    assert "not looked at: jira: Jira did not list our tickets" in shown.output
    told = json.loads(CliRunner().invoke(app, [*command, "--json"], env=env).stdout)
    assert [each["where"] for each in told["not_seen"]] == ["jira"]

"""What people answer on a ticket or in a thread, read back: each is acted on once, answered once, and can be undone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import delete

from bot.domain.capabilities import TicketState
from bot.domain.incidents import IncidentState
from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind
from bot.domain.rules import Person, Rule, RuleKind
from bot.domain.tasks import task_of
from bot.errors import RetryableError
from bot.ports import Posted
from bot.reports.overview import overview
from bot.serve.loop import Server
from bot.serve.shutdown import Orders
from bot.services.memory.tracker import HERALD
from bot.store import fires, incidents, listenings, objects, rules, tables
from bot.store.objects import KnownObject
from bot.triage.round import RoundReport
from tests.unit.cycle_bench import EAGER, GOOD, JOB, Bench
from tests.unit.simulation import do_at_once

WEI, DANA, BOT = Person("wei", "Wei Zhang"), Person("dana", "Dana"), Person("ci", "CI", is_app=True)
BAD = (0.50, 0.50)


@dataclass
class Desk(Bench):
    """A Herald that has filed a ticket, and the people who answer it."""

    killed_at: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tickets.people.assignable.add(WEI.account)
        self.threads.people.assignable.add(WEI.account)

    def read(self) -> RoundReport:
        self.now += timedelta(minutes=2)
        report = self.herald.triage.run()
        self.herald.dispatcher.drain()
        return report

    def say(self, *lines: str, by: Person = WEI):
        self.now += timedelta(seconds=10)
        return self.tracker.say(self.ticket.key, by, "\n".join(lines))

    @property
    def replies(self) -> list[str]:
        """What Herald said on the ticket since it was filed."""
        return [each.body for each in self.ticket.said if each.author == HERALD]

    @property
    def rules(self) -> list[Rule]:
        with self.database.begin() as tx:
            return list(rules.in_force(tx, self.now))


@pytest.fixture
def make_desk(tmp_path, sqlite_url) -> Callable[..., Desk]:
    def make(**changes) -> Desk:
        desk = Desk(tmp_path, sqlite_url, {**EAGER, **changes.pop("pipeline", {})}, **changes)
        desk.outcomes([*GOOD, *GOOD, *BAD])
        return desk

    return make


@pytest.fixture
def desk_on_any_state(tmp_path, state_url) -> Iterator[Desk]:
    desk = Desk(tmp_path, state_url, dict(EAGER))
    desk.outcomes([*GOOD, *GOOD, *BAD])
    yield desk
    desk.database.close()


@pytest.fixture
def desk(make_desk) -> Desk:
    return make_desk()


def ledger_of(desk: Desk) -> str:
    (page,) = [each for each in desk.wiki.pages.values() if "quiet about" in each.draft.title]
    return page.storage


def test_a_command_is_acted_on_once_and_answered_once_with_how_to_take_it_back(desk):
    desk.say("We know this one.", "/herald noise 30d seeds differ")
    for _ in range(3):
        desk.read()
    (rule,) = desk.rules
    assert (rule.kind, rule.reason, rule.author) == (RuleKind.NOISE, "seeds differ", WEI)
    assert rule.until is not None
    assert rule.until - rule.made_at == timedelta(days=30)
    (reply,) = desk.replies
    assert "seeds differ" in reply or "Noise" in reply
    assert f"/herald undo {rule.number}" in reply


def test_commands_of_one_comment_run_in_their_order_and_get_one_reply(desk):
    desk.say("/herald mute 14d the catalogue moves", "/herald undo 1", "/herald rules")
    desk.read()
    assert desk.rules == []
    reply, *_ = desk.replies  # and then what the mute kept quiet
    assert reply.index("until") < reply.index("Taken back") < reply.index("Nothing is quiet")


def test_a_fix_is_watched_for_as_many_runs_as_the_reply_says_and_of_what_is_over_none(desk):
    desk.say("/herald fixed")
    desk.read()
    assert "Herald watches the next 3 runs" in desk.replies[-1]
    desk.say("/herald noise 30d seeds differ", "/herald fixed")
    desk.read()
    assert "No run is watched for it" in desk.replies[-1]


@pytest.mark.parametrize("by", [BOT, HERALD])
def test_a_bot_and_herald_itself_command_nothing_and_get_no_reply(desk, by):
    desk.say("/herald mute 14d no", by=by)
    desk.read()
    assert desk.rules == []
    assert len(desk.replies) == (1 if by is HERALD else 0)


def test_an_edit_commands_nothing_whether_it_was_heard_before_or_not(desk):
    heard, unheard = desk.say("Thanks."), None
    desk.read()
    desk.tracker.edit(desk.ticket.key, heard.comment_id, "/herald mute 14d no")
    unheard = desk.say("Hm.")
    desk.tracker.edit(desk.ticket.key, unheard.comment_id, "/herald mute 14d no")
    desk.read()
    assert (desk.rules, desk.replies) == ([], [])


def test_a_command_that_is_edited_later_is_not_carried_out_again(desk):
    said = desk.say("/herald mute 14d no traffic")
    desk.read()
    desk.tracker.edit(desk.ticket.key, said.comment_id, "/herald mute 99d no traffic")
    desk.read()
    assert len(desk.rules) == len(desk.replies) == 1


def test_a_stranger_gets_one_polite_no_a_ticket(desk):
    for _ in range(3):
        desk.say("/herald mute 14d please", by=DANA)
        desk.read()
    assert desk.rules == []
    assert len(desk.replies) == 1


def test_who_cannot_be_looked_up_is_not_answered_until_they_can(desk):
    desk.say("/herald mute 14d no traffic")
    desk.tickets.faults.fail_next("may_speak", RetryableError("down", doubtful=False))
    desk.read()
    assert (desk.rules, desk.replies) == ([], [])
    desk.read()
    assert len(desk.rules) == 1


def test_a_line_that_cannot_be_read_gets_the_nearest_that_can(desk):
    desk.say("/herald mut 14d why not")
    desk.read()
    (reply,) = desk.replies
    assert "mute 14d REASON" in reply


def test_why_shows_the_numbers_and_who_asks_changes_nothing(desk):
    before = desk.snapshot()
    desk.say("/herald why")
    desk.read()
    (reply,) = desk.replies
    assert "0.8" in reply
    assert "0.5" in reply
    assert before.split("\n")[0] == desk.snapshot().split("\n")[0]


def test_who_asks_for_the_ticket_is_given_it(desk):
    desk.say("/herald assign me")
    desk.read()
    assert desk.ticket.assignee == Person(WEI.account)


def test_a_rerun_is_a_fire_by_hand_with_another_seed_and_only_one_waits(make_desk):
    desk = make_desk()
    desk.herald = desk.make(**JOB)
    desk.say("/herald rerun")
    desk.read()
    desk.say("/herald rerun")
    desk.read()
    with desk.database.begin() as tx:
        (fire,) = [each for each in fires.unfinished(tx, "search") if each.by_hand]
    desk.values = [0.8, 0.8]  # of this one, and of the one that is run here
    desk.run()
    assert str(fire.number) in desk.seeds


def test_a_pipeline_without_a_job_says_that_it_starts_none(desk):
    desk.say("/herald rerun")
    desk.read()
    with desk.database.begin() as tx:
        assert not [each for each in fires.unfinished(tx, "search") if each.by_hand]
    assert len(desk.replies) == 1


@pytest.mark.parametrize("first", ["mute 30d until it is moved", "accept until 2027-06-30 the catalogue moves"])
def test_a_later_word_on_how_long_takes_the_place_of_the_earlier(desk, first):
    desk.say(f"/herald {first}")
    desk.read()
    desk.say("/herald mute 2d it is moved sooner")
    desk.read()
    (rule,) = desk.rules
    assert "It takes the place of 1." in desk.replies[-1]
    assert rule.until is not None
    assert rule.until - rule.made_at == timedelta(days=2)
    desk.now += timedelta(days=2)
    assert desk.read().lapsed == [rule.number]
    assert "Still there" in desk.replies[-1]


def test_what_the_same_comment_keeps_quiet_again_is_not_said(desk):
    desk.say("/herald mute 14d the catalogue moves")
    desk.read()
    desk.say("/herald undo 1", "/herald accept until 2027-01-31 it moves later")
    desk.read()
    assert len(desk.replies) == 2
    assert not any("Still there" in each for each in desk.replies)


def test_a_mute_is_kept_and_once_it_lapses_what_still_stands_is_said_once(desk):
    desk.say("/herald mute 2d the catalogue moves")
    desk.read()
    desk.outcomes([0.5, 0.49])
    assert len(desk.replies) == 1
    desk.now += timedelta(days=2)
    assert desk.read().lapsed == [1]
    assert len(desk.replies) == 2
    assert desk.read().lapsed == []
    assert len(desk.replies) == 2


def test_a_mute_that_is_taken_back_says_at_once_what_still_stands(desk):
    desk.say("/herald mute 2d the catalogue moves")
    desk.read()
    desk.outcomes([0.5])
    desk.say("/herald undo 1")
    desk.read()
    assert desk.rules == []
    assert len(desk.replies) == 3  # the rule, what stands, that it was taken back


@pytest.mark.parametrize("resolution", ["Done", "done"])
def test_a_resolution_means_what_config_says(desk, resolution):
    desk.tracker.close(desk.ticket.key, resolution, WEI)
    desk.read()
    desk.read()
    (rule,) = desk.rules
    assert (rule.kind, rule.author) == (RuleKind.FIXED, WEI)
    assert len(desk.replies) == 1


@pytest.mark.parametrize(("opens", "tickets"), [(False, 2), (True, 1)])
def test_long_after_a_fix_closed_it_a_fall_is_a_new_ticket_unless_somebody_opened_the_old(desk, opens, tickets):
    old = desk.ticket
    desk.tracker.close(old.key, "Done", WEI)
    desk.read()
    if opens:
        old.state, old.resolution, old.changed = TicketState.DOING, None, desk.now
        desk.read()
    desk.now += timedelta(days=15)
    desk.outcomes(BAD)
    assert len(desk.tracker.tickets) == tickets
    if not opens:
        (new,) = (each for each in desk.tracker.tickets.values() if each.key != old.key)
        assert any(old.key in link.url for link in new.links.values())
        assert old.state is TicketState.DONE
        assert desk.rules == []


def test_what_comes_after_a_rule_was_taken_back_is_linked_to_the_ticket_that_it_had_ended(desk):
    old = desk.ticket
    desk.say("/herald expected we dropped the small shops")
    desk.read()
    desk.say("/herald undo 1")
    desk.read()
    desk.outcomes(BAD)
    (new,) = (each for each in desk.tracker.tickets.values() if each.key != old.key)
    assert any(old.key in link.url for link in new.links.values())


def test_a_resolution_that_config_says_nothing_of_is_asked_about_once(desk):
    for _ in range(2):
        desk.tracker.close(desk.ticket.key, "Won't Do", WEI)
        desk.read()
        desk.now += timedelta(hours=1)
    assert desk.rules == []
    (reply,) = desk.replies
    assert "Won't Do" in reply


def test_what_herald_closed_itself_is_nobodys_answer(desk):
    desk.outcomes([*GOOD, *GOOD])
    assert desk.ticket.state is TicketState.DONE
    said = len(desk.replies)
    desk.read()
    assert (desk.rules, len(desk.replies)) == ([], said)


def test_what_repeats_another_ticket_is_listed_by_that_ones_key_as_long_as_that_one_stands(make_desk):
    desk = make_desk(answers={"duplicate": ["Duplicate"]})
    ours, marker = desk.ticket, Marker(desk.herald.config.instance, "0ther0000001")
    first = desk.tracker.create(str(marker), ours.draft)
    other = replace(desk.incidents()[0], incident_id=marker.incident_id, state=IncidentState.CANDIDATE)
    with desk.database.begin() as tx:
        key = ObjectKey("jira", ObjectKind.TICKET, str(marker))
        objects.know(tx, KnownObject(key, Bound(first.key, first.url, first.key), "", desk.now))
        incidents.save(tx, other)
    desk.tracker.close_duplicate(ours.key, first)
    desk.tracker.close(ours.key, "Duplicate", WEI)
    desk.read()
    assert ledger_of(desk).count(first.key) == 1

    def listed() -> str:
        desk.now += timedelta(seconds=10)
        desk.tracker.say(ours.key, WEI, "/herald rules")
        desk.read()
        return ours.said[-1].body

    assert f"The same problem as another: ndcg, {first.key} (" in listed().replace("\\", "")
    with desk.database.begin() as tx:
        incidents.save(tx, replace(other, state=IncidentState.RESOLVED))
    assert "Nothing is quiet" in listed()


def test_noise_by_resolution_lasts_as_long_as_config_says(make_desk):
    desk = make_desk(answers={"noise": ["Cannot Reproduce"], "noise_lasts": "10d"})
    desk.tracker.close(desk.ticket.key, "Cannot Reproduce", WEI)
    desk.read()
    (rule,) = desk.rules
    assert rule.kind is RuleKind.NOISE
    assert rule.until is not None
    assert rule.until - rule.made_at == timedelta(days=10)
    (incident,) = desk.incidents()
    assert incident.state is IncidentState.RESOLVED


def test_what_is_said_in_the_thread_is_heard_and_answered_there(desk):
    (message,) = desk.chat.messages
    posted = Posted(message.channel, message.message_id)
    desk.threads.say(posted, WEI, "/herald mute 14d no traffic", desk.now)
    desk.threads.say(posted, DANA, "/herald mute 14d no traffic", desk.now)
    desk.read()
    desk.read()
    assert len(desk.rules) == 1
    answered = [text for _, text in message.replies if "undo 1" in text]
    assert len(answered) == 1
    assert len(message.replies) == 2
    assert desk.replies == []


def test_two_hundred_pipelines_on_one_project_cost_one_search_a_round(desk):
    asked: list[str] = []
    changed = desk.tickets.changed
    desk.tickets.changed = lambda family, since: asked.append(family) or changed(family, since)
    search = desk.herald.config.pipeline["search"]
    many = {f"p{number}": search for number in range(200)}
    config = desk.herald.config.model_copy(update={"pipeline": {**many, "search": search}})
    desk.herald = replace(desk.herald, config=config)
    desk.read()
    assert asked == ["herald-test"]


def test_a_ticket_that_cannot_be_read_is_read_again_and_the_others_are_not_held_up(desk):
    desk.say("/herald mute 14d no traffic")
    desk.tickets.faults.fail_next("read", RetryableError("down", doubtful=False))
    desk.read()
    assert desk.rules == []
    desk.now += timedelta(days=1)  # no search finds it any more
    desk.read()
    assert len(desk.rules) == 1


def test_a_tracker_that_cannot_be_asked_is_named_and_nothing_is_missed(desk):
    desk.say("/herald mute 14d no traffic")
    desk.tickets.faults.fail_next("changed", RetryableError("jira: is down", doubtful=False))
    assert desk.read().troubles == {"jira": "jira: is down"}
    with desk.database.begin() as tx:
        assert listenings.of_service(tx, "jira").said == "jira: is down"
    assert desk.read().troubles == {}
    assert len(desk.rules) == 1


def test_a_ticket_without_our_label_is_still_listened_to_though_later(desk):
    desk.tickets.changed = lambda _family, _since: []
    desk.read()
    desk.say("/herald mute 14d no traffic")
    desk.now += timedelta(hours=1)
    desk.read()
    assert len(desk.rules) == 1


def test_a_ticket_of_heralds_that_a_run_is_an_experiment_for_is_listened_to_as_before(desk):
    with desk.database.begin() as tx:
        task = task_of("jira", desk.ticket.key)
        objects.know(tx, KnownObject(task, Bound(desk.ticket.key, "", desk.ticket.key), "", desk.now))
    desk.say("/herald mute 14d the experiment shows it")
    desk.read()
    assert [rule.kind for rule in desk.rules] == [RuleKind.MUTE]


def test_a_ticket_that_was_moved_is_followed(desk):
    desk.say("/herald mute 14d no traffic")
    old = desk.ticket
    desk.tracker.tickets = {"NEW-7": old}
    desk.tracker.moved = {old.key: "NEW-7"}
    old.key = "NEW-7"
    desk.read()
    assert len(desk.rules) == 1
    assert len(desk.replies) == 1


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["answer.heard", "answer.owed", "round.read"])
@pytest.mark.parametrize("times", [1, 2])
def test_whatever_is_killed_at_any_step_an_answer_is_acted_on_once(desk, step, times):
    desk.say("/herald mute 14d no traffic", "/herald rules")
    left = [times]

    def kill(name: str) -> None:
        if name == step and left[0]:
            left[0] -= 1
            raise Killed

    desk.steps = kill
    for _ in range(times):
        with pytest.raises(Killed):
            desk.read()
    desk.read()
    desk.read()
    assert len(desk.rules) == len(desk.replies) == 1


def test_two_heralds_hear_a_command_once(desk_on_any_state):
    desk = desk_on_any_state
    other = desk.make()
    desk.say("/herald mute 14d no traffic")
    desk.now += timedelta(minutes=1)
    for herald in (desk.herald, other, desk.herald):
        herald.triage.run()
        herald.dispatcher.drain()
    assert len(desk.rules) == len(desk.replies) == 1


def test_a_state_that_was_lost_since_does_not_answer_twice(desk):
    desk.say("/herald mute 14d no traffic")
    desk.read()
    with desk.database.begin() as tx:
        for table in (tables.heard, tables.rules, tables.listenings):
            tx.execute(delete(table))
        tx.execute(delete(tables.outbox).where(tables.outbox.c.kind == "answer_comment"))
    desk.read()
    assert len(desk.replies) == 1


def test_the_pages_say_what_is_quiet_and_that_it_no_longer_is(desk):
    desk.say("/herald mute 14d the catalogue moves")
    desk.read()

    def of_pipeline() -> str:
        (page,) = [each for each in desk.wiki.pages.values() if each.draft.title == "search (Herald test)"]
        return page.storage

    assert "the catalogue moves" in of_pipeline()
    assert "the catalogue moves" in ledger_of(desk)
    assert "Wei Zhang" in ledger_of(desk)
    desk.say("/herald undo 1")
    desk.read()
    assert "taken back by Wei Zhang" in ledger_of(desk)
    assert "the catalogue moves" not in of_pipeline()


def test_a_server_reads_answers_in_its_rounds_and_names_what_it_could_not_read(desk):
    desk.say("/herald mute 14d no traffic")
    desk.now += timedelta(minutes=2)
    server = Server(desk.herald, Orders(), lambda old: old, start_task=do_at_once)
    desk.tickets.faults.fail_next("changed", RetryableError("jira: is down", doubtful=False))
    server.round()
    assert server.is_healthy
    assert (desk.rules, overview(desk.herald).unheard[0].said) == ([], "jira: is down")
    desk.now += timedelta(minutes=2)
    server.round()
    assert (len(desk.rules), overview(desk.herald).unheard, overview(desk.herald).quiet) == (1, (), 1)


def test_a_ticket_that_is_full_is_told_so_once_and_herald_goes_on_without_it(desk):
    read = desk.tickets.read
    desk.tickets.read = lambda key, since: replace(read(key, since), is_full=True)
    desk.say("Hm.")
    desk.read()
    desk.read()
    (reply,) = desk.replies
    assert "no more comments" in reply
    desk.ticket.is_full = True
    desk.outcomes([0.4, 0.4])
    assert (len(desk.replies), desk.owed()) == (1, [])


def test_what_is_answered_on_one_owners_ticket_is_answered_for_all(desk):
    first = desk.ticket
    second = replace(Marker.read(first.marker), owner=1)
    made = desk.tracker.create(str(second), first.draft)
    with desk.database.begin() as tx:
        key = ObjectKey("jira", ObjectKind.TICKET, str(second))
        objects.know(tx, KnownObject(key, Bound(made.key, made.url, made.key), "", desk.now))
    desk.tracker.say(made.key, WEI, "/herald expected we dropped the small shops")
    desk.read()
    assert {each.state for each in desk.tracker.tickets.values()} == {TicketState.DONE}
    assert len(desk.rules) == 1
    assert [len(each.comments) for each in desk.tracker.tickets.values()] == [0, 1]

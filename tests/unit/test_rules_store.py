"""Rules and what was heard, in the state: the ledger of answers, in SQLite and in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.incidents import IncidentState, SeriesKey
from bot.domain.rules import Medium, Person, Rule, RuleKind, SaidAt, Scope
from bot.store import heard, incidents, objects, rules, runs
from bot.store.backup import back_up, restore
from bot.store.heard import Became
from bot.store.retention import forget
from bot.store.tables import rules as rules_table
from tests.unit.state_samples import INCIDENT, NOON, SECOND, SERIES, TICKET, incident, judged, known, run_at

DAY, YEAR = timedelta(days=1), timedelta(days=365)
WEI, ANA = Person("acc-1", "Wei"), Person("acc-2", "Ana")
SAID = SaidAt(Medium.COMMENT, "jira", "S-1", "10001", "https://jira/S-1?c=10001")


def rule(kind: RuleKind = RuleKind.MUTE, **changes) -> Rule:
    made = Rule(0, kind, Scope(SERIES, ("ndcg",), INCIDENT), WEI, SAID, NOON, "seeds differ", until=NOON + 30 * DAY)
    return replace(made, **changes)


def added(database, *some: Rule) -> list[Rule]:
    with database.begin() as tx:
        return [rules.add(tx, each) for each in some]


# ---- rules


def test_a_rule_comes_back_as_it_was_made_with_a_number_by_which_people_take_it_back(database):
    first, second = added(database, rule(), rule(RuleKind.EXPECTED, from_run="run3", until=None))
    assert (first.number, second.number) == (1, 2)
    with database.begin() as tx:
        assert rules.find(tx, 2) == second
        assert rules.find(tx, 3) is None
        assert rules.of_incident(tx, INCIDENT) == rules.of_series(tx, SERIES) == [first, second]
        assert rules.of_series(tx, SeriesKey("search", "other")) == []


def test_what_the_database_says_holds_is_what_the_rules_themselves_say(database):
    ends = (None, NOON, NOON + SECOND, NOON + 30 * DAY)
    made = [
        rule(made_at=begin, until=until, undone_at=undone, undone_by=ANA if undone else None)
        for begin in (NOON, NOON + SECOND)
        for until in ends
        for undone in ends
    ]
    all_of_them = added(database, *made)
    with database.begin() as tx:
        for moment in (NOON - SECOND, NOON, NOON + SECOND, NOON + 2 * SECOND, NOON + 30 * DAY):
            holding = [each for each in all_of_them if each.holds_at(moment)]
            assert rules.in_force(tx, moment) == rules.in_force(tx, moment, SERIES.pipeline) == holding
            assert rules.in_force(tx, moment, "other") == []
            assert rules.count_in_force(tx, moment) == len(holding)


def test_a_rule_is_taken_back_once_by_whoever_came_first(database):
    (made,) = added(database, rule())
    with database.begin() as tx:
        undone = rules.undo(tx, made.number, ANA, NOON + DAY)
        assert rules.undo(tx, made.number, WEI, NOON + 2 * DAY) is None
        assert rules.find(tx, made.number) == undone == replace(made, undone_at=NOON + DAY, undone_by=ANA)
        assert rules.in_force(tx, NOON + DAY) == []
        assert rules.undo(tx, 99, WEI, NOON) is None


def test_what_follows_from_a_lapse_is_put_on_record_once(database):
    lapsed, _, _, taken_back = added(
        database, rule(until=NOON + DAY), rule(until=NOON + 9 * DAY), rule(until=None), rule(until=NOON + DAY)
    )
    with database.begin() as tx:
        rules.undo(tx, taken_back.number, ANA, NOON + SECOND)
        assert rules.lapsed_unseen(tx, NOON + DAY - SECOND) == []
        assert rules.lapsed_unseen(tx, NOON + DAY) == [lapsed]
        assert rules.see_lapse(tx, lapsed.number, NOON + DAY)
        assert not rules.see_lapse(tx, lapsed.number, NOON + 2 * DAY)
        assert rules.lapsed_unseen(tx, NOON + 5 * DAY) == []


def test_what_lapses_this_week_is_named_in_the_order_in_which_it_ends(database):
    late, soon, _, _ = added(
        database, rule(until=NOON + 5 * DAY), rule(until=NOON + DAY), rule(until=NOON + 8 * DAY), rule(until=None)
    )
    with database.begin() as tx:
        assert rules.lapsing(tx, NOON, NOON + 7 * DAY) == [soon, late]


def test_a_rule_that_cannot_be_read_hides_no_other(database):
    broken, whole = added(database, rule(), rule())
    with database.begin() as tx:
        tx.execute(rules_table.update().where(rules_table.c.number == broken.number).values(rule="{"))
        assert rules.in_force(tx, NOON) == [whole]
        assert rules.undo(tx, broken.number, WEI, NOON) is None


def test_the_number_of_a_rule_is_never_given_again(database):
    added(database, rule(), rule())
    with database.begin() as tx:
        tx.execute(rules_table.delete())
    assert [each.number for each in added(database, rule())] == [3]


# ---- what was heard


def test_what_was_said_is_heard_once(database):
    with database.begin() as tx:
        assert heard.hear(tx, SAID, Became.ANSWERED, NOON)
        assert not heard.hear(tx, SAID, Became.NOTHING, NOON + DAY)
        assert heard.hear(tx, replace(SAID, place="S-2"), Became.NOTHING, NOON)
        assert heard.which(tx, "jira", "S-1", ["10001", "10002"]) == {"10001"}


def test_of_two_that_hear_the_same_at_once_one_acts(database):
    def act(_: int) -> bool:
        with database.begin() as tx:
            return heard.hear(tx, SAID, Became.ANSWERED, NOON) and bool(rules.add(tx, rule()))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(act, range(4))) == 1
    with database.begin() as tx:
        assert len(rules.of_series(tx, SERIES)) == 1


def test_what_a_failed_answer_left_is_nothing_not_even_that_it_was_heard(database):
    def fail_after_hearing() -> None:
        with database.begin() as tx:
            heard.hear(tx, SAID, Became.ANSWERED, NOON)
            rules.add(tx, rule())
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_hearing()
    with database.begin() as tx:
        assert heard.which(tx, "jira", "S-1", ["10001"]) == frozenset()
        assert rules.of_series(tx, SERIES) == []


def test_a_stranger_is_told_no_once_a_ticket(database):
    with database.begin() as tx:
        assert not heard.was_refused(tx, "jira", "S-1")
        heard.hear(tx, SAID, Became.REFUSED, NOON)
        assert heard.was_refused(tx, "jira", "S-1")
        assert not heard.was_refused(tx, "jira", "S-2")


# ---- what is forgotten


def test_a_rule_is_forgotten_once_it_ended_long_ago_and_its_incident_is_too(database):
    lapsed, _, holds, latest = added(
        database, rule(), rule(until=None), rule(RuleKind.EXPECTED, from_run="old", until=None), rule()
    )
    with database.begin() as tx:
        incidents.save(tx, incident())
        for each in (lapsed, latest):
            rules.see_lapse(tx, each.number, NOON + 30 * DAY)
        rules.undo(tx, 2, WEI, NOON + DAY)
        forget(tx, NOON + YEAR, {})
        assert len(rules.of_series(tx, SERIES)) == 4
        incidents.save(tx, incident(state=IncidentState.RESOLVED))
        forget(tx, NOON + YEAR, {})
        assert rules.of_series(tx, SERIES) == [holds, latest]


def test_the_run_at_which_an_expected_level_begins_is_kept_as_long_as_the_rule_holds(database):
    (expected,) = added(database, rule(RuleKind.EXPECTED, from_run="old", until=None))
    with database.begin() as tx:
        runs.record(tx, judged(run_at("old", NOON - YEAR)))
        for number in range(70):
            runs.record(tx, judged(run_at(f"later{number}", NOON)))
        forget(tx, NOON + YEAR, {})
        assert runs.find(tx, "search", "old") is not None
        rules.undo(tx, expected.number, WEI, NOON)
        forget(tx, NOON + YEAR, {})
        assert runs.find(tx, "search", "old") is None


def test_an_answer_in_a_ticket_that_is_still_read_stays_heard(database):
    with database.begin() as tx:
        incidents.save(tx, incident())
        objects.know(tx, known(TICKET, "S-1"))
        heard.hear(tx, SAID, Became.ANSWERED, NOON)
        heard.hear(tx, replace(SAID, place="S-9"), Became.ANSWERED, NOON)
        forget(tx, NOON + YEAR, {})
        assert heard.which(tx, "jira", "S-1", ["10001"])
        assert not heard.which(tx, "jira", "S-9", ["10001"])


@pytest.mark.external_service
def test_rules_move_to_postgresql_and_their_numbers_go_on_there(sqlite_database, postgres_url, tmp_path):
    from bot.store import Database

    added(sqlite_database, rule(), rule())
    with sqlite_database.begin() as tx:
        heard.hear(tx, SAID, Became.ANSWERED, NOON)
    back_up(sqlite_database, tmp_path / "backup")
    moved = Database(postgres_url)
    restore(moved, tmp_path / "backup", NOON, replace=False)
    assert [each.number for each in added(moved, rule())] == [3]
    with moved.begin() as tx:
        assert heard.which(tx, "jira", "S-1", ["10001"])
    moved.close()

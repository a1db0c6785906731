"""How often tickets were right, by what people answered."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from bot.cli.output.precision import print_precision
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey
from bot.domain.precision import HERALD, Tally, below_their_floors, digest_only, tally
from bot.domain.rules import Medium, Person, Rule, RuleKind, SaidAt, Scope
from bot.reports.digest import compose_digest, preview
from bot.reports.precision import tell_in_digest_alone
from bot.store import incidents, rules
from tests.unit.cycle_bench import Bench

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERIES = SeriesKey("search")
WEI = Person("5b10a", "Wei")


def told(number, metrics=("ndcg",), **changes):
    incident = Incident(
        f"i{number}", Kind.REGRESSED, SERIES, IncidentState.RESOLVED, "run", NOON, metrics, told_at=NOON
    )
    return replace(incident, **changes)


def said(number, kind, of=None, **changes):
    scope = Scope(SERIES, ("ndcg",), f"i{number if of is None else of}")
    return replace(Rule(number, kind, scope, WEI, SaidAt(Medium.COMMENT), NOON), **changes)


def test_fixed_is_counted_against_noise_and_expected_and_silence_for_nothing():
    kinds = [RuleKind.FIXED, RuleKind.FIXED, RuleKind.NOISE, RuleKind.EXPECTED, RuleKind.MUTE, RuleKind.ACCEPTED]
    incidents = [told(number) for number in range(8)]
    (found,) = tally(incidents, [said(number, kind) for number, kind in enumerate(kinds)])
    assert found == Tally("search", "ndcg", fixed=2, noise=1, expected=1, others=4)
    assert found.precision == 0.5


def test_the_last_answer_counts_and_one_that_was_taken_back_does_not():
    noise, fixed = said(1, RuleKind.NOISE, of=0), said(2, RuleKind.FIXED, of=0)
    assert tally([told(0)], [fixed, noise])[0].fixed == 1
    assert tally([told(0)], [noise, replace(fixed, undone_at=NOON, undone_by=WEI)])[0].noise == 1


def test_a_slice_counts_for_its_metric_and_what_nobody_was_told_of_for_none():
    sliced = told(0, ("ndcg [department=GROCERY]", "mrr"))
    unsaid = [told(1, told_at=None), told(2, kind=Kind.FAILED)]
    assert {each.metric for each in tally([sliced, *unsaid], [])} == {"ndcg", "mrr"}


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_interval_is_wilsons(fixed, noise):
    found = Tally("search", "ndcg", fixed, noise)
    if not fixed + noise:
        assert (found.precision, found.interval) == (None, None)
        return
    low, high = found.interval
    right = binomtest(fixed, fixed + noise).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((right.low, right.high), abs=1e-6)
    assert low - 1e-9 <= found.precision <= high + 1e-9


def test_a_metric_is_below_its_floor_only_where_chance_cannot_have_done_it():
    few, many = Tally("search", "ndcg", 0, 3), Tally("search", "mrr", 2, 28)
    assert below_their_floors([few, many], {"search": 0.5}) == (many,)
    assert below_their_floors([few, many], {"search": None}) == ()


def test_what_goes_to_the_digest_by_itself_goes_by_a_rule_that_lapses_and_that_people_may_take_back_for_good():
    low, incidents = (
        [Tally("search", "ndcg", 2, 28)],
        [told(0), told(1, ("mrr",)), told(2, series=SeriesKey("search", "x"))],
    )
    made = digest_only(low, incidents, [], "{fixed} of {judged}", NOON)
    assert [(rule.kind, rule.scope.series.series, rule.scope.keys) for rule in made] == [
        (RuleKind.MUTE, "", ("ndcg",)),
        (RuleKind.MUTE, "x", ("ndcg",)),
    ]
    assert {(rule.author, rule.reason, rule.until) for rule in made} == {(HERALD, "2 of 30", NOON + timedelta(days=90))}
    taken_back = [replace(rule, undone_at=NOON, undone_by=WEI) for rule in made]
    assert digest_only(low, incidents, taken_back, "", NOON + timedelta(days=31)) == ()


def test_the_command_shows_the_share_its_interval_and_what_is_below_its_floor(capsys):
    found = [Tally("search", "ndcg", 2, 28, 0, 1), Tally("search", "mrr", 0, 0, 0, 2)]
    print_precision(found, {"search": 0.5}, as_json=False)
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "search ndcg 2 28 0 1 7% (below its floor) 2% to 21%" in words
    print_precision(found, {"search": 0.5}, as_json=True)
    low, unknown = json.loads(capsys.readouterr().out)["metrics"]
    assert (low["below_floor"], low["fixed"], unknown["precision"], unknown["interval"]) == (True, 2, None, None)


@pytest.mark.parametrize(("policy", "words"), [("propose", "it is proposed"), ("automatic", "from now on")])
def test_the_first_digest_of_a_month_tells_it_and_what_becomes_of_a_metric_below_its_floor(
    sqlite_url, tmp_path, policy, words
):
    tickets = {"precision_floor": 0.5, "digest_only": policy}
    bench = Bench(tmp_path, sqlite_url, {"tickets": tickets})
    with bench.database.begin() as tx:
        for number in range(20):
            incidents.save(tx, told(number))
            rules.add(tx, said(number, RuleKind.NOISE if number else RuleKind.FIXED))
    inside = preview(bench.herald, compose_digest(bench.herald, NOON - timedelta(days=7)))
    assert "answered tickets" not in inside
    bench.now = NOON + timedelta(days=8)
    first = preview(bench.herald, compose_digest(bench.herald, NOON + timedelta(days=1)))
    assert "1 of 20 answered tickets about ndcg of search was about something to fix" in " ".join(first.split())
    assert words in first
    with bench.database.begin() as tx:
        tell_in_digest_alone(tx, bench.herald.config, bench.now)
        held = rules.in_force(tx, bench.now, "search")
    assert [rule.scope.keys for rule in held if rule.author == HERALD] == ([("ndcg",)] if policy == "automatic" else [])
    bench.database.close()


def test_metrics_whose_tickets_were_as_often_right_are_told_in_one_line(sqlite_url, tmp_path):
    bench = Bench(tmp_path, sqlite_url, {})
    with bench.database.begin() as tx:
        incidents.save(tx, told(0, ("mrr", "ndcg")))
        rules.add(tx, said(0, RuleKind.FIXED))
    bench.now = NOON + timedelta(days=8)
    first = preview(bench.herald, compose_digest(bench.herald, NOON + timedelta(days=1)))
    words = " ".join(first.split())
    assert "1 of 1 answered ticket about mrr and ndcg of search was about something to fix" in words
    assert words.count("answered ticket") == 1

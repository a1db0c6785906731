"""What a run comes to, decided from facts alone: no state, no service, no clock."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.conclusion import (
    Facts,
    Past,
    SeriesPage,
    Told,
    conclude,
    conclude_past,
    conclude_without_run,
    update_sections,
)
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Turn
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, Streak
from bot.domain.notifications import Places, Publish
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.policy import IncidentPolicy
from bot.domain.runs import RunResult
from tests.unit.state_samples import MINUTE, NOON, SERIES, judged, run_at

METRICS = ("ndcg", "mrr")
EVERYWHERE = Places(
    "test", "Search", "Search 2026", "jira", "confluence", "slack", "C1", replies=True, shares_charts=True
)
OWN_PAGE = ObjectKey("confluence", ObjectKind.PAGE, "Search: run (run)")
STANDING = Incident("standing0001", Kind.REGRESSED, SERIES, IncidentState.OPEN, "run3", NOON, ("ndcg",), ("run3",))


def finding(metric: str, outcome: Outcome, onset: str | None = None) -> Finding:
    return Finding(metric, outcome, Reason.LEVEL_FELL, value=0.4, baseline=0.8, change=-0.4, spread=0.01, onset=onset)


def assessed(*findings: Finding, run_id: str = "run") -> Assessment:
    streaks = {f.key: Streak(run_id, 1, confirmed=False) for f in findings if not f.outcome.is_acceptable}
    return Assessment(run_id, findings, SeriesState(9, streaks))


def facts(*findings: Finding, **changes) -> Facts:
    """Return the facts of a run that ended at noon, after four good ones."""
    earlier = [judged(run_at(f"run{number}", NOON - (4 - number) * MINUTE, ndcg=0.8, mrr=0.5)) for number in range(4)]
    whole = Facts(
        series=SERIES,
        result=RunResult(run_at("run", ndcg=0.4, mrr=0.5)),
        assessment=assessed(*findings),
        earlier=earlier,
        standing=(),
        policy=IncidentPolicy(recovery_runs=1, comment_every=timedelta(0)),
        metrics=METRICS,
        places=EVERYWHERE,
        page_title=OWN_PAGE.name,
        now=NOON + MINUTE,
    )
    return replace(whole, **changes)


FELL = finding("ndcg", Outcome.REGRESSED)
FINE = finding("ndcg", Outcome.OK)


def kinds(told: Told) -> list[str]:
    return [str(effect.kind) for effect in told.effects]


def test_a_good_run_after_good_ones_is_put_on_record_and_owes_nothing():
    told = conclude(facts(FINE))
    assert told.run is not None
    assert (told.run.accepted, told.run.page_title, told.run.judged_at) == (True, None, NOON + MINUTE)
    assert (told.steps, told.effects, told.page) == ((), (), None)


def test_a_fall_is_filed_with_a_page_a_ticket_and_a_message():
    told = conclude(facts(FELL))
    assert [step.turn for step in told.steps] == [Turn.FILED]
    assert told.standing == told.incidents
    assert told.page == OWN_PAGE
    assert {"publish_page", "open_ticket", "link_ticket", "attach_to_ticket", "tell_channel"} <= set(kinds(told))


def test_what_comes_of_the_run_is_the_state_of_its_series():
    assert conclude(facts(FELL)).state == facts(FELL).assessment.state


def test_a_run_that_nothing_is_published_of_has_no_page_on_record():
    told = conclude(facts(FELL, places=replace(EVERYWHERE, wiki=None)))
    assert told.run is not None
    assert (told.page, told.run.page_title) == (None, None)


def test_a_metric_that_config_does_not_name_has_no_chart():
    told = conclude(facts(finding("job", Outcome.FAILED)))
    assert "open_ticket" in kinds(told)
    assert not {"attach_to_ticket", "attach_to_page", "share_chart"} & set(kinds(told))


def test_a_metric_that_only_this_run_has_is_drawn():
    assert "attach_to_page" in kinds(conclude(facts(FELL, earlier=())))


def test_a_recovery_is_told_and_stands_no_more():
    told = conclude(facts(FINE, standing=(STANDING,)))
    assert [step.turn for step in told.steps] == [Turn.RESOLVED]
    assert {"comment_ticket", "resolve_ticket", "tell_channel", "reply_in_thread"} <= set(kinds(told))
    assert told.standing == ()


def test_the_same_trouble_of_the_past_is_told_once_with_its_newest_run():
    suspected = facts(finding("ndcg", Outcome.REGRESSED, onset="run"))
    assert conclude_past(suspected, Past(recent=5)).effects == ()
    told = conclude_past(suspected, Past(recent=5, is_newest=True))
    assert [step.turn for step in told.steps] == [Turn.FILED]
    assert told.page == OWN_PAGE


def test_what_has_long_stood_in_the_past_is_the_level_and_no_news():
    told = conclude_past(facts(FELL), Past(doubtful=("run2", "run3"), recent=0, is_newest=True))
    assert told.run is not None
    assert told.run.accepted
    assert told.accepted == {"run2", "run3", "run"}
    assert (told.steps, told.effects) == ((), ())


def test_a_late_run_of_the_past_leaves_the_state_of_its_series_as_it_is():
    assert conclude_past(facts(FELL), Past(is_late=True)).state is None
    assert conclude_past(facts(FELL), Past(recent=5)).state is not None


def test_what_stands_in_a_known_series_is_not_touched_by_its_past():
    told = conclude_past(facts(FINE, standing=(STANDING,)), Past(doubtful=("run3",), recent=5, is_newest=True))
    assert (told.steps, told.effects, told.accepted) == ((), (), frozenset())
    assert told.standing == (STANDING,)


def silent(**changes) -> Facts:
    stale = Finding("runs", Outcome.STALE, Reason.SILENCE, value=9e5, baseline=6e4)
    return facts(stale, series=SeriesKey("search"), **changes)


def test_a_silence_is_told_without_a_run_and_without_a_page_of_its_own():
    told = conclude_without_run(silent(), {"run": NOON})
    assert (told.run, told.page, told.state) == (None, None, None)
    assert kinds(told) == ["open_ticket", "tell_channel"]
    (incident,) = told.incidents
    assert (incident.kind, incident.began_at) == (Kind.STALE, NOON)


OTHERS = [
    SeriesPage(SeriesKey("search", "a"), ObjectKey("confluence", ObjectKind.PAGE, "a"), is_there=True),
    SeriesPage(SeriesKey("search", "b"), ObjectKey("confluence", ObjectKind.PAGE, "b"), is_there=False),
]


def test_the_page_of_every_series_that_has_one_says_that_the_pipeline_is_silent():
    told = conclude_without_run(silent(), {})
    assert [series.series for series, _ in update_sections(told, OTHERS)] == ["a"]


def test_the_series_that_fell_silent_gets_its_page_now():
    told = conclude_without_run(silent(), {})
    found = update_sections(told, OTHERS, fallen_silent=SeriesKey("search", "b"))
    assert [series.series for series, _ in found] == ["a", "b"]


def test_a_run_that_ends_a_silence_tells_its_own_page_itself():
    silence = replace(STANDING, kind=Kind.STALE, series=SeriesKey("search"), metrics=())
    told = conclude(facts(FINE, series=OTHERS[0].series, standing=(silence,)))
    assert told.page is not None
    assert list(update_sections(told, OTHERS)) == []
    without_page = conclude(
        facts(FINE, series=OTHERS[1].series, standing=(silence,), places=replace(EVERYWHERE, wiki=None))
    )
    assert [series.series for series, _ in update_sections(without_page, OTHERS)] == ["a"]


def test_a_run_that_turns_no_silence_updates_the_pages_of_no_other_series():
    assert list(update_sections(conclude(facts(FELL)), OTHERS)) == []


# ---- laws

names = st.sampled_from(("run0", "run1", "run2", "run3", "run"))
found = st.builds(finding, st.sampled_from((*METRICS, "job", "runs")), st.sampled_from(Outcome), names | st.none())
standing = st.builds(
    Incident,
    st.text("0123456789abcdef", min_size=12, max_size=12),
    st.sampled_from(Kind),
    st.just(SERIES),
    st.sampled_from((IncidentState.OPEN, IncidentState.CANDIDATE)),
    opened_by=names,
    opened_at=st.just(NOON - MINUTE),
    metrics=st.sets(st.sampled_from(METRICS)).map(tuple),
    bad_runs=st.lists(names, max_size=3, unique=True).map(tuple),
    good_runs=st.integers(0, 3),
    told_at=st.none() | st.just(NOON - MINUTE),
)
places = st.builds(
    Places,
    st.just("test"),
    st.just("Search"),
    st.just("Search 2026"),
    tracker=st.none() | st.just("jira"),
    wiki=st.none() | st.just("confluence"),
    chat=st.none() | st.just("slack"),
    channel=st.just("C1"),
    publish=st.sampled_from(Publish),
    replies=st.booleans(),
    shares_charts=st.booleans(),
)


@st.composite
def any_facts(draw) -> Facts:
    findings = draw(st.lists(found, max_size=4, unique_by=lambda f: f.key))
    known = draw(st.lists(standing, max_size=3, unique_by=lambda incident: incident.kind))
    policy = IncidentPolicy(draw(st.integers(1, 3)), draw(st.sampled_from((timedelta(0), timedelta(days=1)))))
    return facts(*findings, standing=tuple(known), policy=policy, places=draw(places))


pasts = st.builds(
    Past,
    doubtful=st.lists(st.sampled_from(("run0", "run1", "run2", "run3")), unique=True, max_size=4).map(tuple),
    recent=st.integers(0, 4),
    is_newest=st.booleans(),
    is_late=st.booleans(),
)
CONCLUSIONS = {
    "present": lambda given_facts, _past: conclude(given_facts),
    "past": conclude_past,
    "without a run": lambda given_facts, _past: conclude_without_run(given_facts, given_facts.ends),
}


@pytest.mark.parametrize("how", CONCLUSIONS)
@given(known=any_facts(), past=pasts)
def test_the_same_facts_always_say_the_same_and_each_effect_once(how, known, past):
    told, again = (CONCLUSIONS[how](known, past) for _ in range(2))
    assert told == again
    ids = [effect.effect_id for effect in told.effects]
    assert len(set(ids)) == len(ids)  # so that the outbox, asked twice, owes nothing twice


@pytest.mark.parametrize("how", CONCLUSIONS)
@given(known=any_facts(), past=pasts)
def test_every_effect_is_on_a_place_that_config_names(how, known, past):
    told = CONCLUSIONS[how](known, past)
    named = {known.places.tracker, known.places.wiki, known.places.chat} - {None}
    assert {key.service for effect in told.effects for key in (effect.target, *effect.needs)} <= named


@pytest.mark.parametrize("how", CONCLUSIONS)
@given(known=any_facts(), past=pasts)
def test_every_effect_speaks_of_an_incident_that_took_a_turn_or_of_the_runs_own_pages(how, known, past):
    told = CONCLUSIONS[how](known, past)
    turned = {incident.incident_id for incident in told.incidents}
    assert {effect.incident_id for effect in told.effects} <= {None, *turned}
    assert told.page is not None or all(effect.incident_id is not None for effect in told.effects)


@given(known=any_facts(), past=pasts)
def test_nothing_is_owed_of_the_past_but_what_still_stands(known, past):
    told = conclude_past(known, past)
    stands = {incident.incident_id for incident in told.standing}
    assert {effect.incident_id for effect in told.effects} <= {None, *stands}
    assert not told.effects or (past.is_newest and not past.is_late and stands)


@given(known=any_facts(), past=pasts)
def test_a_run_is_on_record_with_its_page_and_its_acceptance_as_told(known, past):
    for told in (conclude(known), conclude_past(known, past)):
        assert told.run is not None
        assert (told.run.page_title is None) == (told.page is None)
        assert told.run.accepted or told.run.run.run_id not in told.accepted
        assert told.run.findings == known.assessment.findings


@given(known=any_facts())
def test_what_is_over_or_only_suspected_does_not_stand(known):
    assert all(incident.state is IncidentState.OPEN for incident in conclude(known).standing)

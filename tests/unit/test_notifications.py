"""Which effects the turns of incidents call for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.domain.effects import (
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    LabelPage,
    LinkTicket,
    OpenTicket,
    PublishArchive,
    PublishPage,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    UpdateSection,
)
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn
from bot.domain.judge import Outcome
from bot.domain.last_words import News
from bot.domain.notifications import Places, Publish, effects_of, wants_page
from bot.domain.objects import Marker, ObjectKey, ObjectKind

INCIDENT = Incident("abc", Kind.REGRESSED, SeriesKey("p"), IncidentState.OPEN, "run1", datetime(2026, 1, 1, tzinfo=UTC))
PLACES = Places("demo", "Pipeline", "Pipeline 2026", "jira", "confluence", "slack", "C1")
PAGE = ObjectKey("confluence", ObjectKind.PAGE, "Run one")


def kinds(turn, places=PLACES, page=PAGE, *, has_chart=True):
    steps = [Step(INCIDENT, turn)] if turn else []
    return [effect.kind for effect in effects_of("run1", steps, places, page, has_chart=has_chart)]


def test_a_filed_incident_gets_a_ticket_with_chart_and_link_a_page_and_a_message():
    assert kinds(Turn.FILED) == [
        UpdateSection.kind,
        PublishArchive.kind,
        PublishPage.kind,
        LabelPage.kind,
        AttachToPage.kind,  # of every metric, on the pipeline's page
        AttachToPage.kind,
        OpenTicket.kind,
        AttachToTicket.kind,
        LinkTicket.kind,
        TellChannel.kind,
    ]


def test_a_repeat_is_a_comment_and_an_edit():
    assert kinds(Turn.REPEATED, page=None) == [CommentTicket.kind, TellChannel.kind]


def test_recovery_is_told_then_resolved_and_the_message_follows():
    assert kinds(Turn.RESOLVED, page=None) == [
        CommentTicket.kind,
        ResolveTicket.kind,
        TellChannel.kind,
    ]


def test_a_channel_with_replies_hears_of_repeats_and_recovery_in_the_thread():
    talkative = replace(PLACES, replies=True)
    said = [TellChannel.kind, ReplyInThread.kind]
    assert kinds(Turn.REPEATED, talkative, None)[-2:] == said
    assert kinds(Turn.RESOLVED, talkative, None)[-2:] == said
    assert ReplyInThread.kind not in kinds(Turn.FILED, talkative)


def test_a_channel_with_charts_is_shown_one_when_a_ticket_is_filed():
    drawn = replace(PLACES, shares_charts=True)
    assert kinds(Turn.FILED, drawn)[-1] is ShareChart.kind
    assert ShareChart.kind not in kinds(Turn.FILED, drawn, has_chart=False)
    assert ShareChart.kind not in kinds(Turn.REPEATED, drawn)


def test_a_channel_that_cannot_edit_gets_one_message_a_transition_and_no_repeat_unless_more_fell():
    posting = replace(PLACES, edits=False)
    assert TellChannel.kind not in kinds(Turn.REPEATED, posting, None)
    assert [turn for turn in Turn if kinds(turn, posting, None).count(TellChannel.kind) == 1] == [
        Turn.FILED,
        Turn.RESOLVED,
        Turn.WITHDRAWN,
        Turn.CONFIRMED,
        Turn.REOPENED,
        Turn.SAID_AGAIN,
        Turn.RETURNED,
    ]
    more = Step(INCIDENT, Turn.REPEATED, News(1, frozenset({"recall"})))
    assert TellChannel.kind in [each.kind for each in effects_of("run1", [more], posting, None, has_chart=False)]


@pytest.mark.parametrize("turn", [None, Turn.SUSPECTED, Turn.COUNTED, Turn.RECOVERING, Turn.DISMISSED])
def test_nobody_is_told_of_what_is_not_certain_or_was_told_just_now(turn):
    assert kinds(turn, page=None) == []


@pytest.mark.parametrize("turn", [Turn.FILED, Turn.REPEATED, Turn.RESOLVED])
def test_a_pipeline_without_services_owes_nothing(turn):
    assert kinds(turn, Places("demo", "Pipeline", "Pipeline 2026"), None) == []
    assert Places("demo", "Pipeline", "Pipeline 2026").page("x") is None


def test_a_page_without_a_chart_has_nothing_attached():
    found = kinds(Turn.FILED, has_chart=False)
    assert AttachToPage.kind not in found
    assert AttachToTicket.kind not in found


def test_a_ticket_without_a_page_has_no_link_to_wait_for():
    assert LinkTicket.kind not in kinds(Turn.FILED, page=None)


def test_the_same_cause_gives_the_same_effect_and_another_run_another():
    first, again = (effects_of("run1", [Step(INCIDENT, Turn.REPEATED)], PLACES, None, has_chart=False) for _ in "ab")
    other = effects_of("run2", [Step(INCIDENT, Turn.REPEATED)], PLACES, None, has_chart=False)
    assert [e.effect_id for e in first] == [e.effect_id for e in again]
    assert not {e.effect_id for e in first} & {e.effect_id for e in other}


def test_a_ticket_is_opened_once_for_an_incident_whichever_run_files_it():
    opened = [effects_of(r, [Step(INCIDENT, Turn.FILED)], PLACES, None, has_chart=False)[0] for r in ("run1", "run2")]
    assert opened[0].effect_id == opened[1].effect_id


def test_a_link_on_a_ticket_does_not_hold_up_its_comments():
    effects = effects_of("run1", [Step(INCIDENT, Turn.FILED)], PLACES, PAGE, has_chart=True)
    lanes = {effect.kind: effect.lane for effect in effects}
    ticket = next(effect.target for effect in effects if effect.kind == OpenTicket.kind)
    comment = CommentTicket(ticket, "run2/repeated")
    assert comment.lane == lanes[OpenTicket.kind]
    assert lanes[LinkTicket.kind] != comment.lane


def test_a_marker_names_instance_incident_owner_and_generation():
    assert str(Marker("demo", "abc", owner=1, generation=2)) == "herald-demo-abc-1-2"


def test_an_object_key_survives_being_written_down_even_with_slashes_in_its_name():
    key = ObjectKey("confluence", ObjectKind.PAGE, "a/b: c (d)")
    assert ObjectKey.read(str(key)) == key


@pytest.mark.parametrize(
    ("publish", "outcome", "previous", "turn", "wanted"),
    [
        (Publish.ALL, Outcome.OK, Outcome.OK, None, True),
        (Publish.CHANGED, Outcome.OK, Outcome.OK, None, False),
        (Publish.CHANGED, Outcome.NO_BASELINE, None, None, False),
        (Publish.CHANGED, Outcome.OK, Outcome.INSUFFICIENT_DATA, None, False),
        (Publish.CHANGED, Outcome.OK, Outcome.REGRESSED, None, True),
        (Publish.CHANGED, Outcome.IMPROVED, Outcome.OK, None, True),
        (Publish.CHANGED, Outcome.REGRESSED, Outcome.REGRESSED, Turn.COUNTED, False),
        (Publish.CHANGED, Outcome.REGRESSED, Outcome.REGRESSED, Turn.REPEATED, True),
        (Publish.INCIDENTS, Outcome.SUSPICIOUS, Outcome.OK, Turn.SUSPECTED, False),
        (Publish.INCIDENTS, Outcome.REGRESSED, Outcome.SUSPICIOUS, Turn.FILED, True),
    ],
)
def test_which_runs_get_a_page(publish, outcome, previous, turn, wanted):
    steps = [Step(INCIDENT, turn)] if turn else []
    assert wants_page(publish, outcome, previous, steps) is wanted

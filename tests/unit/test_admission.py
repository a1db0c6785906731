"""How fast services are asked, and when one that fails is asked again."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.admission import Admission
from bot.domain.backoff import Backoff
from bot.domain.circuit_breaker import CircuitBreaker
from bot.domain.effects import CommentTicket, TellChannel
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.rate_limits import Allowance, Pace, Spacing
from bot.services.http import allowance_of
from tests.unit.state_samples import NOON, SECOND

seconds = st.floats(0, 1e6, allow_nan=False)
draws = st.floats(0, 1, allow_nan=False)
THREE = 3


# ---- pauses


@given(st.integers(0, 10_000), draws)
def test_a_pause_stays_between_a_second_and_ten_minutes(tries, draw):
    assert 1.0 <= Backoff().before_retry(tries, None, draw) <= 600.0


@given(st.integers(0, 50), draws)
def test_a_later_try_never_has_a_shorter_pause_by_the_same_draw(tries, draw):
    assert Backoff().before_retry(tries, None, draw) <= Backoff().before_retry(tries + 1, None, draw)


@given(st.integers(0, 50), seconds, draws)
def test_what_a_service_asks_for_is_kept_within_reason(tries, asked, draw):
    pause = Backoff().before_retry(tries, asked, draw)
    assert pause >= min(max(asked, 1.0), 600.0)
    assert pause <= 600.0


@pytest.mark.parametrize(("asked", "waits"), [(0, 1.0), (90, 90.0), (3600, 600.0)])
def test_a_service_that_asks_for_nothing_or_for_an_hour_is_not_believed(asked, waits):
    assert Backoff(first=0.1).before_retry(0, asked, 0.5) == waits


# ---- leaving a service alone


def failed(breaker, times, now=NOON, pause=SECOND):
    for _ in range(times):
        breaker = breaker.fail(now, pause, THREE)
    return breaker


def test_a_service_is_left_alone_after_three_failures_in_a_row():
    assert failed(CircuitBreaker(), 2).admits(NOON)
    assert not failed(CircuitBreaker(), 3).admits(NOON)
    assert failed(failed(CircuitBreaker(), 2).succeed(), 2).admits(NOON)


def test_after_its_pause_one_effect_tries_the_service():
    later = NOON + SECOND
    breaker = failed(CircuitBreaker(), 3)
    assert breaker.admits(later)
    probing = breaker.admit(later)
    assert not probing.admits(later + SECOND), "the second waits for what the first finds"
    assert probing.succeed().admits(later)
    again = probing.fail(later, SECOND, THREE)
    assert not again.admits(later)
    assert again.admits(later + SECOND)


def test_an_attempt_that_says_nothing_lets_another_try():
    later = NOON + SECOND
    assert failed(CircuitBreaker(), 3).admit(later).let_go().admits(later)


@given(st.lists(st.sampled_from(["fail", "succeed", "admit", "let_go", "wait"]), max_size=30))
def test_a_service_is_never_left_alone_for_good(steps):
    breaker, now = CircuitBreaker(), NOON
    for step in steps:
        match step:
            case "fail":
                breaker = breaker.fail(now, SECOND, THREE)
            case "admit":
                breaker = breaker.admit(now)
            case "wait":
                now += SECOND
            case other:
                breaker = getattr(breaker, other)()
    assert breaker.let_go().admits(now + SECOND)


# ---- channels


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=40))
def test_two_posts_to_a_channel_keep_their_distance(wishes):
    spacing, now, posts = Spacing(SECOND), NOON, []
    for channel, tenths in wishes:
        now += timedelta(milliseconds=100 * tenths)
        if channel not in spacing.busy(now):
            spacing = spacing.used(channel, now)
            posts.append((channel, now))
    for name in "ab":
        times = [at for channel, at in posts if channel == name]
        assert all(later - earlier >= SECOND for earlier, later in itertools.pairwise(times))


def test_a_channel_is_closed_while_a_message_is_on_its_way_and_a_second_after():
    admission = Admission(at_once=8, message_gap=SECOND)
    message = TellChannel(ObjectKey("slack", ObjectKind.MESSAGE, "C1 m"), "run5")
    admission.enter(message, NOON)
    assert list(admission.closed(NOON).channels) == [("slack", "C1")]
    admission.leave(message, posted_at=NOON)
    assert list(admission.closed(NOON).channels) == [("slack", "C1")]
    assert admission.opens_at(NOON) == NOON + SECOND
    assert not admission.closed(NOON + SECOND).channels


def test_a_webhook_of_one_place_keeps_its_own_distance_whatever_channels_config_names():
    admission = Admission(at_once=8, paces={"wecom": Pace(3 * SECOND, is_together=True)})
    message = TellChannel(ObjectKey("wecom", ObjectKind.MESSAGE, "ops m"), "run5")
    admission.enter(message, NOON)
    assert admission.closed(NOON).services == {"wecom"}
    admission.leave(message, posted_at=NOON)
    assert admission.closed(NOON + 2 * SECOND).services == {"wecom"}
    assert admission.opens_at(NOON) == NOON + 3 * SECOND
    assert not admission.closed(NOON + 3 * SECOND).services


def test_a_service_that_stalls_does_not_take_every_worker():
    admission = Admission(at_once=2)
    comment = CommentTicket(ObjectKey("jira", ObjectKind.TICKET, "m"), "run5")
    admission.enter(comment, NOON)
    assert not admission.closed(NOON).services
    admission.enter(comment, NOON)
    assert admission.closed(NOON).services == {"jira"}
    admission.leave(comment)
    assert not admission.closed(NOON).services


# ---- what services say they will take


@pytest.mark.parametrize(
    ("headers", "allowance"),
    [
        ({}, None),
        ({"X-RateLimit-Remaining": "7"}, None),
        ({"X-RateLimit-Remaining": "some", "X-RateLimit-Reset": "3"}, None),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "tomorrow"}, None),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "3"}, Allowance(7, 3.0)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Interval-Seconds": "5"}, Allowance(0, 5.0)),
        (
            {"X-Rate-Limit-Api-Token-Remaining": "9", "X-Rate-Limit-Api-Token-Interval-Ms": "10000"},
            Allowance(9, 10.0),
        ),
    ],
)
def test_what_a_service_says_it_still_takes_is_read_from_its_headers(headers, allowance):
    assert allowance_of(headers) == allowance


def test_a_moment_of_renewal_is_read_and_never_further_than_five_minutes():
    far = allowance_of({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2096-11-24T10:15:00Z"})
    epoch = allowance_of({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4000000000"})
    assert far == epoch == Allowance(0, 300.0)


def test_a_service_that_has_had_nearly_enough_is_left_alone_until_it_counts_anew():
    admission = Admission(at_once=4)
    admission.allowed("jira", Allowance(5, 10.0), NOON)
    assert not admission.closed(NOON).services
    admission.allowed("jira", Allowance(4, 10.0), NOON)
    assert admission.closed(NOON).services == {"jira"}
    assert not admission.closed(NOON + 10 * SECOND).services

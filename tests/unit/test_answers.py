"""What people's answers do to an incident: watched, quiet, ended, joined; and what takes that back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.domain.answers import Answered, AnswerPolicy, Asked, Unanswerable, answer, asked_by, take_back
from bot.domain.commands import Accept, AskWhy, CallNoise, Expected, Fixed, Mute
from bot.domain.effects import CommentTicket, OpenTicket, ReopenTicket, ResolveTicket, TellChannel
from bot.domain.hush import hush, say_again
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, advance
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.notifications import Places, effects_of
from bot.domain.policy import IncidentPolicy
from bot.domain.rules import Bar, Medium, Person, Rule, RuleKind, SaidAt, in_force

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SERIES = SeriesKey("search")
WEI = Person("acc-1", "Wei")
SAID = SaidAt(Medium.COMMENT, "jira", "S-1", "10001")
PLACES = Places("house", "Search", "Search 2026", tracker="jira", chat="slack", channel="C1")
EAGER = IncidentPolicy(recovery_runs=2, comment_every=timedelta(0))
ANSWERS = AnswerPolicy(watch_runs=2)


class Life:
    """One series, run by run and answer by answer."""

    def __init__(self, policy: IncidentPolicy = EAGER) -> None:
        self.known: dict[str, Incident] = {}
        self.rules: list[Rule] = []
        self.now, self.runs, self.policy = NOON, 0, policy
        self.ends: dict[str, datetime] = {}

    @property
    def incident(self) -> Incident:
        return list(self.known.values())[-1]

    def run(self, outcome: Outcome, *, metric: str = "ndcg", ended: datetime | None = None, **numbers: float) -> list:
        """Judge one more run, and return the turns that people's incidents take."""
        self.now += HOUR
        self.runs += 1
        run_id = f"run{self.runs}"
        self.ends[run_id] = ended or self.now
        said = Assessment(run_id, (Finding(metric, outcome, Reason.CONFIRMED, **numbers),), SeriesState())
        standing = [each for each in self.known.values() if not each.state.is_over]
        steps = advance(standing, said, SERIES, self.policy, self.now, self.ends)
        return self.take(hush(steps, in_force(self.rules, self.now), standing, self.now))

    def take(self, steps: tuple[Step, ...]) -> list[Turn]:
        self.known |= {step.incident.incident_id: step.incident for step in steps}
        return [step.turn for step in steps]

    def fall(self) -> None:
        self.run(Outcome.SUSPICIOUS)
        self.run(Outcome.REGRESSED)

    def say(self, kind: RuleKind, **more) -> Answered | Unanswerable:
        told = answer(
            self.incident,
            Asked(kind, WEI, SAID, "seeds differ", **more),
            ANSWERS,
            self.now,
            in_force(self.rules, self.now),
        )
        if isinstance(told, Answered):
            gone = {rule.number for rule in told.replaces}
            self.rules = [replace(r, undone_at=self.now, undone_by=WEI) if r.number in gone else r for r in self.rules]
            self.rules.append(replace(told.rule, number=len(self.rules) + 1))
            self.known[told.incident.incident_id] = told.incident
        return told

    def undo(self, number: int) -> list[Turn]:
        rule = self.rules[number - 1]
        self.rules[number - 1] = replace(rule, undone_at=self.now, undone_by=WEI)
        self.known[self.incident.incident_id] = take_back(rule, self.incident)
        return self.lapse()

    def lapse(self) -> list[Turn]:
        return self.take(say_again(self.known.values(), in_force(self.rules, self.now), self.now))


def fallen() -> Life:
    life = Life()
    life.fall()
    return life


# ---- what a command asks


def test_commands_that_change_nothing_are_no_answers():
    assert asked_by(AskWhy(), WEI, SAID, NOON, ZoneInfo("UTC")) is None


def test_a_command_says_until_when_it_holds_and_a_day_ends_at_the_teams_own_midnight():
    shanghai = ZoneInfo("Asia/Shanghai")
    said = [
        Fixed(),
        Expected("new data"),
        CallNoise(30 * DAY, "x"),
        Mute(14 * DAY, "x"),
        Accept(date(2027, 1, 31), "x"),
    ]
    asked = [asked_by(each, WEI, SAID, NOON, shanghai) for each in said]
    assert [each.kind for each in asked] == [
        RuleKind.FIXED,
        RuleKind.EXPECTED,
        RuleKind.NOISE,
        RuleKind.MUTE,
        RuleKind.ACCEPTED,
    ]
    assert [each.until for each in asked] == [
        None,
        None,
        NOON + 30 * DAY,
        NOON + 14 * DAY,
        datetime(2027, 1, 31, 16, tzinfo=UTC),
    ]


# ---- fixed


def test_good_runs_confirm_what_somebody_says_is_fixed():
    life = fallen()
    life.say(RuleKind.FIXED)
    assert [life.run(Outcome.OK) for _ in range(2)] == [[Turn.WATCHED], [Turn.CONFIRMED]]
    assert life.incident.state is IncidentState.RESOLVED


def test_a_bad_run_reopens_what_somebody_says_is_fixed():
    life = fallen()
    life.say(RuleKind.FIXED)
    assert life.run(Outcome.OK) == [Turn.WATCHED]
    assert life.run(Outcome.SUSPICIOUS) == []
    assert life.run(Outcome.REGRESSED) == [Turn.REOPENED]
    assert (life.incident.state, life.incident.watch) == (IncidentState.OPEN, None)
    assert life.run(Outcome.REGRESSED) == [Turn.REPEATED]


def test_a_run_that_ended_before_somebody_said_so_proves_nothing_either_way():
    life = fallen()
    life.say(RuleKind.FIXED)
    said = life.now
    assert life.run(Outcome.REGRESSED, ended=said - HOUR / 2) == [Turn.COUNTED]
    assert life.run(Outcome.OK, ended=said) == []
    assert life.incident.watch is not None


def test_a_run_that_could_be_of_either_level_reopens_nothing_until_there_are_as_many_as_would_confirm():
    life = fallen()
    life.say(RuleKind.FIXED)
    near = {"value": 0.79, "baseline": 0.8, "change": -0.01, "change_low": -0.03, "change_high": 0.01}
    assert life.run(Outcome.REGRESSED, **near) == [Turn.WATCHED]
    assert life.run(Outcome.REGRESSED, **near) == [Turn.REOPENED]
    life.say(RuleKind.FIXED)
    assert life.run(Outcome.REGRESSED, **{**near, "change_high": -0.001}) == [Turn.REOPENED]


def test_saying_that_it_is_fixed_takes_back_the_silence_that_was_asked_for_before():
    life = fallen()
    life.say(RuleKind.MUTE)
    told = life.say(RuleKind.FIXED)
    assert [rule.kind for rule in told.replaces] == [RuleKind.MUTE]
    assert life.run(Outcome.REGRESSED) == [Turn.REOPENED]


def test_what_was_called_fixed_and_is_taken_back_stands_and_is_said_again():
    life = fallen()
    life.say(RuleKind.FIXED)
    assert life.undo(1) == [Turn.SAID_AGAIN]
    assert life.run(Outcome.REGRESSED) == [Turn.REPEATED]


# ---- expected, noise


@pytest.mark.parametrize("kind", [RuleKind.EXPECTED, RuleKind.NOISE])
def test_what_is_expected_or_noise_is_over(kind):
    life = fallen()
    told = life.say(kind)
    assert (told.closes, told.incident.state, told.incident.closed_at) == (True, IncidentState.RESOLVED, life.now)
    assert told.rule.scope.keys == ("ndcg",)


def test_an_expected_level_begins_where_the_fall_began():
    life = fallen()
    rule = life.say(RuleKind.EXPECTED).rule
    assert (rule.from_run, rule.to_run, rule.until) == ("run1", "run2", None)


def test_noise_remembers_how_far_it_fell_at_its_worst_and_lapses():
    life = fallen()
    life.run(Outcome.REGRESSED, value=0.6, baseline=0.8, change=-0.2)
    now = Finding("ndcg", Outcome.REGRESSED, Reason.LEVEL_FELL, value=0.7, baseline=0.8, change=-0.1)
    told = answer(life.incident, Asked(RuleKind.NOISE, WEI, SAID), ANSWERS, NOON, (), [now])
    assert told.rule.bars == (Bar("ndcg", pytest.approx(0.2), 0.8),)
    assert told.rule.until == NOON + 30 * DAY


@pytest.mark.parametrize("kind", [RuleKind.EXPECTED, RuleKind.DUPLICATE, RuleKind.ACCEPTED])
def test_what_is_over_cannot_be_answered_as_though_it_stood(kind):
    life = fallen()
    life.say(RuleKind.NOISE)
    assert life.say(kind, joins="other") is Unanswerable.OVER


def test_what_would_have_lapsed_already_is_refused():
    assert fallen().say(RuleKind.ACCEPTED, until=NOON - DAY) is Unanswerable.PAST


def test_that_a_job_may_fail_for_a_while_is_kept_as_silence_with_an_end():
    life = Life()
    life.run(Outcome.FAILED, metric="job")
    told = life.say(RuleKind.EXPECTED)
    assert (told.closes, told.rule.until) == (False, life.now + ANSWERS.accepted_lasts)
    assert life.run(Outcome.FAILED, metric="job") == [Turn.HUSHED]


# ---- mute, accepted, duplicate


@pytest.mark.parametrize("kind", [RuleKind.MUTE, RuleKind.ACCEPTED])
def test_what_is_quiet_goes_on_is_counted_and_is_said_again_once_when_the_rule_lapses(kind):
    life = fallen()
    life.say(kind, until=life.now + 3 * HOUR)
    assert [life.run(Outcome.REGRESSED) for _ in range(2)] == [[Turn.HUSHED], [Turn.HUSHED]]
    assert life.lapse() == []
    life.now += HOUR
    assert life.lapse() == [Turn.SAID_AGAIN]
    assert life.lapse() == []
    assert len(life.incident.bad_runs) == 4
    assert life.run(Outcome.REGRESSED) == [Turn.REPEATED]


def test_a_lapse_that_nobody_saw_is_said_with_the_next_bad_run():
    life = fallen()
    life.say(RuleKind.MUTE, until=life.now + HOUR / 2)
    assert life.run(Outcome.REGRESSED) == [Turn.SAID_AGAIN]
    assert life.lapse() == []


def test_a_late_timer_says_nothing_of_what_is_over():
    life = fallen()
    life.say(RuleKind.MUTE, until=life.now + 5 * HOUR)
    assert [life.run(Outcome.OK) for _ in range(2)] == [[Turn.RECOVERING], [Turn.HUSHED]]
    assert life.incident.state is IncidentState.RESOLVED
    life.now += 9 * HOUR
    assert life.lapse() == []


def test_two_silences_end_with_the_later_of_them():
    life = fallen()
    life.say(RuleKind.MUTE, until=life.now + HOUR)
    life.say(RuleKind.ACCEPTED, until=life.now + 3 * HOUR)
    life.now += 2 * HOUR
    assert life.lapse() == []
    life.now += HOUR
    assert life.lapse() == [Turn.SAID_AGAIN]


def test_what_falls_besides_is_no_part_of_the_silence():
    life = fallen()
    life.say(RuleKind.MUTE)
    assert life.run(Outcome.REGRESSED) == [Turn.HUSHED]
    assert life.run(Outcome.REGRESSED, metric="recall") == [Turn.SAID_AGAIN]


def test_a_fall_that_comes_back_while_it_is_quiet_is_filed_when_the_silence_ends():
    life = fallen()
    life.say(RuleKind.MUTE, until=life.now + 9 * HOUR)
    for _ in range(2):
        life.run(Outcome.OK)
    assert life.run(Outcome.SUSPICIOUS) == [Turn.SUSPECTED]
    assert life.run(Outcome.REGRESSED) == [Turn.HUSHED]
    assert (life.incident.told_at, len(life.known)) == (None, 2)
    life.now += 9 * HOUR
    assert life.lapse() == [Turn.FILED]


def test_of_what_nobody_heard_of_nobody_hears_that_it_is_over():
    life = fallen()
    life.say(RuleKind.MUTE, until=life.now + 6 * HOUR)
    for outcome in (Outcome.OK, Outcome.OK, Outcome.SUSPICIOUS, Outcome.REGRESSED):
        life.run(outcome)
    life.now += 9 * HOUR
    assert [life.run(Outcome.OK) for _ in range(2)] == [[Turn.RECOVERING], [Turn.HUSHED]]


def test_a_silence_that_is_taken_back_is_over_at_once():
    life = fallen()
    life.say(RuleKind.MUTE)
    life.run(Outcome.REGRESSED)
    assert life.undo(1) == [Turn.SAID_AGAIN]


def test_a_duplicate_is_quiet_and_no_two_repeat_each_other():
    life = fallen()
    assert life.say(RuleKind.DUPLICATE, joins=life.incident.incident_id) is Unanswerable.LOOP
    told = life.say(RuleKind.DUPLICATE, joins="other")
    assert isinstance(told, Answered)
    assert life.run(Outcome.REGRESSED) == [Turn.HUSHED]
    other = replace(life.incident, incident_id="other")
    third = replace(life.incident, incident_id="third")
    asked = Asked(RuleKind.DUPLICATE, WEI, SAID, joins="third")
    chain = answer(other, asked, ANSWERS, NOON, life.rules)
    assert isinstance(chain, Answered)
    back = answer(third, replace(asked, joins=life.incident.incident_id), ANSWERS, NOON, [*life.rules, chain.rule])
    assert back is Unanswerable.LOOP


# ---- what it calls for


def owed(turn: Turn, **changes) -> list[type]:
    incident = replace(fallen().incident, **changes)
    return [type(e) for e in effects_of("run9", [Step(incident, turn)], PLACES, None, has_chart=False)]


def test_each_turn_is_told_where_people_look():
    assert owed(Turn.CONFIRMED) == [CommentTicket, ResolveTicket, TellChannel]
    assert owed(Turn.REOPENED) == owed(Turn.SAID_AGAIN) == [ReopenTicket, CommentTicket, TellChannel]
    assert owed(Turn.WATCHED) == owed(Turn.HUSHED) == []
    assert OpenTicket in owed(Turn.FILED)


def test_what_is_over_leaves_no_ticket_open_even_in_silence():
    assert owed(Turn.HUSHED, state=IncidentState.RESOLVED) == [ResolveTicket]
    assert owed(Turn.HUSHED, state=IncidentState.RESOLVED, told_at=None) == []


def test_a_silence_that_is_about_one_problem_is_about_no_other():
    life = fallen()
    life.say(RuleKind.MUTE)
    assert life.run(Outcome.FAILED, metric="job") == [Turn.FILED]
    assert life.incident.kind is Kind.FAILED

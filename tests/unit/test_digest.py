"""What the digest gathers from the state, what it has room for, and that it is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.app import Herald, Surroundings, make_herald
from bot.cli.main import app
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.answers import Answered, AnswerPolicy, Asked
from bot.domain.answers import answer as answer_of
from bot.domain.blindness import Look
from bot.domain.digest import LINES, DigestHeading, choose_lines, is_quiet
from bot.domain.effects import OpenTicket
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.rules import Medium, Person, RuleKind, SaidAt
from bot.errors import AccountError, MissingError, PermanentError, Reach, RetryableError
from bot.preview import samples
from bot.render.renderer import Renderer
from bot.reports.digest import compose_digest, preview
from bot.reports.digest_owing import owe_digest, owe_due_digest
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import Database, incidents, looks, outbox, pipelines, rules, runs
from tests.unit.state_samples import judged, run_at

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
WEI = Person("wei", "Wei")
QUALITY = {"name": {"en": "Ranking quality", "zh": "排序质量"}, "why": {"en": "It pays.", "zh": "它值钱。"}}


class Office:
    """A Herald with a digest, a chat and a wiki in memory, and a clock that stands still until it is set."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.now = MONDAY
        self.database, self.folder = database, folder
        self.chat, self.wiki = MemoryChat(), MemoryWiki()
        with database.begin() as tx:  # or nothing could be called quiet
            looks.save(tx, Look("search", MONDAY + 7 * DAY))

    def herald(self, **digest: Any) -> Herald:
        service = {"url": "https://example.com", "token": "none"}
        place = {"chat": "slack", "channel": "C1"} | digest
        config = Config(
            tracker={"jira": {**service, "project": "P"}},
            wiki={"confluence": {**service, "space": "S"}},
            chat={"slack": {"kind": "slack", "token": "none", "locales": {"C2": "zh"}}},
            pipeline={
                "search": {
                    "title": "Search",
                    "experiment": "search",
                    "owner": "Search team",
                    "tracker": "jira",
                    "metrics": {"ndcg": QUALITY},
                    "schedule": {"cron": "0 3 * * *"},
                    "job": {"command": ["true"]},
                }
            },
            digest={key: value for key, value in place.items() if value is not None},
        )
        services = Services({"jira": MemoryTracker()}, {"confluence": self.wiki}, {"slack": self.chat})
        around = Surroundings(clock=lambda: self.now)
        return make_herald(config, self.folder, around=around, services=services, database=self.database)

    def keep(self, *kept: Incident) -> None:
        with self.database.begin() as tx:
            for incident in kept:
                incidents.save(tx, incident)

    def fell(self, name: str, days_ago: float, *, share: float = 0.2, series: str = "") -> Incident:
        """Store a bad run, and return the incident that it opened."""
        finding = Finding(
            "ndcg", Outcome.REGRESSED, Reason.CONFIRMED, value=0.5 * (1 - share), baseline=0.5, change=-0.5 * share
        )
        ended = MONDAY - days_ago * DAY
        of = SeriesKey("search", series)
        with self.database.begin() as tx:
            runs.record(tx, judged(run_at(name, ended), Outcome.REGRESSED, series=of, findings=(finding,)))
        return Incident(name, Kind.REGRESSED, of, IncidentState.OPEN, name, ended, metrics=("ndcg",), bad_runs=(name,))


@pytest.fixture
def office(sqlite_database, tmp_path) -> Office:
    return Office(sqlite_database, tmp_path)


def told(office: Office, **digest: Any) -> list[str]:
    herald = office.herald(**digest)
    return preview(herald, compose_digest(herald)).split("\n")


def test_what_fell_is_told_in_words_with_how_much_since_when_and_who_has_it(office):
    office.keep(office.fell("bad", 2))
    assert told(office)[1:3] == [
        "Needs you",
        (
            "  - New: Ranking quality of Search fell by 20.0\u00a0%, from 0.5000 to 0.4000, since 21 Nov. "
            "Why it matters: It pays. Search team has it (ticket pending)."
        ),
    ]


def test_what_went_on_as_another_incident_got_better_once(office):
    left = replace(office.fell("left", 5), state=IncidentState.RESOLVED, closed_at=MONDAY - 2 * DAY)
    new = replace(office.fell("new", 2), follows="left", state=IncidentState.RESOLVED, closed_at=MONDAY - DAY)
    office.keep(left, replace(new, good_runs=2, recovered_at=MONDAY - DAY, recovered_by="good"))
    assert [line for line in told(office) if "recovered" in line] == told(office)[2:3]


def test_changes_since_the_last_digest_come_first_and_a_gloss_once(office):
    office.keep(office.fell("old", 30, series="a"), office.fell("new", 1, series="b"))
    lines = told(office)
    assert lines[2].startswith("  - New: ")
    assert "since 24 Oct" in lines[3]
    assert sum("It pays." in line for line in lines) == 1


def test_progress_since_the_last_digest_is_told_first(office):
    resolved = replace(office.fell("old", 20), state=IncidentState.RESOLVED, closed_at=MONDAY - 2 * DAY)
    office.keep(resolved, office.fell("bad", 2), office.fell("worse", 1), office.fell("standing", 9))
    assert told(office)[0].startswith("Open problems: 3, after 2 on 16 Nov (2 new, 1 over). From 16 Nov to 23 Nov, ")


def test_the_health_of_pipelines_over_the_weeks_is_drawn_on_the_page_and_in_the_thread(office):
    with office.database.begin() as tx:
        pipelines.know(tx, "search", MONDAY - 17 * DAY)
    suspected = replace(office.fell("odd", 16), state=IncidentState.DISMISSED, closed_at=MONDAY - 10 * DAY)
    office.keep(suspected, office.fell("bad", 2))
    herald = office.herald(wiki="confluence")
    slack = herald.config.chat["slack"].model_copy(update={"charts": True})
    herald = replace(herald, config=herald.config.model_copy(update={"chat": {"slack": slack}}))
    view = compose_digest(herald).view
    assert [(week.good, week.watch, week.bad) for week in view.health.weeks] == [(0, 1, 0), (1, 0, 0), (0, 0, 1)]
    assert owe_digest(herald, MONDAY)
    herald.dispatcher.drain(timedelta(seconds=1))
    (page,) = office.wiki.pages.values()
    assert list(page.attachments) == [view.health.filename]
    assert view.health.filename in page.storage
    assert list(office.chat.messages[0].files) == [view.health.filename]


def test_recovery_doubt_and_what_comes_are_told_in_their_order(office):
    back = replace(office.fell("was", 5), state=IncidentState.RESOLVED, closed_at=MONDAY - DAY)
    back = replace(back, recovered_at=MONDAY - DAY, recovered_by="was")
    doubt = replace(office.fell("maybe", 1), state=IncidentState.CANDIDATE)
    once = replace(office.fell("once", 2), state=IncidentState.DISMISSED, closed_at=MONDAY - DAY)
    office.keep(back, doubt, once)
    text = "\n".join(told(office))
    order = [
        "Got better",
        "has recovered",
        "Watching",
        "looks worse",
        "looked worse once",
        "Next",
        "runs next on Tue 24 Nov, 03:00",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "Needs you" not in text


def answer(office: Office, incident: Incident, kind: RuleKind) -> None:
    """Store what somebody answered, and how its incident goes on by it."""
    when = MONDAY - DAY
    came = answer_of(incident, Asked(kind, WEI, SaidAt(Medium.COMMENT), "the seeds differ"), AnswerPolicy(), when)
    assert isinstance(came, Answered)
    office.keep(came.incident)
    with office.database.begin() as tx:
        rules.add(tx, came.rule)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (RuleKind.EXPECTED, "1 The new normal: Ranking quality. Why"),
        (RuleKind.NOISE, "1 Noise: Ranking quality, until 22 Dec. Why"),
    ],
)
def test_what_somebody_called_noise_or_the_new_normal_has_not_recovered(office, kind, line):
    answer(office, office.fell("bad", 3), kind)
    said = told(office)
    assert said[1:3] == ["Watching", f"  - Search: {line}: the seeds differ (Wei, 22 Nov) (ticket pending)."]
    assert "recovered" not in "\n".join(said)


def test_what_ended_before_the_last_digest_is_not_told_again(office):
    office.keep(replace(office.fell("was", 30), state=IncidentState.RESOLVED, closed_at=MONDAY - 20 * DAY))
    assert len(told(office)) == 1


def test_an_improvement_is_told_unless_the_series_fell_since(office):
    better = Finding("ndcg", Outcome.IMPROVED, Reason.BEYOND_SPREAD, value=0.55, baseline=0.5, change=0.05)
    with office.database.begin() as tx:
        runs.record(
            tx, judged(run_at("good", MONDAY - DAY), Outcome.IMPROVED, series=SeriesKey("search"), findings=(better,))
        )
    assert "  - Ranking quality of Search improved: it rose by 10.0\u00a0%, from 0.5000 to 0.5500." in told(office)
    office.keep(office.fell("bad", 0.5))
    assert "improved" not in "\n".join(told(office))


@pytest.mark.parametrize(("locale", "words"), [("en", "nothing needs you"), ("zh", "没有需要处理的事项")])
def test_a_quiet_week_is_one_line(office, locale, words):
    (line,) = told(office, locale=locale)
    assert words in line


def test_thirty_incidents_are_fifteen_lines(office):
    office.keep(*(office.fell(f"bad{n}", n / 10, series=str(n)) for n in range(30)))
    lines = told(office)
    assert len(lines) == LINES
    assert sum("left out here" in line for line in lines) == 1


def test_no_test_statistic_and_no_bare_metric_reaches_those_who_plan(office):
    office.keep(office.fell("bad", 2))
    text = "\n".join(told(office))
    assert "ndcg" not in text
    assert " p " not in text


def post_due(office: Office, **digest: Any) -> None:
    herald = office.herald(**digest)
    owe_due_digest(herald)
    herald.dispatcher.drain()


def test_a_week_of_looks_posts_one_digest(office):
    office.now = MONDAY - 3 * DAY
    for _ in range(100):
        post_due(office)
        office.now += timedelta(hours=2)
    assert len(office.chat.messages) == 1


def test_a_digest_missed_while_herald_was_away_is_told_once(office):
    office.now = MONDAY - DAY
    post_due(office)
    office.now = MONDAY + 15 * DAY
    post_due(office)
    post_due(office)
    assert len(office.chat.messages) == 1


def test_the_first_start_does_not_make_up_for_digests_of_before(office):
    office.now = MONDAY + DAY
    post_due(office)
    assert office.chat.messages == []


def test_a_quiet_week_may_be_skipped_and_a_bad_one_is_not(office):
    assert owe_digest(office.herald(skip_if_quiet=True), MONDAY) is False
    office.keep(office.fell("bad", 2))
    herald = office.herald(skip_if_quiet=True)
    assert owe_digest(herald, MONDAY + 7 * DAY) is True
    herald.dispatcher.drain()
    assert len(office.chat.messages) == 1


def test_a_digest_becomes_a_page_where_asked(office):
    herald = office.herald(wiki="confluence")
    assert owe_digest(herald, MONDAY)
    herald.dispatcher.drain()
    (page,) = office.wiki.pages.values()
    assert page.draft.title == "Digest 23 Nov 2026, 09:00 (Herald)"
    assert "nothing needs you" in page.storage
    assert len(office.chat.messages) == 1


def test_what_could_not_be_delivered_is_told(office):
    herald = office.herald()
    owe_digest(herald, MONDAY)
    office.chat.faults.fail_next("post", PermanentError("channel_not_found"))
    herald.dispatcher.drain()
    assert "1 update could not be delivered" in "\n".join(told(office))


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", "slack C1 has not let Herald in since 23 Nov 2026, 09:00. 1 update waits for it"),
        ("zh", "起，slack C1 拒绝 Herald 访问，有 1 项更新在等待"),
    ],
)
def test_a_service_that_refuses_our_account_is_told(office, locale, words):
    herald = office.herald()
    owe_digest(herald, MONDAY)
    office.chat.faults.fail_next("post", AccountError("not_in_channel", reach=Reach.CHANNEL))
    herald.dispatcher.drain()
    office.now += timedelta(hours=2)
    assert words in preview(herald, compose_digest(herald, locale=locale))


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", "in slack C1 has been gone, closed or hidden since 23 Nov 2026, 09:00. 1 update waits for it"),
        ("zh", "起，slack C1 中 Herald 要写入的位置已被删除、关闭或隐藏，有 1 项更新在等待"),
    ],
)
def test_that_something_is_missing_is_not_told_as_a_refused_account(office, locale, words):
    herald = office.herald()
    owe_digest(herald, MONDAY)
    office.chat.faults.fail_next("post", MissingError("is_archived", reach=Reach.CHANNEL))
    herald.dispatcher.drain()
    office.now += timedelta(hours=2)
    text = preview(herald, compose_digest(herald, locale=locale))
    assert words in text
    assert "let Herald in" not in text
    assert "拒绝" not in text


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("method", ["post", "create"])
def test_a_digest_whose_answer_is_lost_stands_once(office, method, committed):
    herald = office.herald(wiki="confluence")
    owe_digest(herald, MONDAY)
    service = office.chat if method == "post" else office.wiki
    service.faults.fail_next(method, RetryableError("the answer was lost", doubtful=True), committed=committed)
    for _ in range(8):  # each look comes later than the last one's pause
        herald.dispatcher.drain()
        office.now += timedelta(minutes=15)
    assert len(office.chat.messages) == 1
    assert len(office.wiki.pages) == 1
    with herald.database.begin() as tx:
        assert outbox.outstanding(tx) == []


def test_the_digest_is_no_pipeline(office):
    post_due(office)
    with office.database.begin() as tx:
        assert pipelines.find(tx, "[digest]") is not None
    with pytest.raises(ValueError, match="pattern"):
        Config(pipeline={"[digest]": {"experiment": "x", "metrics": {"m": {}}}})


found_lines = st.dictionaries(st.sampled_from(DigestHeading), st.lists(st.integers(), max_size=40))


@given(found_lines)
def test_a_digest_never_exceeds_its_lines_and_accounts_for_all(found):
    chosen = choose_lines(found)
    assert 1 + sum(1 + len(c.lines) + (c.left_out > 0) for c in chosen) <= LINES
    for part in chosen:
        assert list(part.lines) == list(found[part.section][: len(part.lines)])
        assert len(part.lines) + part.left_out == len(found[part.section])
    assert [c.section for c in chosen] == [s for s in DigestHeading if found.get(s)]


def test_what_comes_next_is_no_news():
    assert is_quiet({DigestHeading.NEXT: [1], DigestHeading.BETTER: []})
    assert not is_quiet({DigestHeading.WATCHING: [1]})


def test_a_digest_speaks_the_language_of_its_channel_and_its_page_that_of_all(office):
    office.keep(office.fell("bad", 2))
    herald = office.herald(channel="C2", wiki="confluence")
    assert owe_digest(herald, MONDAY)
    herald.dispatcher.drain(timedelta(seconds=11))
    (message,) = office.chat.messages
    assert "Search 的排序质量自11月21日起下降 20.0%（由 0.5000 降至 0.4000）" in message.text
    assert "由 Search team 负责" in message.text
    assert "Ranking quality of Search fell" in next(iter(office.wiki.pages.values())).storage


def test_a_digest_is_mended_once_the_ticket_it_speaks_of_is_there_and_stays_the_last(office):
    incident = office.fell("bad", 2)
    office.keep(incident)
    herald = office.herald()
    assert owe_digest(herald, MONDAY)
    office.now += timedelta(seconds=11)
    herald.dispatcher.drain()
    (message,) = office.chat.messages
    assert "ticket pending" in message.text
    office.now += timedelta(hours=1)
    ticket = ObjectKey("jira", ObjectKind.TICKET, str(Marker("herald", incident.incident_id)))
    with office.database.begin() as tx:
        opened = OpenTicket(ticket, "opened", incident.incident_id)
        outbox.owe(tx, "search", [(opened, samples.ticket(samples.WORDS["en"]))], office.now)
    herald.dispatcher.drain()
    assert "ticket pending" not in message.text
    assert len(office.chat.messages) == 1
    with office.database.begin() as tx:
        assert outbox.last_digest(tx) == MONDAY


def test_a_digest_waits_a_moment_for_a_ticket_that_is_on_its_way(office):
    incident = office.fell("bad", 2)
    office.keep(incident)
    herald = office.herald()
    assert owe_digest(herald, MONDAY)
    ticket = ObjectKey("jira", ObjectKind.TICKET, str(Marker("herald", incident.incident_id)))
    with office.database.begin() as tx:
        opened = OpenTicket(ticket, "opened", incident.incident_id)
        outbox.owe(tx, "search", [(opened, samples.ticket(samples.WORDS["en"]))], office.now)
    herald.dispatcher.drain()
    (message,) = office.chat.messages
    assert message.edits == []
    assert "MEM-1" in message.text


def test_the_command_shows_a_digest_and_posts_it_when_told_to(httpserver, sqlite_url, tmp_path, monkeypatch):
    httpserver.expect_request("/services/T0/B0/secret", method="POST").respond_with_data("ok")
    monkeypatch.setenv("HERALD_CHAT__TEAM__WEBHOOK_URL", httpserver.url_for("/services/T0/B0/secret"))
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        [store]
        url = "{sqlite_url}"
        [chat.team]
        kind = "webhook"
        [digest]
        chat = "team"
        channel = "C1"
        [pipeline.search]
        experiment = "search"
        [pipeline.search.metrics.ndcg]
        """
    )

    def digest(*options: str) -> str:
        done = CliRunner().invoke(app, ["digest", *options, "--config", str(config)])
        assert done.exit_code == 0, done.output
        return done.output

    quiet = "and nothing needs you"
    state = Database(sqlite_url)
    with state.begin() as tx:
        looks.save(tx, Look("search", datetime.now(UTC)))
    state.close()
    assert quiet in digest()
    assert quiet in digest("--since", "2d", "--post", "--dry-run")
    assert httpserver.log == []
    assert quiet in digest("--since", "2d", "--post")
    ((request, _),) = httpserver.log
    assert quiet in request.get_data(as_text=True)


def test_what_recovered_reads_as_it_did_then_and_lasted_as_long_as_its_runs(office):
    back = office.fell("was", 6)
    with office.database.begin() as tx:
        finding = Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD, value=0.49, baseline=0.5, change=-0.01)
        good = judged(run_at("good", MONDAY - 3 * DAY), Outcome.OK, series=back.series, findings=(finding,))
        runs.record(tx, good)
    began, recovered = MONDAY - 6 * DAY, MONDAY - 3 * DAY
    back = replace(back, state=IncidentState.RESOLVED, opened_at=MONDAY - timedelta(minutes=15), closed_at=MONDAY)
    office.keep(replace(back, began_at=began, recovered_at=recovered, recovered_by="good"))
    office.fell("later", 0.1)  # not an incident yet
    text = "\n".join(told(office)).replace("\u00a0", " ")
    assert "has recovered and is at 0.4900, after 3 d" in text


def test_what_recovered_and_fell_again_is_not_called_better(office):
    over = replace(office.fell("was", 6), state=IncidentState.RESOLVED, closed_at=MONDAY - 2 * DAY)
    office.keep(over, office.fell("again", 1))
    text = "\n".join(told(office))
    assert "has recovered" not in text
    assert "fell by" in text


def test_no_command_stands_in_a_managers_digest(office):
    everything = samples.digest_of_all_kinds
    for locale, words in samples.WORDS.items():
        lines = Renderer(locale).render_digest_text(everything(words), {})
        assert "herald " not in lines

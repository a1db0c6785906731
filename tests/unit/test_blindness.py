"""What could not be looked at is never called quiet: noted, shown, told after a while, and over by itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import Herald, Surroundings, make_herald
from bot.cli.dry_run import DryRun
from bot.cli.output.cycle import print_dry_run
from bot.cli.output.status import print_status
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.blindness import Look, Visibility, find_blindness, missed, saw, visibility
from bot.domain.capabilities import TicketState
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.runs import Run, RunStatus
from bot.errors import RunStoreError
from bot.ports import Experiment
from bot.reports.digest import compose_digest, preview
from bot.reports.overview import overview
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.store import Database, looks, runs
from tests.memory_runs import MemoryRunStore
from tests.unit.state_samples import judged, run_at

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
AWAY = "mlflow.tracking_uri: https://mlflow.example: takes no connections"


class ShyRunStore(MemoryRunStore):
    """A run store that may be away."""

    is_away = False

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        if self.is_away:
            raise RunStoreError(AWAY)
        return super().experiments(patterns)


@dataclass
class Watchtower:
    """A Herald that watches one experiment, with a clock that is set by hand."""

    database: Database
    folder: Path
    now: datetime = MONDAY

    def __post_init__(self) -> None:
        self.store, self.tracker, self.chat = ShyRunStore(), MemoryTracker(), MemoryChat()
        self.store.create("search")
        self.store.create("ranking")

    def herald(self, experiment: str = "search", metrics: Sequence[str] = ("ndcg",)) -> Herald:
        config = Config.model_validate(
            {
                "tracker": {"jira": {"kind": "jira", "url": "https://example.com", "token": "none", "project": "P"}},
                "chat": {"slack": {"kind": "slack", "token": "none"}},
                "pipeline": {
                    "search": {
                        "title": "Search",
                        "experiment": experiment,
                        "tracker": "jira",
                        "chat": "slack",
                        "channel": "C1",
                        "metrics": {name: {} for name in metrics},
                    }
                },
            }
        )
        services = Services({"jira": self.tracker}, {}, {"slack": self.chat})
        around = Surroundings(clock=lambda: self.now)
        return make_herald(
            config, self.folder, around=around, services=services, run_store=self.store, database=self.database
        )

    def log(self, name: str, **metrics: float) -> None:
        self.now += HOUR
        self.store.add("search", Run(name, name, RunStatus.FINISHED, self.now - HOUR, self.now, metrics))

    def look(self, herald: Herald) -> None:
        herald.cycle("search").resume()
        herald.dispatcher.drain()

    def fail_to_look(self, herald: Herald) -> None:
        self.store.is_away = True
        with pytest.raises(RunStoreError):
            herald.cycle("search").resume()

    def digest(self, herald: Herald) -> str:
        return preview(herald, compose_digest(herald))


@pytest.fixture
def tower(sqlite_database, tmp_path) -> Watchtower:
    return Watchtower(sqlite_database, tmp_path)


def test_all_is_quiet_only_where_herald_has_looked(tower):
    herald = tower.herald()
    assert "Search has never been looked at." in tower.digest(herald)
    tower.look(herald)
    assert tower.digest(herald).startswith("All quiet")
    tower.now += 8 * DAY
    assert "Search has not been looked at since 23 Nov." in tower.digest(herald)


def test_a_digest_says_since_when_and_why_it_could_not_be_looked(tower):
    herald = tower.herald()
    tower.look(herald)
    tower.now += HOUR
    tower.fail_to_look(herald)
    text = tower.digest(herald)
    assert "quiet" not in text
    assert "The runs of Search could not be looked at since 23 Nov 2026, 09:00 (mlflow.tracking_uri:" in text
    (seen,) = overview(herald).pipelines
    assert seen.look == Look("search", MONDAY, MONDAY + HOUR, AWAY)


def test_a_pipeline_that_cannot_be_seen_for_a_day_is_told_once_and_over_by_itself(tower):
    herald = tower.herald()
    tower.look(herald)
    for _ in range(60):
        tower.now += HOUR
        tower.fail_to_look(herald)
        herald.cycle("search").listen()
        herald.dispatcher.drain()
    (ticket,) = tower.tracker.tickets.values()
    assert ticket.draft.title == "Search: its runs cannot be looked at"
    assert "takes no connections" in ticket.draft.body
    assert "a drop would go unnoticed" in tower.digest(herald)
    tower.store.is_away = False
    tower.look(herald)
    assert ticket.state is TicketState.DONE
    assert "can be looked at again" in ticket.comments[-1][1]
    assert len(tower.tracker.tickets) == 1
    assert "after 2\u00a0d 12\u00a0h" in tower.digest(herald)


def test_it_is_told_where_only_a_cron_job_looks_and_nothing_listens(tower):
    herald = tower.herald()
    tower.look(herald)
    for _ in range(3):
        tower.now += 20 * HOUR
        tower.store.is_away = True
        with pytest.raises(RunStoreError):
            herald.cycle("search").run(tower.now, by_hand=True)
        herald.dispatcher.drain()
    (ticket,) = tower.tracker.tickets.values()
    assert ticket.draft.title == "Search: its runs cannot be looked at"
    tower.store.is_away = False
    herald.cycle("search").run(tower.now, by_hand=True)
    herald.dispatcher.drain()
    assert ticket.state is TicketState.DONE


def test_an_experiment_that_is_not_there_is_nothing_to_look_at_and_the_nearest_is_named(tower):
    herald = tower.herald(experiment="serch")
    report = herald.cycle("search").resume()
    assert report.trouble == "MLflow has no experiment named serch; did you mean search?"
    assert "serch" in tower.digest(herald)


def test_a_metric_that_stopped_coming_before_first_contact_is_not_quiet(tower):
    for number in range(10):
        tower.log(f"good{number}", ndcg=0.4 + 0.001 * (number % 3), mrr=0.5)
    for number in range(5):
        tower.log(f"bad{number}", ndcg=0.2, mrr=0.5)
    tower.log("without", mrr=0.5)
    herald = tower.herald(metrics=("ndcg", "mrr"))
    tower.look(herald)
    text = tower.digest(herald)
    assert "quiet" not in text
    assert "ndcg of Search cannot be judged since 24 Nov." in text


def test_a_metric_that_no_run_ever_had_is_named_in_status_and_digest(tower):
    for number in range(6):
        tower.log(f"run{number}", ndcg=0.4)
    herald = tower.herald(metrics=("ndcg", "ndgc"))
    tower.look(herald)
    assert "ndgc of Search cannot be judged: no run has ever had it." in tower.digest(herald)
    (seen,) = overview(herald).pipelines
    assert seen.last is not None
    assert seen.last.accepted


def test_looks_are_kept_by_pipeline(database):
    mine = Look("search", MONDAY, MONDAY + HOUR, AWAY)
    with database.begin() as tx:
        looks.save(tx, mine)
        looks.save(tx, Look("ranking", MONDAY))
    with database.begin() as tx:
        assert looks.of_pipeline(tx, "search") == mine
        assert looks.of_pipeline(tx, "other") == Look("other")
        assert set(looks.of_pipelines(tx)) == {"search", "ranking"}


def test_looks_that_fail_keep_their_beginning_and_one_that_succeeds_ends_them():
    look = missed(missed(saw(Look("p"), MONDAY), MONDAY + HOUR, "a"), MONDAY + 2 * HOUR, "b")
    assert look == Look("p", MONDAY, MONDAY + HOUR, "b")
    assert visibility(look, MONDAY - DAY) is Visibility.UNSEEN
    assert visibility(saw(look, MONDAY + DAY), MONDAY) is Visibility.SEEN
    assert visibility(saw(look, MONDAY), MONDAY + DAY) is Visibility.NOT_LOOKED
    assert visibility(None, MONDAY) is Visibility.NEVER


@pytest.mark.parametrize(("hours", "told"), [(1, False), (24, False), (25, True)])
def test_it_is_told_once_looks_have_failed_for_longer_than_patience(hours, told):
    look = Look("p", MONDAY - 5 * DAY, MONDAY, "away")
    assert (find_blindness(look, DAY, MONDAY + hours * HOUR) is not None) is told


def good_runs(tower: Watchtower, herald: Herald, **metrics: float) -> None:
    tower.look(herald)
    for number in range(10):
        tower.log(f"good{number}", **{name: value + 0.001 * (number % 3) for name, value in metrics.items()})
        tower.look(herald)


def test_a_blindness_lasted_from_look_to_look_whenever_the_runs_seen_then_had_ended(tower):
    herald = tower.herald()
    tower.look(herald)
    tower.log("before", ndcg=0.4)
    tower.log("unseen", ndcg=0.4)
    for _ in range(74 - 2):
        tower.now += HOUR
        tower.fail_to_look(herald)
        herald.cycle("search").listen()
        herald.dispatcher.drain()
    tower.store.is_away = False
    tower.look(herald)
    (ticket,) = tower.tracker.tickets.values()
    assert "It lasted 3\u00a0d 2\u00a0h." in ticket.comments[-1][1]
    assert "can be looked at again, after 3\u00a0d 2\u00a0h" in tower.digest(herald)


def test_status_ticket_and_digest_name_the_same_moment_since_which_nothing_was_seen(tower, capsys):
    herald = tower.herald()
    tower.look(herald)
    tower.now += 5 * HOUR
    tower.fail_to_look(herald)
    print_status(overview(herald), as_json=True)
    (seen,) = json.loads(capsys.readouterr().out)["pipelines"]
    assert datetime.fromisoformat(seen["could_not_look"]["since"]) == MONDAY
    assert "could not be looked at since 23 Nov 2026, 09:00" in tower.digest(herald)


def test_what_can_be_looked_at_again_and_then_cannot_is_not_called_better(tower):
    herald = tower.herald()
    tower.look(herald)
    for _ in range(30):
        tower.now += HOUR
        tower.fail_to_look(herald)
        herald.cycle("search").listen()
    tower.store.is_away = False
    tower.look(herald)
    assert "can be looked at again" in tower.digest(herald)
    tower.now += HOUR
    tower.fail_to_look(herald)
    text = tower.digest(herald)
    assert "could not be looked at since" in text
    assert "can be looked at again" not in text


def test_a_ticket_speaks_of_its_own_kind_where_another_metric_of_the_run_is_worse_off(tower):
    herald = tower.herald(metrics=("ndcg", "auc"))
    good_runs(tower, herald, ndcg=0.4, auc=0.8)
    tower.log("suspected", ndcg=0.4, auc=0.7)
    tower.look(herald)
    tower.log("both", ndcg=1e70, auc=0.7)
    tower.look(herald)
    tower.log("still", ndcg=1e70, auc=0.7)
    tower.look(herald)
    titles = sorted(ticket.draft.title for ticket in tower.tracker.tickets.values())
    assert titles == ["Search: auc fell by 12.6 %", "Search: ndcg is beyond all measure"]
    fell = next(each for each in tower.tracker.tickets.values() if "auc" in each.draft.title)
    assert "cannot be judged" not in fell.draft.body.split("h3.")[0]
    assert "auc" in fell.draft.body.split("\n")[0]
    assert all("ndcg" not in words.split("\n")[0] for _, words in fell.comments)
    text = tower.digest(herald)
    assert "The metric auc of Search fell by" in text
    assert "The metric ndcg of Search is at" not in text


def test_digest_and_ticket_tell_one_number_of_what_recovered(tower):
    herald = tower.herald()
    good_runs(tower, herald, ndcg=0.4)
    for name in ("bad", "worse"):
        tower.log(name, ndcg=0.1)
        tower.look(herald)
    for number, value in enumerate((0.401, 0.4015, 0.399, 0.4004)):
        tower.log(f"back{number}", ndcg=value)
        tower.look(herald)
    (ticket,) = tower.tracker.tickets.values()
    assert ticket.state is TicketState.DONE
    told = re.search(r"is at (0\.\d+)", ticket.comments[-1][1])
    assert told is not None
    assert f"has recovered and is at {told[1]}" in tower.digest(herald)


def test_one_metric_that_is_missing_is_named_and_the_others_are_not_called_unjudged(tower):
    herald = tower.herald(metrics=("ndcg", "mrr"))
    good_runs(tower, herald, ndcg=0.4, mrr=0.5)
    tower.now += DAY
    for name in ("first", "second"):
        tower.log(name, ndcg=0.4)
        tower.look(herald)
    text = tower.digest(herald)
    assert "mrr of Search has been missing since 24 Nov." in text
    assert "Runs of Search" not in text
    for number in range(4):
        tower.log(f"back{number}", ndcg=0.4, mrr=0.5)
        tower.look(herald)
    (ticket,) = tower.tracker.tickets.values()
    assert "mrr of Search can be judged again." in ticket.comments[-1][1]
    assert "mrr of Search can be judged again, after" in tower.digest(herald)


def test_runs_are_said_to_be_impossible_to_judge_where_all_their_metrics_are(tower):
    herald = tower.herald(metrics=("ndcg", "mrr"))
    good_runs(tower, herald, ndcg=0.4, mrr=0.5)
    tower.log("none", other=1.0)
    tower.look(herald)
    assert "Runs of Search have been impossible to judge since 23 Nov." in tower.digest(herald)


def test_metrics_that_went_for_other_reasons_or_on_other_days_are_told_apart(tower):
    herald = tower.herald(metrics=("ndcg", "mrr", "auc", "hits"))
    good_runs(tower, herald, ndcg=0.4, mrr=0.5, auc=0.8, hits=0.6)
    tower.log("first", ndcg=0.4, hits=0.6, auc=0.8)
    tower.look(herald)
    tower.now += DAY
    tower.log("second", ndcg=0.4, hits=1e70)
    tower.look(herald)
    assert "mrr of Search has been missing since 23 Nov. auc and hits cannot be judged either." in tower.digest(herald)


def test_a_metric_that_went_for_several_reasons_in_turn_is_told_by_none_of_them(tower, capsys):
    herald = tower.herald(metrics=("ndcg", "mrr"))
    good_runs(tower, herald, ndcg=0.4, mrr=0.5)
    for name, value in (("first", math.nan), ("second", math.inf)):
        tower.log(name, ndcg=value, mrr=0.5)
        tower.look(herald)
    assert "ndcg of Search has been impossible to judge since 23 Nov." in tower.digest(herald)
    capsys.readouterr()
    print_status(overview(herald), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "cannot judge: search: ndcg is infinite in run second, and cannot be judged since run first, 2026-" in said


def test_a_name_that_no_run_ever_had_stays_in_the_digest_beside_an_incident_and_a_failure(tower):
    herald = tower.herald(metrics=("ndcg", "mrr", "ndgc"))
    good_runs(tower, herald, ndcg=0.4, mrr=0.5)
    tower.log("first", ndcg=0.4)
    tower.look(herald)
    never = "ndgc of Search cannot be judged: no run has ever had it."
    assert never in tower.digest(herald)
    finding = Finding("job", Outcome.FAILED, Reason.RUN_FAILED)
    with tower.database.begin() as tx:
        runs.record(tx, judged(run_at("broke", tower.now + HOUR), Outcome.FAILED, findings=(finding,)))
    assert never in tower.digest(herald)


def test_status_says_in_words_what_cannot_be_judged_and_since_which_run(tower, capsys):
    herald = tower.herald(metrics=("ndcg", "mrr", "ndgc"))
    good_runs(tower, herald, ndcg=0.4, mrr=0.5)
    for number, values in enumerate(({"mrr": 0.5}, {"mrr": 1e70}, {"mrr": 0.5})):
        tower.log(f"bad{number}", **values)
        tower.look(herald)
    capsys.readouterr()
    print_status(overview(herald), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    began = MONDAY + 11 * HOUR
    assert f"cannot judge: search: ndcg is missing, since run bad0, {began.astimezone():%Y-%m-%d %H:%M}" in said
    assert "cannot judge: search: ndgc: no run has ever had it" in said
    print_status(overview(herald), as_json=True)
    (seen,) = json.loads(capsys.readouterr().out)["pipelines"]
    assert seen["cannot_judge"] == ["ndcg", "ndgc"]
    assert seen["unjudged"][0]["run"] == "bad0"


@pytest.mark.parametrize(
    ("value", "shown", "why"),
    [
        (1.7976931348623157e308, "infinite", "infinite"),
        (-1.7976931348623157e308, "minus infinity", "infinite"),
        (9e70, "9e+70", "beyond all measure"),
    ],
)
def test_a_table_of_runs_calls_an_infinity_one(value, shown, why, capsys):
    finding = Finding("ndcg", Outcome.INVALID, Reason.ABSURD, value=value)
    print_dry_run(DryRun((judged(run_at("odd", MONDAY), Outcome.INVALID, findings=(finding,)),), ()), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert shown in said
    assert why in said
    assert "absurd" not in said
    assert "308" not in said


def test_a_table_of_runs_writes_a_share_without_end_with_an_exponent(capsys):
    finding = Finding("ndcg", Outcome.IMPROVED, Reason.BEYOND_SPREAD, value=9e49, baseline=0.5, change=9e49)
    print_dry_run(DryRun((judged(run_at("odd", MONDAY), Outcome.IMPROVED, findings=(finding,)),), ()), as_json=False)
    assert "+1.8e+52%" in capsys.readouterr().out

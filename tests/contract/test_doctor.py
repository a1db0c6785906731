"""The doctor, against a sandbox in which everything is well, and then each thing broken in turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from bot.cli.main import app
from bot.cli.output import checks
from bot.cli.output.checks import print_examined
from bot.config.models import Config
from bot.doctor import examine
from bot.domain.checks import Check
from bot.domain.incidents import SeriesKey
from bot.domain.judge import SeriesState, assess
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import Baseline, DataCard, Release, RunResult, RunStatus
from bot.errors import RunStoreError
from bot.ports import Experiment, Run, TicketDraft
from bot.runtime.clock import wall_clock
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service, serve
from bot.services.checks import Examined
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.wiki import ConfluenceWiki
from bot.store import Database, runs
from tests.contract.benches import jira_tracker

PARENT = "Experiment reports"
RUN = Run("r1", "run-1", RunStatus.FINISHED, datetime.now(UTC), datetime.now(UTC), {}, {}, {}, "")


class Runs:
    """An MLflow with one experiment, or none, or none at all."""

    def __init__(self) -> None:
        self.names = ["next-purchase", "search"]
        self.away = False
        self.metrics: list[str] | None = None  # of the newest run; None: there is none

    def version(self) -> str:
        return "3.1.0"

    def experiments(self, patterns: Any) -> list[Experiment]:
        if self.away:
            raise RunStoreError("mlflow.tracking_uri: http://nowhere cannot be used")
        found = [name for name in self.names if name in patterns or "*" in patterns]
        return [Experiment("1", name, datetime.now(UTC)) for name in found]

    def released(self, release: Release) -> Run | None:
        return RUN if release.run_id == RUN.run_id else None

    def runs_since(self, *_: Any) -> Iterator[Run]:
        yield RUN

    def newest(self, *_: Any) -> list[Run]:
        return [] if self.metrics is None else [replace(RUN, metrics=dict.fromkeys(self.metrics, 0.4))]


@dataclass
class Clinic:
    """A sandbox, a configuration that fits it, and what was found wrong."""

    sandbox: RunningSandbox
    folder: Path
    runs: Runs
    raw: dict[str, Any]
    ahead: timedelta = timedelta(0)
    found: dict[str, list[Check]] = field(default_factory=dict)

    def wrong(self, *, fix: bool = False) -> set[str]:
        """Return `PLACE: CHECK` of all that is not right."""
        places = examine(Config(**self.raw), self.folder, lambda: wall_clock() + self.ahead, fix=fix)
        self.found = {place.place: list(place.checks) for place in places}
        return {f"{place}: {each.name}" for place, checks in self.found.items() for each in checks if not each.ok}

    def check(self, place: str, name: str) -> Check:
        return next(each for each in self.found[place] if each.name == name)


@pytest.mark.parametrize(
    ("every", "preset", "gap"),
    [("1d", "quiet", "16 months"), ("6h", "quiet", "4 months"), ("6h", "sensitive", "2 months")],
)
def test_it_says_how_often_a_healthy_pipeline_would_get_a_ticket(clinic, every: str, preset: str, gap: str):
    job = {"command": ["true"]}
    clinic.raw["pipeline"]["search"] |= {"schedule": {"every": every}, "judge": {"preset": preset}, "job": job}
    clinic.wrong()
    (check,) = clinic.found["judge"]
    assert check.name == "false tickets of search"
    assert f"expect one false ticket in {gap} or more" in check.said


def test_how_often_it_looks_is_not_taken_for_how_often_others_run_something(clinic):
    clinic.raw["pipeline"]["search"] |= {"schedule": {"every": "10s"}}
    clinic.wrong()
    assert "judge" not in clinic.found


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    """One for all: what a test breaks is a rule, and taken back after it."""
    with serve(None) as running:
        for deployment in ("cloud", "datacenter"):
            jira_tracker(running, deployment).tracker.create("herald-x", TicketDraft("t", "b"))
        yield running


@pytest.fixture
def clinic(shared_sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    box, runs = shared_sandbox, Runs()
    monkeypatch.setattr("bot.doctor.make_run_store", lambda _: runs)
    account = {"email": box.email, "token": box.api_token}
    raw = {
        "store": {"url": "sqlite:///herald.db"},
        "tracker": {
            "cloud": {"kind": "jira", "url": box.jira_cloud_url, "project": box.project_key, **account},
            "dc": {
                "kind": "jira",
                "url": box.jira_datacenter_url,
                "deployment": "datacenter",
                "project": box.project_key,
                "token": box.bearer_token,
            },
            "board": {
                "kind": "trello",
                "url": box.trello_url,
                "key": box.trello_key,
                "token": box.trello_token,
                "board": box.board_id,
            },
        },
        "wiki": {
            "cloud": {"url": box.confluence_cloud_url, "space": box.space_key, **account},
            "dc": {
                "url": box.confluence_datacenter_url,
                "deployment": "datacenter",
                "space": box.space_key,
                "token": box.bearer_token,
            },
        },
        "chat": {"slack": {"kind": "slack", "url": box.slack_url, "token": box.slack_token}},
        "pipeline": {
            "next-purchase": pipeline("next-purchase", "cloud", priority="High", components=["ranking"])
            | {"assignee": box.seed.people[0].account_id},
            "search": pipeline("search", "dc"),
            "cards": pipeline("search", "board", labels=["regression"]),
        },
    }
    yield Clinic(box, tmp_path, runs, raw)
    box.calm()


def pipeline(experiment: str, tracker: str, **tickets: Any) -> dict[str, Any]:
    places = {"tracker": tracker, "wiki": "cloud", "chat": "slack", "channel": "#search-quality"}
    return {"experiment": experiment, "metrics": {"ndcg": {}}, "tickets": tickets, **places}


def change(service: Service, **rules: Any) -> Callable[[Clinic], None]:
    return lambda clinic: clinic.sandbox.change(service, **rules)


def put(*keys: str, value: Any) -> Callable[[Clinic], None]:
    """Write another value into the configuration."""

    def break_it(clinic: Clinic) -> None:
        at = clinic.raw
        for key in keys[:-1]:
            at = at.setdefault(key, {})
        at[keys[-1]] = value

    return break_it


def strike(service: Service, path: str) -> Callable[[Clinic], None]:
    return lambda clinic: clinic.sandbox.strike(Fault(FaultKind.ERROR_BEFORE, service, "GET", path))


CLOUD, DC, BOARD = "tracker.cloud", "tracker.dc", "tracker.board"
NOWHERE = "http://127.0.0.1:9"
BROKEN: dict[str, tuple[Callable[[Clinic], None], set[str]]] = {
    "jira address": (put("tracker", "cloud", "url", value=NOWHERE), {f"{CLOUD}: address"}),
    "jira credentials": (put("tracker", "cloud", "token", value="wrong"), {f"{CLOUD}: credentials"}),
    "jira dc credentials": (put("tracker", "dc", "token", value="wrong"), {f"{DC}: credentials"}),
    "jira deployment": (put("tracker", "dc", "deployment", value="cloud"), {f"{DC}: deployment"}),
    "jira project": (put("tracker", "cloud", "project", value="HR"), {f"{CLOUD}: project"}),
    "jira issue type": (put("tracker", "cloud", "issue_type", value="Epos"), {f"{CLOUD}: issue type"}),
    "jira required field": (
        change(Service.JIRA_CLOUD, required_fields=("customfield_10020",)),
        {f"{CLOUD}: required fields"},
    ),
    "jira dc required field": (
        change(Service.JIRA_DATACENTER, required_fields=("customfield_10020",)),
        {f"{DC}: required fields"},
    ),
    "jira labels": (change(Service.JIRA_CLOUD, off_screen=("labels",)), {f"{CLOUD}: fields"}),
    "jira priority": (
        put("pipeline", "next-purchase", "tickets", "priority", value="Dire"),
        {f"{CLOUD}: priority"},
    ),
    "jira component": (
        put("pipeline", "next-purchase", "tickets", "components", value=["ranking", "nope"]),
        {f"{CLOUD}: components"},
    ),
    "jira assignee": (put("pipeline", "next-purchase", "assignee", value="nobody"), {f"{CLOUD}: assignee"}),
    "jira attachments": (change(Service.JIRA_CLOUD, attachments_enabled=False), {f"{CLOUD}: attachments"}),
    "jira breaks off": (strike(Service.JIRA_CLOUD, "/mypermissions"), {f"{CLOUD}: permissions"}),
    **{
        f"jira may not {what}": (change(Service.JIRA_CLOUD, denied=(key,)), {f"{CLOUD}: may {what}"})
        for key, what in {
            "CREATE_ISSUES": "create tickets",
            "ADD_COMMENTS": "comment",
            "TRANSITION_ISSUES": "transition tickets",
            "CREATE_ATTACHMENTS": "attach files",
            "LINK_ISSUES": "link",
            "ASSIGN_ISSUES": "assign tickets",
        }.items()
    },
    "jira dc may not comment": (change(Service.JIRA_DATACENTER, denied=("ADD_COMMENTS",)), {f"{DC}: may comment"}),
    "trello address": (put("tracker", "board", "url", value=NOWHERE), {f"{BOARD}: address"}),
    "trello credentials": (put("tracker", "board", "token", value="wrong"), {f"{BOARD}: credentials"}),
    "trello board": (put("tracker", "board", "board", value="0" * 24), {f"{BOARD}: board"}),
    "trello list": (put("tracker", "board", "lists", value={"done": "Shipped"}), {f"{BOARD}: list done"}),
    "trello label": (put("pipeline", "cards", "tickets", "labels", value=["nope"]), {f"{BOARD}: labels"}),
    "trello right to write": (change(Service.TRELLO, read_only=True), {f"{BOARD}: may write"}),
    "confluence address": (put("wiki", "cloud", "url", value=NOWHERE), {"wiki.cloud: address"}),
    "confluence credentials": (put("wiki", "cloud", "token", value="wrong"), {"wiki.cloud: credentials"}),
    "confluence dc credentials": (put("wiki", "dc", "token", value="wrong"), {"wiki.dc: credentials"}),
    "confluence space": (put("wiki", "cloud", "space", value="HR"), {"wiki.cloud: space"}),
    "confluence dc space": (put("wiki", "dc", "space", value="HR"), {"wiki.dc: space"}),
    "confluence parent": (put("wiki", "dc", "parent", value="No such page"), {"wiki.dc: parent page"}),
    "confluence may not create": (
        change(Service.CONFLUENCE_CLOUD, denied=("create",)),
        {"wiki.cloud: may add pages"},
    ),
    "confluence may not attach": (
        change(Service.CONFLUENCE_CLOUD, denied=("attach",)),
        {"wiki.cloud: may attach files"},
    ),
    "confluence may not update": (
        change(Service.CONFLUENCE_DATACENTER, denied=("update",)),
        {"wiki.dc: may change pages"},
    ),
    "slack address": (put("chat", "slack", "url", value=NOWHERE), {"chat.slack: address"}),
    "slack credentials": (put("chat", "slack", "token", value="xoxb-wrong"), {"chat.slack: credentials"}),
    "slack scope to write": (
        change(Service.SLACK, missing_scopes=("chat:write",)),
        {"chat.slack: scope chat:write"},
    ),
    "slack scope to read": (
        change(Service.SLACK, missing_scopes=("channels:history",)),
        {"chat.slack: scope channels:history"},
    ),
    "slack scope to list": (
        change(Service.SLACK, missing_scopes=("channels:read",)),
        {"chat.slack: scope channels:read"},
    ),
    "slack channel": (put("pipeline", "cards", "channel", value="#no-such"), {"chat.slack: channel #no-such"}),
    "slack archived channel": (
        put("pipeline", "cards", "channel", value="C0ARCHIVE"),
        {"chat.slack: channel C0ARCHIVE"},
    ),
    "slack membership": (put("pipeline", "cards", "channel", value="C0GENERAL"), {"chat.slack: channel C0GENERAL"}),
    "mlflow": (lambda clinic: setattr(clinic.runs, "away", True), {"mlflow: address"}),
    "mlflow experiment": (lambda clinic: clinic.runs.names.remove("next-purchase"), {"mlflow: runs of next-purchase"}),
    "mlflow release": (put("pipeline", "search", "release", value={"run": "gone"}), {"mlflow: release of search"}),
    "database": (put("store", "url", value="sqlite:////no/such/folder/herald.db"), {"store: database"}),
    "templates folder": (put("templates", value="absent"), {"templates: folder"}),
}


def test_where_everything_is_well_the_doctor_finds_nothing(clinic: Clinic):
    assert clinic.wrong() == set()
    assert {"store", "mlflow", CLOUD, DC, BOARD, "wiki.cloud", "wiki.dc", "chat.slack"} == set(clinic.found)
    assert clinic.check(CLOUD, "deployment").said.startswith("cloud, version 1001")
    assert clinic.check(DC, "deployment").said.startswith("datacenter, version ")
    assert clinic.check(CLOUD, "transition to done").ok
    assert "run-1, ended" in clinic.check("mlflow", "runs of search").said


def test_what_other_accounts_may_read_is_told_and_wrong_with_nothing(clinic: Clinic):
    state, jobs = clinic.folder / "herald.db", clinic.folder / "jobs"
    database = Database(f"sqlite:///{state}")
    database.migrate()
    database.close()
    jobs.mkdir(mode=0o700)
    assert clinic.wrong() == set()
    assert [each.name for each in clinic.found["store"]] == ["database"]
    state.chmod(0o644)
    jobs.chmod(0o755)
    assert clinic.wrong() == set()
    told = [each.remedy for each in clinic.found["store"] if each.name == "privacy"]
    assert told == [f"chmod 600 {state}", f"chmod 700 {jobs}"]


@pytest.mark.parametrize("what", list(BROKEN))
def test_one_thing_that_is_broken_is_what_the_doctor_names(clinic: Clinic, what: str):
    break_it, named = BROKEN[what]
    break_it(clinic)
    assert clinic.wrong() == named
    [wrong] = [each for checks in clinic.found.values() for each in checks if not each.ok]
    assert wrong.said
    assert wrong.remedy


def test_trap_22_23_the_field_that_has_no_value_is_named_and_a_value_in_config_is_enough(clinic: Clinic):
    clinic.sandbox.change(Service.JIRA_CLOUD, required_fields=("customfield_10020",))
    clinic.wrong()
    check = clinic.check(CLOUD, "required fields")
    assert "customfield_10020" in check.said
    assert "fields = { customfield_10020 = … }" in check.remedy
    clinic.raw["tracker"]["cloud"]["fields"] = {"customfield_10020": "Search"}
    assert clinic.wrong() == set()


def test_a_clock_that_is_wrong_is_ours_and_named_by_who_notices(clinic: Clinic):
    clinic.ahead = timedelta(minutes=10)
    wrong = clinic.wrong()
    assert {each.partition(": ")[2] for each in wrong} == {"clock"}
    assert "ahead of theirs" in clinic.check(CLOUD, "clock").said


def test_a_workflow_that_goes_step_by_step_is_understood(clinic: Clinic):
    clinic.sandbox.change(Service.JIRA_CLOUD, stepwise=True)
    assert clinic.wrong() == set()
    assert "by way of" in clinic.check(CLOUD, "transition to done").said


def test_a_broken_template_of_the_team_is_named_with_its_line(clinic: Clinic):
    folder = clinic.folder / "ours" / "jira"
    folder.mkdir(parents=True)
    (folder / "ticket.wiki.j2").write_text("fine\n{% if %}\n")
    clinic.raw["templates"] = "ours"
    assert clinic.wrong() == {"templates: template"}
    assert "line 2" in clinic.check("templates", "template").said


def test_what_is_safe_to_make_is_made_on_request_and_then_all_is_well(clinic: Clinic):
    board = clinic.raw["tracker"]["board"]
    board["lists"] = {"todo": "New", "doing": "Doing now", "done": "Shipped"}
    clinic.raw["pipeline"]["cards"]["tickets"]["labels"] = ["fresh"]
    clinic.raw["wiki"]["cloud"]["parent"] = PARENT
    wrong = {f"{BOARD}: list {state}" for state in ("todo", "doing", "done")} | {f"{BOARD}: labels"}
    assert clinic.wrong() == wrong | {"wiki.cloud: parent page"}
    assert clinic.wrong(fix=True) == set()
    assert clinic.wrong() == set()
    section = {name: value for name, value in clinic.raw["wiki"]["cloud"].items() if name != "parent"}
    assert ConfluenceWiki(ConfluenceSection(**section)).find(PARENT) is not None


def test_without_a_request_the_doctor_writes_nothing(clinic: Clinic):
    def count() -> int:
        return sum(each.method != "GET" and "slack" not in each.service for each in clinic.sandbox.requests())

    before = count()
    clinic.wrong()
    assert count() == before


def test_no_secret_is_said(clinic: Clinic):
    for name in ("cloud", "board"):
        clinic.raw["tracker"][name]["token"] = "s3cret-t0ken"
    clinic.raw["chat"]["slack"]["token"] = "xoxb-s3cret"
    clinic.wrong()
    assert "s3cret" not in repr(clinic.found)


CONFIG = """
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
[tracker.board]
kind = "trello"
url = "{url}"
board = "{board}"
lists = {{ done = "{done}" }}
"""


@pytest.mark.parametrize(("done", "code"), [("Done", 0), ("Shipped [x]", 1)])
def test_the_command_prints_a_line_a_check_and_ends_with_1_where_something_is_wrong(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, done: str, code: int
):
    box = clinic.sandbox
    monkeypatch.setenv("HERALD_TRACKER__BOARD__KEY", box.trello_key)
    monkeypatch.setenv("HERALD_TRACKER__BOARD__TOKEN", box.trello_token)
    path = clinic.folder / "config.toml"
    path.write_text(CONFIG.format(url=box.trello_url, board=box.board_id, done=done))
    shown = CliRunner().invoke(app, ["doctor", "--config", str(path)])
    assert shown.exit_code == code
    assert "✓ board: Search quality" in shown.output
    assert ("✗ list done: the board has no list 'Shipped [x]'" in shown.output) is bool(code)
    as_json = json.loads(CliRunner().invoke(app, ["doctor", "--json", "--config", str(path)]).output)
    assert as_json["ok"] is not bool(code)
    assert {"place", "check", "ok", "said", "remedy"} == set(as_json["checks"][0])


# ---- what people answer


def answering(clinic: Clinic, place: str, **answers: Any) -> set[str]:
    """Look again with these answers mapped; return what is wrong."""
    port, name = place.split(".")
    clinic.raw[port][name] = clinic.raw[port][name] | {"answers": answers}
    return clinic.wrong()


@pytest.mark.parametrize(
    ("place", "name", "meant", "what"),
    [
        (CLOUD, "Wont Do", "Won't Do", "Jira has no resolution"),
        (DC, "Cannot reproduce it", "Cannot Reproduce", "Jira has no resolution"),
        ("tracker.board", "In progres", "In progress", "the board has no list or label"),
    ],
)
def test_a_name_that_nobody_closes_tickets_with_is_told_with_the_nearest(
    clinic: Clinic, place: str, name: str, meant: str, what: str
):
    assert answering(clinic, place, expected=[name, meant]) == {f"{place}: answers expected"}
    assert clinic.check(place, "answers expected").said == f"{what} {name!r}; did you mean {meant!r}?"
    assert answering(clinic, place, expected=[meant.lower()]) == set()
    assert clinic.check(place, "answers").said == meant.lower()


def test_an_id_is_as_good_as_a_name_and_so_is_a_status(clinic: Clinic):
    assert answering(clinic, CLOUD, expected=["10001"], noise=["In Progress"]) == set()


def test_nobody_is_let_speak_where_jira_does_not_show_who_can_be_assigned_tickets(clinic: Clinic):
    check = f"{CLOUD}: who may give commands"
    clinic.sandbox.change(Service.JIRA_CLOUD, unassignable=[one.name for one in clinic.sandbox.seed.people])
    assert check in clinic.wrong()
    assert "Browse users and groups" in clinic.check(CLOUD, "who may give commands").remedy
    clinic.sandbox.change(Service.JIRA_CLOUD, unassignable=[])
    refuse(clinic, FaultKind.FORBIDDEN, Service.JIRA_CLOUD, "/user/assignable")
    assert clinic.wrong() == {check}
    assert answering(clinic, CLOUD, people={"accounts": ["5b10"]}) == set()


def test_roles_that_are_not_there_or_not_shown_are_told(clinic: Clinic):
    people = {"roles": ["Developers", "Devs"], "groups": ["search-leads"]}
    assert answering(clinic, DC, people=people) == {f"{DC}: roles"}
    assert "has no role Devs; it has Administrators, Developers" in clinic.check(DC, "roles").said
    clinic.sandbox.change(Service.JIRA_DATACENTER, denied=["ADMINISTER_PROJECTS"])
    assert answering(clinic, DC, people=people | {"roles": ["Developers"]}) == {f"{DC}: roles"}
    assert "administer the project" in clinic.check(DC, "roles").remedy


def test_a_way_that_is_not_called_so_is_told(clinic: Clinic):
    clinic.raw["tracker"]["cloud"]["transitions"] = {"done": "Erledigt"}
    assert clinic.wrong() == {f"{CLOUD}: transition to done"}
    assert "none is called 'Erledigt'; there is Done" in clinic.check(CLOUD, "transition to done").said
    clinic.raw["tracker"]["cloud"]["transitions"] = {"done": "done", "doing": "IN PROGRESS"}
    assert clinic.wrong() == set()


def test_a_screen_that_config_fills_is_no_obstacle(clinic: Clinic):
    clinic.sandbox.change(Service.JIRA_CLOUD, transition_fields=["customfield_10020"])
    assert clinic.wrong() == {f"{CLOUD}: transition to done"}
    assert "demands customfield_10020" in clinic.check(CLOUD, "transition to done").said
    clinic.raw["tracker"]["cloud"]["transition_fields"] = {"customfield_10020": "Search"}
    assert clinic.wrong() == set()


def test_threads_take_a_scope_to_know_who_answers_unless_config_says_who(clinic: Clinic):
    clinic.sandbox.change(Service.SLACK, missing_scopes=["users:read"])
    assert clinic.wrong() == set(), "nobody reads threads"
    clinic.raw["chat"]["slack"]["replies"] = True
    assert clinic.wrong() == {"chat.slack: scope users:read"}
    clinic.raw["chat"]["slack"]["people"] = {"accounts": ["U0ADA0000"]}
    assert clinic.wrong() == set()


# ---- what a server does not say


def refuse(clinic: Clinic, kind: FaultKind, service: Service, path: str) -> None:
    clinic.sandbox.strike(Fault(kind, service, path=path, times=0))


QUESTIONS = {
    "what we may do": (Service.JIRA_CLOUD, "/mypermissions", CLOUD, "permissions"),
    "which fields there are": (Service.JIRA_CLOUD, "/createmeta", CLOUD, "fields"),
    "how tickets are closed": (Service.JIRA_CLOUD, "/resolution", CLOUD, "answers"),
    "whether files are on": (Service.JIRA_DATACENTER, "/attachment/meta", DC, "attachments"),
    "what we may do in a space": (Service.CONFLUENCE_CLOUD, r"/spaces/\d+$", "wiki.cloud", "may add pages"),
    "who we are": (Service.CONFLUENCE_DATACENTER, "/user/current", "wiki.dc", "credentials"),
}


@pytest.mark.parametrize("kind", [FaultKind.FORBIDDEN, FaultKind.NOT_FOUND], ids=str)
@pytest.mark.parametrize("question", list(QUESTIONS))
def test_a_question_that_is_refused_is_no_fault_and_the_rest_is_looked_at(
    clinic: Clinic, question: str, kind: FaultKind
):
    service, path, place, check = QUESTIONS[question]
    clinic.wrong()
    last = clinic.found[place][-1].name
    refuse(clinic, kind, service, path)
    assert clinic.wrong() == set()
    assert "does not say" in clinic.check(place, check).said
    assert clinic.found[place][-1].name == last, "the rest is looked at"


ODD = (FaultKind.STALL_BEFORE, FaultKind.EMPTY_200, FaultKind.OTHER_JSON, FaultKind.ERROR_BEFORE)


@pytest.mark.parametrize("kind", ODD, ids=str)
@pytest.mark.parametrize(
    ("place", "service", "path"),
    [("wiki.cloud", Service.CONFLUENCE_CLOUD, "/user/current"), (CLOUD, Service.JIRA_CLOUD, "/myself")],
)
def test_silence_and_odd_answers_are_no_reason_for_a_new_token(
    clinic: Clinic, kind: FaultKind, place: str, service: Service, path: str
):
    clinic.sandbox.strike(Fault(kind, service, path=path, times=0, seconds=0.3))
    assert f"{place}: credentials" in clinic.wrong()
    remedy = clinic.check(place, "credentials").remedy
    assert "token" not in remedy
    assert remedy.startswith("Look whether the service answers")


def test_the_sandbox_says_who_we_are_to_its_confluences(clinic: Clinic):
    assert clinic.wrong() == set()
    for place in ("wiki.cloud", "wiki.dc"):
        assert clinic.check(place, "credentials").said.startswith("we are ")


def test_a_jira_that_hides_its_version_is_looked_at_all_the_same(clinic: Clinic):
    refuse(clinic, FaultKind.FORBIDDEN, Service.JIRA_CLOUD, "/serverInfo")
    assert clinic.wrong() == set()
    assert "does not say" in clinic.check(CLOUD, "deployment").said
    assert clinic.check(CLOUD, "transition to done").ok


def test_data_center_does_not_say_whether_one_may_add_pages(clinic: Clinic):
    assert clinic.wrong() == set()
    assert "does not say" in clinic.check("wiki.dc", "may add pages").said


OWN_CALLS = {
    "search": (Service.JIRA_CLOUD, "/search/jql", f"{CLOUD}: search"),
    "search of data center": (Service.JIRA_DATACENTER, "/search", f"{DC}: search"),
    "transitions": (Service.JIRA_CLOUD, "/transitions", f"{CLOUD}: transitions"),
    "cards": (Service.TRELLO, "/cards", f"{BOARD}: cards"),
    "pages": (Service.CONFLUENCE_CLOUD, "/api/v2/pages$", "wiki.cloud: search"),
    "labels": (Service.CONFLUENCE_DATACENTER, "/content/search", "wiki.dc: search"),
    "history": (Service.SLACK, "conversations.history", "chat.slack: channel #search-quality"),
    "channels": (Service.SLACK, "conversations.list", "chat.slack: channel #search-quality"),
}


@pytest.mark.parametrize("call", list(OWN_CALLS))
def test_the_doctor_is_not_content_where_a_call_is_refused_that_herald_makes(clinic: Clinic, call: str):
    service, path, check = OWN_CALLS[call]
    refuse(clinic, FaultKind.FORBIDDEN, service, path)
    assert check in clinic.wrong()


OF_THE_CLINIC = (  # the apps of Feishu and DingTalk have theirs in test_robots
    Service.JIRA_CLOUD,
    Service.JIRA_DATACENTER,
    Service.CONFLUENCE_CLOUD,
    Service.CONFLUENCE_DATACENTER,
    Service.SLACK,
    Service.TRELLO,
)


@pytest.mark.parametrize("kind", [FaultKind.OTHER_JSON, FaultKind.LOGIN_PAGE, FaultKind.EMPTY_200], ids=str)
@pytest.mark.parametrize("service", OF_THE_CLINIC, ids=str)
def test_no_answer_makes_the_doctor_break_off(clinic: Clinic, service: Service, kind: FaultKind):
    clinic.sandbox.strike(Fault(kind, service, times=0, skip=2))
    assert clinic.wrong()
    assert {"store", "mlflow", CLOUD, DC, BOARD, "wiki.cloud", "wiki.dc", "chat.slack"} == set(clinic.found)
    assert all(each.remedy for checks in clinic.found.values() for each in checks if not each.ok)


@pytest.mark.parametrize(
    ("missing", "channel", "wrong"),
    [
        (("groups:read", "groups:history"), "#search-quality", set()),
        (("groups:read",), "#of-few", {"chat.slack: channel #of-few"}),
        (("channels:read",), "#search-quality", {"chat.slack: scope channels:read"}),
        (("channels:read", "groups:read"), "#search-quality", {"chat.slack: scope channels:read"}),
    ],
)
def test_a_scope_counts_only_where_the_channels_are_of_its_kind(
    clinic: Clinic, missing: tuple[str, ...], channel: str, wrong: set[str]
):
    clinic.sandbox.change(Service.SLACK, missing_scopes=missing)
    for each in clinic.raw["pipeline"].values():
        each["channel"] = channel
    assert clinic.wrong() == wrong


def test_a_token_without_listed_scopes_is_taken_at_its_word(clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    send = requests.Session.post

    def without_scopes(self: requests.Session, *arguments: Any, **more: Any) -> requests.Response:
        answer = send(self, *arguments, **more)
        answer.headers.pop("X-OAuth-Scopes", None)
        return answer

    monkeypatch.setattr(requests.Session, "post", without_scopes)
    assert clinic.wrong() == set()
    assert "does not say" in clinic.check("chat.slack", "scopes").said
    assert clinic.check("chat.slack", "channel #search-quality").ok


def test_metrics_that_no_recent_run_has_are_named_with_the_nearest_that_there_is(clinic):
    assert clinic.wrong() == set()
    runs = clinic.runs
    runs.metrics = ["ndgc@10", "loss"]
    name, section = next(iter(clinic.raw["pipeline"].items()))
    section["metrics"] = {"ndcg@10": {}, "loss": {}, "rare": {"optional": True}}
    assert f"mlflow: metrics of {name}" in clinic.wrong()
    found = [each for each in clinic.found["mlflow"] if each.name == f"metrics of {name}"]
    assert f'the name pipeline.{name}.metrics."ndcg@10", or' in found[0].remedy
    said = [each.said for each in found]
    assert said[0] == "none of the 1 newest runs has ndcg@10; did you mean ndgc@10?"
    assert said[1].startswith("none of the 1 newest runs has rare; they have loss, ndgc@10.")


@pytest.mark.parametrize(
    ("latency", "limit", "said"),
    [
        (143.2, {"max": 120, "unit": "ms"}, "latency of the latest run, 143.2 ms, is above its limit of 120 ms"),
        (110.0, {"max": 120}, "the latest run keeps to the limits of latency"),
        (110.0, {"within": "10 %"}, "latency: its limits are a share of the release, or of 3 accepted runs, and there is neither yet"),
    ],
)  # fmt: skip
def test_how_the_latest_run_stands_to_its_limits_is_told(clinic: Clinic, latency: float, limit: dict, said: str):
    name, section = next(iter(clinic.raw["pipeline"].items()))
    section["metrics"]["latency"] = limit
    policies = Config(**clinic.raw).pipeline[name].policies
    run = replace(RUN, metrics={"latency": latency})
    judged = assess(SeriesState(), RunResult(run), Baseline(), policies)
    database = Database(f"sqlite:///{clinic.folder / 'herald.db'}")
    database.migrate()
    with database.begin() as tx:
        outcome, now = judged.outcome, wall_clock()
        runs.record(tx, JudgedRun(run, SeriesKey(name), DataCard(), judged.findings, outcome, False, False, now))
    database.close()
    assert clinic.wrong() == set()
    assert clinic.check("store", f"limits of {name}").said.replace("\N{NO-BREAK SPACE}", " ") == said


def test_a_pipeline_without_schedule_or_release_is_told_of_both(clinic):
    assert clinic.wrong() == set()
    name = next(iter(clinic.raw["pipeline"]))
    assert f"pipeline {name} has no schedule" in clinic.check("mlflow", f"schedule of {name}").said
    assert "models:/NAME@ALIAS" in clinic.check("mlflow", f"release of {name}").remedy


def test_while_a_place_is_looked_at_a_person_sees_that_something_is_under_way(monkeypatch):
    noted = []

    @contextmanager
    def progress(what):
        noted.append(what)
        yield
        noted.append("seen")

    def places():
        noted.append("mlflow")
        yield Examined("mlflow", ())
        noted.append("told")

    monkeypatch.setattr(checks, "progress", progress)
    assert print_examined(places(), as_json=False)
    assert noted == ["looking", "mlflow", "seen", "looking", "told", "seen"]


def test_what_there_is_to_do_is_a_note_and_not_all_well(capsys):
    works = Check("address", ok=True, said="answers")
    noted = Check("schedule of search", ok=True, said="it has none", remedy="Add one.")
    assert print_examined([Examined("mlflow", (works, noted))], as_json=False)
    said = capsys.readouterr().out
    assert "! schedule of search" in said
    assert "All is well" not in said
    assert print_examined([Examined("mlflow", (works,))], as_json=False)
    assert "All is well." in capsys.readouterr().out

"""Every effect on every service, its request carried out or not, its answer lost: afterwards it stands once.

docs/decisions/006-doubtful-ends.md has a row a case.
"""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import Surroundings, make_herald, make_services
from bot.domain.effects import BY_KIND
from bot.sandbox import Fault, FaultKind, Service, serve
from bot.sandbox.rules import JiraRules
from bot.store import Database, outbox
from bot.store.owed import EffectState, ParkedFor
from tests.chaos.world import SEED, Score, Seen, Told, configuration, count
from tests.memory_runs import MemoryRunStore

TABLE = Path(__file__).parents[2] / "docs" / "decisions" / "006-doubtful-ends.md"
BY_SERVICE = {
    "jira": Service.JIRA_CLOUD,
    "jira_dc": Service.JIRA_DATACENTER,
    "trello": Service.TRELLO,
    "confluence": Service.CONFLUENCE_CLOUD,
    "confluence_dc": Service.CONFLUENCE_DATACENTER,
    "slack": Service.SLACK,
    "hook_once": Service.SLACK,
    "hook_again": Service.SLACK,
}
JIRA_WRITES = {
    "open_ticket": r"POST /issue$",
    "comment_ticket": r"POST /comment$",
    "answer_comment": r"POST /comment$",
    "assign_ticket": r"PUT /assignee$",
    "resolve_ticket": r"POST /transitions$",
    "reopen_ticket": r"POST /transitions$",
    "link_ticket": r"POST /remotelink$",
    "attach_to_ticket": r"POST /attachments$",
    "attach_examples": r"POST /attachments$",
}
WRITES = {  # the request that an effect stands or falls with
    "jira": JIRA_WRITES,
    "jira_dc": JIRA_WRITES,
    "trello": {
        "open_ticket": r"POST /cards$",
        "comment_ticket": r"POST /actions/comments$",
        "answer_comment": r"POST /actions/comments$",
        "assign_ticket": r"POST /idMembers$",
        "resolve_ticket": r"PUT /cards/\w+$",
        "reopen_ticket": r"PUT /cards/\w+$",
        "link_ticket": r"POST /attachments$",
        "attach_to_ticket": r"POST /attachments$",
        "attach_examples": r"POST /attachments$",
    },
    "confluence": {
        "publish_archive": r"POST /api/v2/pages$",
        "publish_page": r"POST /api/v2/pages$",
        "label_page": r"POST /label$",
        "attach_to_page": r"PUT /child/attachment$",
        "attach_examples_to_page": r"PUT /child/attachment$",
        "update_section": r"PUT /api/v2/pages/\d+$",
        "update_ledger": r"PUT /api/v2/pages/\d+$",
    },
    "confluence_dc": {
        "publish_archive": r"POST /rest/api/content$",
        "publish_page": r"POST /rest/api/content$",
        "label_page": r"POST /label$",
        "attach_to_page": r"POST /child/attachment",
        "attach_examples_to_page": r"POST /child/attachment",
        "update_section": r"PUT /rest/api/content/\d+$",
        "update_ledger": r"PUT /rest/api/content/\d+$",
    },
    "slack": {
        "tell_channel": r"POST /chat\.(postMessage|update)$",
        "reply_in_thread": r"POST /chat\.postMessage$",
        "answer_in_thread": r"POST /chat\.postMessage$",
        "share_chart": r"POST /files\.completeUploadExternal$",
    },
    "hook_once": {"tell_channel": r"POST /services/"},
    "hook_again": {"tell_channel": r"POST /services/"},
}
CASES = [(kind, service) for service, kinds in WRITES.items() for kind in kinds]
ELSEWHERE = [  # struck in test_digest.py, in test_dispatch.py, and in tests/contract/test_umbrellas.py
    ("post_digest", "slack"),
    ("publish_digest", "confluence"),
    ("attach_text", "jira"),
    ("attach_comment", "jira"),
    *((kind, tracker) for kind in ("open_umbrella", "comment_umbrella") for tracker in ("jira", "jira_dc", "trello")),
]
SETTLED = [case for case in CASES if not case[1].startswith("hook")]


# Together they have every effect on every service that can be asked, pictures included.
INCIDENTS = [Told(f"Q{number:05d}", number) for number in (0, 5, 10)]
HOOKED = {"hook_once": Told("Q00002", 2), "hook_again": Told("Q00003", 3)}


@dataclass
class Clock:
    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pause(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass
class Bench:
    """The services as they are, and a Herald that does not really wait."""

    folder: Path
    database: Database
    clock: Clock = field(default_factory=Clock)
    struck: set[tuple[str, str]] = field(default_factory=set)  # effects and services whose request met a fault

    @property
    def kept(self) -> Path:
        return self.folder / "services.db"

    def run(self, box, told: Told, fault: FaultKind, *services: str) -> None:
        """Deliver an incident's effects one by one, the first request of each on *services* meeting the fault."""
        config = configuration(box)
        herald = make_herald(
            config,
            self.folder,
            around=Surroundings(clock=self.clock, pause=self.clock.pause),
            services=make_services(config),
            run_store=MemoryRunStore(),
            database=self.database,
        )
        for effect, view in told.effects():
            kind, service = effect.kind, effect.target.service
            if service in services:
                method, path = WRITES[service][kind].split(" ", 1)
                box.strike(Fault(fault, BY_SERVICE[service], method, path))
            with self.database.begin() as tx:
                outbox.owe(tx, told.name, [(effect, view)], self.clock())
            herald.dispatcher.drain(timedelta(minutes=2))
            if any(request.fault is fault for request in box.requests()):
                self.struck.add((kind, service))
            box.calm()

    def score(self, *told: Told) -> Score:
        score = Score()
        count(list(told), Seen(self.kept), score)
        return score

    @property
    def lost(self) -> list[str]:
        """Return the services of what may have been lost; nothing else may be left over."""
        with self.database.begin() as tx:
            owed = outbox.outstanding(tx)
        assert {(each.state, each.parked_for) for each in owed} <= {(EffectState.PARKED, ParkedFor.LOST)}
        return [each.effect.target.service for each in owed]


def set_up(folder: Path, migrated: Path) -> Bench:
    shutil.copyfile(migrated, folder / "herald.db")
    return Bench(folder, Database(f"sqlite:///{folder / 'herald.db'}"))


@pytest.fixture(scope="module")
def aftermath(request, tmp_path_factory, migrated_sqlite) -> Bench:
    """Deliver everything, with the answer to each effect's first request lost."""
    bench = set_up(tmp_path_factory.mktemp("settled"), migrated_sqlite)
    asked = tuple(service for service in WRITES if not service.startswith("hook"))
    with serve(bench.kept, seed=SEED) as box:
        for told in INCIDENTS:
            bench.run(box, told, request.param, *asked)
    bench.database.close()
    return bench


@pytest.fixture
def bench(tmp_path, migrated_sqlite):
    made = set_up(tmp_path, migrated_sqlite)
    yield made
    made.database.close()


@pytest.mark.parametrize("aftermath", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE], indirect=True)
@pytest.mark.parametrize(("kind", "service"), SETTLED, ids=["-".join(case) for case in SETTLED])
def test_an_effect_whose_answer_is_lost_stands_once(aftermath, kind, service):
    assert (kind, service) in aftermath.struck, "its request was never made"
    score = aftermath.score(*INCIDENTS)
    assert (score.duplicates, score.losses) == ([], [])
    assert aftermath.lost == []


@pytest.mark.parametrize(("fault", "heard"), [(FaultKind.DROP_AFTER, 1), (FaultKind.DROP_BEFORE, 0)])
def test_a_webhook_set_to_at_most_once_never_speaks_twice_and_says_what_may_be_lost(bench, fault, heard):
    told = HOOKED["hook_once"]
    with serve(bench.kept, seed=SEED) as box:
        bench.run(box, told, fault, "hook_once")
    score = bench.score(told)
    assert (score.duplicates, score.losses, score.unheard) == ([], [], 1 - heard)
    assert bench.lost == ["hook_once"]


@pytest.mark.parametrize(("fault", "repeated"), [(FaultKind.DROP_AFTER, 1), (FaultKind.DROP_BEFORE, 0)])
def test_a_webhook_set_to_at_least_once_is_always_heard_and_maybe_twice(bench, fault, repeated):
    told = HOOKED["hook_again"]
    with serve(bench.kept, seed=SEED) as box:
        bench.run(box, told, fault, "hook_again")
    score = bench.score(told)
    assert (score.duplicates, score.losses, score.repeated) == ([], [], repeated)
    assert bench.lost == []


def test_a_ticket_is_created_again_only_once_the_search_would_show_the_first(bench):
    told = INCIDENTS[0]
    with serve(bench.kept, seed=SEED, rules={Service.JIRA_CLOUD: JiraRules(search_lag=0.3)}) as box:
        bench.run(box, told, FaultKind.DROP_AFTER, "jira")
    assert bench.score(told).duplicates == []
    assert bench.score(told).losses == []


def test_the_table_has_a_row_for_every_effect_on_every_service():
    text = TABLE.read_text(encoding="utf-8")
    assert {kind for kind, _ in (*CASES, *ELSEWHERE)} == set(BY_KIND)
    for kind, service in (*CASES, *ELSEWHERE):
        assert any(f"`{kind}`" in line and f"`{service}`" in line for line in text.splitlines()), (kind, service)

"""A service more is a folder, a line of a union, a case of a match and its templates: toys are added to a copy of bot.

What each of them touches stands in `ADDITIONS`; the copy is then read, looked at, run dry and told by as it is.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Addition:
    """Files that are new, and in files that are there what is put behind or in the place of what."""

    files: dict[str, str]
    edits: dict[str, tuple[tuple[str, str], ...]]
    copies: dict[str, str] = field(default_factory=dict)  # templates, laid out as these are

    def make(self, root: Path) -> None:
        for name, text in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(dedent(text).lstrip())
        for name, template in self.copies.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / template, root / name)
        for name, changes in self.edits.items():
            text = (root / name).read_text()
            for old, new in changes:
                assert text.count(old) == 1, f"{name} has {old!r} more than once, or not at all"
                text = text.replace(old, new)
            (root / name).write_text(text)


CHECKS = """
    from collections.abc import Iterator
    from bot.domain.checks import Check

    def check_toy(config: object, *about: object, **more: object) -> Iterator[Check]:
        yield Check("address", ok=True, said="the toy is in its box")
"""
IMPORT = (
    "from bot.services.trello.config import",
    "from bot.services.toy.config import ToySection\nfrom bot.services.trello.config import",
)
CHAT = Addition(
    files={
        "bot/services/toy/__init__.py": '"""A chat whose messages are lines of a file."""\n',
        "bot/services/toy/config.py": """
            from typing import ClassVar, Literal
            from bot.domain.capabilities import ChatCapabilities, TextForm
            from bot.sections import Secret, Section
            from bot.text.locales import Locale

            class ToySection(Section):
                kind: Literal["toy"] = "toy"
                file: str
                password: Secret
                locales: dict[str, Locale] = {}
                text_form: ClassVar[TextForm] = TextForm("Toy", dialect="markdown", folder="toy", limit=5_000)
                capabilities: ClassVar[ChatCapabilities] = ChatCapabilities()
        """,
        "bot/services/toy/chat.py": """
            import json
            from pathlib import Path
            from bot.ports import Posted
            from bot.services.memory.chat import MemoryChat
            from bot.services.toy.config import ToySection

            class ToyChat(MemoryChat):
                def __init__(self, config: ToySection) -> None:
                    super().__init__(config.capabilities, config.text_form)
                    self._file = Path(config.file)

                def post(self, channel: str, mark: str, text: object) -> Posted:
                    with self._file.open("a") as file:
                        file.write(json.dumps([channel, str(text)]) + "\\n")
                    return Posted(channel, mark)
        """,
        "bot/services/toy/checks.py": CHECKS,
    },
    edits={
        "bot/config/services.py": (
            IMPORT,
            ("    SlackSection\n", "    SlackSection\n    | ToySection\n"),
        ),
        "bot/connections.py": (
            IMPORT,
            (
                "        case WebhookSection():\n",
                (
                    "        case ToySection():\n"
                    "            from bot.services.toy.chat import ToyChat\n"
                    "            from bot.services.toy.checks import check_toy\n\n"
                    "            return ChatConnection(partial(ToyChat, section), partial(check_toy, section))\n"
                    "        case WebhookSection():\n"
                ),
            ),
        ),
    },
    copies={
        "templates/toy/message.md.j2": "templates/slack/message.mrkdwn.j2",
        "templates/toy/reply.md.j2": "templates/slack/reply.mrkdwn.j2",
        "templates/digest/message.md.j2": "templates/digest/message.mrkdwn.j2",
    },
)
TRACKER = Addition(
    files={
        "bot/services/toy/__init__.py": '"""A tracker whose tickets are lines of a file."""\n',
        "bot/services/toy/config.py": """
            from typing import ClassVar, Literal
            from bot.domain.capabilities import TextForm
            from bot.sections import Secret, Section

            class ToySection(Section):
                kind: Literal["toy"] = "toy"
                file: str
                password: Secret
                text_form: ClassVar[TextForm] = TextForm("Toy", dialect="markdown", folder="toy", limit=5_000)
                lists_tickets: ClassVar[bool] = False
                listens: ClassVar[bool] = False
                own_fields: ClassVar[frozenset[str]] = frozenset({"size"})
        """,
        "bot/services/toy/tracker.py": """
            import json
            from pathlib import Path
            from bot.ports import Ticket, TicketDraft
            from bot.services.memory.tracker import MemoryTracker
            from bot.services.toy.config import ToySection

            class ToyTracker(MemoryTracker):
                def __init__(self, config: ToySection) -> None:
                    super().__init__(text_form=config.text_form)
                    self._file = Path(config.file)

                def create(self, marker: str, draft: TicketDraft) -> Ticket:
                    with self._file.open("a") as file:
                        file.write(json.dumps([draft.title, draft.body]) + "\\n")
                    return super().create(marker, draft)
        """,
        "bot/services/toy/checks.py": CHECKS,
    },
    edits={
        "bot/config/services.py": (
            IMPORT,
            ("JiraSection | TrelloSection", "JiraSection | ToySection | TrelloSection"),
        ),
        "bot/connections.py": (
            IMPORT,
            (
                "        case TrelloSection():\n",
                (
                    "        case ToySection():\n"
                    "            from bot.services.toy.checks import check_toy\n"
                    "            from bot.services.toy.tracker import ToyTracker\n\n"
                    "            return TrackerConnection(partial(ToyTracker, section), partial(check_toy, section))\n"
                    "        case TrelloSection():\n"
                ),
            ),
        ),
    },
    copies={
        "templates/toy/ticket.md.j2": "templates/trello/ticket.md.j2",
        "templates/toy/comment.md.j2": "templates/trello/comment.md.j2",
    },
)
EXECUTOR = Addition(
    files={
        "bot/executors/toy/__init__.py": '"""Jobs that are over before they begin."""\n',
        "bot/executors/toy/config.py": """
            from typing import Literal
            from bot.executors.cluster_section import ClusterSection

            class ToySection(ClusterSection):
                kind: Literal["toy"] = "toy"

                @property
                def place(self) -> str:
                    return "box"
        """,
        "bot/executors/toy/executor.py": """
            from bot.ports import Job, JobState, JobStatus, LogPart, Submission

            class ToyExecutor:
                def submit(self, job: Job) -> Submission:
                    print("started", job.command[0])
                    return Submission.STARTED

                def look(self, job: Job) -> JobStatus:
                    return JobStatus(JobState.ENDED, 3)

                def stop(self, job: Job) -> None: ...

                def log(self, job: Job, offset: int) -> LogPart:
                    return LogPart(b"", offset)
        """,
    },
    edits={
        "bot/config/executors.py": (
            ("Annotated[LocalSection | ", "Annotated[LocalSection | ToySection | "),
            (
                "from bot.executors.local.config import LocalSection\n",
                (
                    "from bot.executors.local.config import LocalSection\n"
                    "from bot.executors.toy.config import ToySection\n"
                ),
            ),
        ),
        "bot/connections.py": (
            (
                "        case LocalSection():\n",
                (
                    "        case ToySection():\n"
                    "            from bot.executors.toy.executor import ToyExecutor\n\n"
                    "            return ExecutorConnection(ToyExecutor, lambda _: iter(()))\n"
                    "        case LocalSection():\n"
                ),
            ),
            (
                "from bot.executors.local.config import LocalSection\n",
                (
                    "from bot.executors.local.config import LocalSection\n"
                    "from bot.executors.toy.config import ToySection\n"
                ),
            ),
        ),
    },
)
PIPELINE = """
[pipeline.search]
experiment = "search"
{port} = "box"
{more}
[pipeline.search.metrics.ndcg_all]
"""
STORY = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bot.app
from bot.cli.dry_run import run_dry
from bot.config.file import load_config
from bot.doctor import examine
from bot.domain.incidents import IncidentState
from bot.domain.rules import Person
from bot.domain.runs import Run, RunStatus
from bot.store import incidents
from bot.triage.by_hand import ByHand
from tests.memory_runs import MemoryRunStore

folder = Path.cwd()
assert Path(bot.app.__file__).is_relative_to(folder), bot.app.__file__
runs = MemoryRunStore()
def log(number, value, ended):
    runs.add("search", Run(f"r{number}", f"r{number}", RunStatus.FINISHED, ended, ended, {"ndcg_all": value}, {"seed": str(number)}))
for number in range(6):
    log(number, 0.80 + number / 1000, datetime.now(UTC) - timedelta(hours=9 - number))
bot.app.make_run_store = bot.doctor.make_run_store = lambda _: runs
config = load_config(folder / "config.toml")
checked = [[e.place, c.said] for e in examine(config, folder, lambda: datetime.now(UTC)) for c in e.checks]
herald = bot.app.make_herald(config, folder)
herald.cycle("search").judge_only()
for number in (6, 7):
    log(number, 0.3, datetime.now(UTC))
dry_run = [[s.what, s.target, s.text] for s in run_dry(config, folder, "search").sent]
herald.cycle("search").judge_only()
herald.dispatcher.drain(timedelta(seconds=1))
told = [json.loads(line) for line in (folder / "toys.jsonl").read_text().splitlines()]
with herald.database.begin() as tx:
    (incident,) = incidents.in_states(tx, IncidentState.OPEN)
_, answer = ByHand(herald.answering, Person("ops")).say(incident.incident_id, "noise 30d seeds differ")
ruled = [part.kind for part in answer.parts]
print(json.dumps({"checked": checked, "dry_run": dry_run, "told": told, "ruled": ruled}))
"""


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("bot", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def touched(root: Path) -> set[str]:
    """Return what of the copy is new or reads differently, toys' own folders as such."""
    names = (path.relative_to(root).as_posix() for top in ("bot", "templates") for path in (root / top).rglob("*.*"))
    files = {n for n in names if "__pycache__" not in n and (root / n).is_file()}
    new = {n for n in files if not (ROOT / n).is_file() or (ROOT / n).read_bytes() != (root / n).read_bytes()}
    return {re.sub(r"/toy/.*", "/toy", name) for name in new}


def run(root: Path, *command: str, **variables: str) -> str:
    path = {"PYTHONPATH": f"{root}:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(root), **variables}
    done = subprocess.run([sys.executable, *command], cwd=root, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def story_of(root: Path, port: str, more: str = "") -> dict:
    section = f'[{port}.box]\nkind = "toy"\nfile = "{root}/toys.jsonl"\n'
    (root / "config.toml").write_text(section + PIPELINE.format(port=port, more=more))
    *_, last = run(root, "-c", STORY, **{f"HERALD_{port.upper()}__BOX__PASSWORD": "sesame"}).splitlines()
    return json.loads(last)


def test_a_chat_is_its_folder_its_templates_and_two_places(root):
    CHAT.make(root)
    assert touched(root) == {
        "bot/services/toy",
        "bot/config/services.py",
        "bot/connections.py",
        "templates/toy",
        "templates/digest/message.md.j2",
    }
    story = story_of(root, "chat", 'channel = "#toys"')
    assert ["chat.box", "the toy is in its box"] in story["checked"]
    ((what, target, text),) = story["dry_run"]
    assert (what, target) == ("post message", "box: #toys")
    ((channel, told),) = story["told"]
    assert channel == "#toys"
    assert r"ndcg\_all" in told  # as Markdown escapes it
    assert told.splitlines()[1] == text.splitlines()[1]


def test_a_tracker_is_its_folder_its_templates_and_two_places(root):
    TRACKER.make(root)
    assert touched(root) == {"bot/services/toy", "bot/config/services.py", "bot/connections.py", "templates/toy"}
    story = story_of(root, "tracker", 'tickets.required = ["size"]')
    assert ["tracker.box", "the toy is in its box"] in story["checked"]
    assert [what for what, *_ in story["dry_run"]] == ["open ticket"]
    ((title, body),) = story["told"]
    assert story["ruled"] == ["rule"], "by hand it can be answered, though its tickets are not read"
    assert title in story["dry_run"][0][1]
    assert r"ndcg\_all" in body


def test_an_executor_is_its_folder_and_two_places(root):
    EXECUTOR.make(root)
    assert touched(root) == {"bot/executors/toy", "bot/config/executors.py", "bot/connections.py"}
    (root / "config.toml").write_text(
        PIPELINE.format(port="owner", more="")
        + '[pipeline.search.job]\ncommand = ["train"]\nexecutor = "box"\n[executor.box]\nkind = "toy"\n'
    )
    code = """
from datetime import UTC, datetime
from pathlib import Path
import bot.app
from bot.config.file import load_config
from tests.memory_runs import MemoryRunStore
folder, runs = Path.cwd(), MemoryRunStore()
runs.create("search")
herald = bot.app.make_herald(load_config(folder / "config.toml"), folder, run_store=runs)
herald.cycle("search").run(datetime.now(UTC))
"""
    assert "started train" in run(root, "-c", code)


def test_a_secret_of_a_new_service_is_refused_in_the_file_as_any_other(root):
    CHAT.make(root)
    (root / "config.toml").write_text('[chat.box]\nkind = "toy"\nfile = "x"\npassword = "sesame"\n')
    code = """
from pathlib import Path
from bot.config.file import load_config
from bot.errors import ConfigError
try:
    load_config(Path("config.toml"))
except ConfigError as error:
    print(error)
"""
    said = run(root, "-c", code)
    assert "chat.box.password: a secret does not belong in this file; set HERALD_CHAT__BOX__PASSWORD" in said

"""The arrows between modules, read from their import statements, and what it costs to start."""

import ast
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch",
    "transformers",
    "mlflow",
    "scipy.stats",
    "matplotlib",
    "sqlalchemy",
    "pydantic",
    "numpy",
    "rich.table",
)
# The rooms of bot, from the bottom: each may import only what stands in rows above its own.
LAYERS = (
    ("bot.text", "bot.runtime", "bot.domain"),
    ("bot.errors",),
    ("bot.ports", "bot.sections", "bot.store"),
    ("bot.render",),
    ("bot.services", "bot.executors"),
    ("bot.config",),
    ("bot.connections",),
    ("bot.judging",),
    ("bot.delivery",),
    ("bot.triage",),
    ("bot.pipeline",),
    ("bot.app", "bot.reports", "bot.replay"),
    ("bot.serve", "bot.doctor", "bot.web"),
    ("bot.demo", "bot.preview"),
    ("bot.cli",),
)
# The rooms of the sandbox, likewise: Confluence's pages list tickets of Jira.
SANDBOX_LAYERS = (
    ("bot.sandbox.rules", "bot.sandbox.seed"),
    ("bot.sandbox.web",),
    ("bot.sandbox.search", "bot.sandbox.markup"),
    ("bot.sandbox.jira", "bot.sandbox.slack", "bot.sandbox.trello", "bot.sandbox.robots", "bot.sandbox.mail"),
    ("bot.sandbox.confluence",),
    ("bot.sandbox.schema", "bot.sandbox.overview", "bot.sandbox.faults"),
    ("bot.sandbox.admin",),
    ("bot.sandbox.server",),
)
# The rooms of the trainer, likewise.
TRAINER_LAYERS = (
    ("trainer.errors", "trainer.environment"),
    ("trainer.stopping",),
    ("trainer.jobs",),
    ("trainer.tracking",),
    ("trainer.data",),
    ("trainer.models",),
    ("trainer.images",),
    ("trainer.measures",),
    ("trainer.task",),
    ("trainer.learning",),
    ("trainer.tasks",),
    ("trainer.results",),
    ("trainer.compression",),
    ("trainer.explaining",),
    ("trainer.run",),
    ("trainer.search",),
    ("trainer.labelling",),
    ("trainer.transfer",),
    ("trainer.cli",),
    ("trainer.__main__",),
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    found = [path for top in ("bot", "trainer") for path in (ROOT / top).rglob("*.py")]
    return {module_name(path): path for path in found}


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return every module that *module* imports anywhere in it, `from package import module` resolved."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively: the arrows are read from whole names"
            assert node.module is not None
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in modules() else node.module for name in names)
    return frozenset(found)


def is_within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def within(*packages: str) -> Iterator[str]:
    return (module for module in modules() if is_within(module, *packages))


def offences(importers, forbidden: tuple[str, ...]) -> list[str]:
    return [f"{m} -> {i}" for m in importers for i in imports_of(m) if is_within(i, *forbidden)]


def importers_of(package: str, *, inside: str) -> set[str]:
    return {module for module in within(inside) if any(is_within(i, package) for i in imports_of(module))}


def test_the_domain_imports_the_standard_library_numpy_and_scipy_alone():
    allowed = (*sys.stdlib_module_names, "numpy", "scipy", "bot.domain")
    strays = [f"{m} -> {i}" for m in within("bot.domain") for i in imports_of(m) if not is_within(i, *allowed)]
    assert strays == []


@pytest.mark.parametrize(
    "shell", ["time", "random", "os", "socket", "subprocess", "logging", "pathlib", "sqlite3", "urllib", "threading"]
)
def test_the_domain_has_no_clock_no_network_no_files_and_no_log(shell):
    assert offences(within("bot.domain"), (shell,)) == []


def rooms_within(package: str) -> set[str]:
    """Return the folders that stand directly in *package*."""
    inside = (module.split(".") for module in within(package))
    depth = package.count(".") + 1
    names = (".".join(parts[: depth + 1]) for parts in inside if len(parts) > depth)
    return {name for name in names if modules()[name].name == "__init__.py"}


@pytest.mark.parametrize("package", ["bot.services", "bot.executors"])
def test_services_and_executors_never_import_one_another(package):
    folders = rooms_within(package)
    strays = {
        offence
        for own in folders
        for offence in offences(within(own), tuple(other for other in folders if other != own))
    }
    assert strays == set()


@pytest.mark.parametrize("package", ["bot.services", "bot.executors"])
def test_what_they_share_imports_none_of_them(package):
    folders = tuple(rooms_within(package))
    assert offences([m for m in within(package) if not is_within(m, *folders)], folders) == []


CHOSEN = tuple(f"bot.services.{name}" for name in ("jira", "trello", "confluence", "slack", "webhook"))


def test_a_service_of_a_port_is_known_only_where_it_is_chosen():
    knowing = {m for m in within("bot") if not is_within(m, "bot.services") and offences([m], CHOSEN)}
    assert knowing == {"bot.config.services", "bot.connections"}


def test_no_room_tells_services_apart_by_their_names():
    names = {name.rpartition(".")[2] for name in CHOSEN}
    stories = ("bot.demo", "bot.preview.samples")
    free = ("bot.services", "bot.config", "bot.sandbox", *stories, "bot.cli", "bot.render.dialects")  # init, macros
    told = {
        f"{module}: {node.value!r}"
        for module in within("bot")
        if not is_within(module, *free)
        for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert told == set()


def test_bot_never_imports_the_trainer_nor_what_it_trains_with():
    assert offences(within("bot"), ("torch", "transformers", "trainer", "sklearn", "faiss")) == []


def test_the_trainer_never_imports_bot():
    assert offences(within("trainer"), ("bot",)) == []


@pytest.mark.parametrize(
    ("sdk", "package", "sole_importers"),
    [
        ("mlflow", "trainer", {"trainer.tracking.mlflow"}),
        ("huggingface_hub", "trainer", {"trainer.models.hub"}),
        ("torch.utils.tensorboard", "trainer", {"trainer.tracking.tensorboard"}),
        ("faiss", "trainer", {"trainer.models.hybrid_search"}),
        ("rapidfuzz", "trainer", {"trainer.data.spelling"}),
        ("peft", "trainer", {"trainer.models.cross_encoder"}),
        ("mlflow", "bot", {"bot.services.mlflow"}),
        ("jira", "bot", {"bot.services.jira"}),
        ("atlassian", "bot", {"bot.services.confluence.connection"}),
        ("httpx", "bot", set()),
        ("slack_sdk", "bot", {"bot.services.slack", "bot.services.block_kit"}),
        ("apscheduler", "bot", {"bot.config.timetable"}),
        ("matplotlib", "bot", {"bot.render.charts", "bot.render.chart_panels"}),
        ("kubernetes", "bot", {"bot.executors.kubernetes.connection", "bot.executors.kubernetes.room"}),
        ("starlette", "bot", {"bot.web"}),
        ("uvicorn", "bot", {"bot.web.server"}),
        ("prometheus_client", "bot", {"bot.web.metrics"}),
        ("markdown_it", "bot", {"bot.sandbox.markup.markdown", "bot.text.comment_lines.markdown"}),
        (
            "alembic",
            "bot",
            {"bot.store.database", "bot.store.migrations", "bot.services.mlflow.opening"},
        ),
    ],
)
def test_each_library_of_a_service_has_its_sole_importers(sdk, package, sole_importers):
    strays = {module for module in importers_of(sdk, inside=package) if not is_within(module, *sole_importers)}
    assert strays == set()


def test_the_sandbox_imports_nothing_else_of_bot():
    strays = [
        f"{m} -> {i}"
        for m in within("bot.sandbox")
        for i in imports_of(m)
        if is_within(i, "bot") and not is_within(i, "bot.sandbox")
    ]
    assert strays == []


def test_only_the_command_line_the_demo_and_the_preview_import_the_sandbox():
    importers = importers_of("bot.sandbox", inside="bot")
    assert {m for m in importers if not is_within(m, "bot.sandbox", "bot.demo", "bot.preview", "bot.cli")} == set()


def room_of(module: str, package: str) -> str:
    return ".".join(module.split(".")[: package.count(".") + 2])


def layer_of(room: str, layers=LAYERS) -> int:
    rows = [row for row, rooms in enumerate(layers) if room in rooms]
    assert rows, f"{room} has no place in the layers"
    return rows[0]


def arrows_up(package: str, layers) -> set[str]:
    """Return the imports from a room of *package* into one of its own row or above."""
    aside = () if package == "bot.sandbox" else ("bot.sandbox",)
    ours = [m for m in within(package) if m != package and not is_within(m, *aside)]
    arrows = [(m, i) for m in ours for i in imports_of(m) if is_within(i, package) and not is_within(i, *aside)]
    rooms = {(m, i): (room_of(m, package), room_of(i, package)) for m, i in arrows if i != package}
    return {
        f"{m} -> {i}"
        for (m, i), (own, other) in rooms.items()
        if own != other and layer_of(other, layers) >= layer_of(own, layers)
    }


def test_arrows_between_rooms_point_down_and_never_sideways():
    assert arrows_up("bot", LAYERS) == set()


def test_no_two_classes_of_the_bot_bear_one_name():
    found: dict[str, list[str]] = {}
    for module in within("bot"):
        if not is_within(module, "bot.sandbox", "bot.store.migrations"):
            for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append(module)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_arrows_between_rooms_of_the_sandbox_point_down_and_never_sideways():
    assert arrows_up("bot.sandbox", SANDBOX_LAYERS) == set()


def test_arrows_between_rooms_of_the_trainer_point_down_and_never_sideways():
    assert arrows_up("trainer", TRAINER_LAYERS) == set()


def test_the_map_shows_rooms_of_bot_in_the_order_of_their_layers():
    page = (ROOT / "docs/architecture.md").read_text()
    (table,) = re.findall(r"\| room of `bot` .*?\n\n", page, re.DOTALL)
    shown = [name for name in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) if name != "sandbox"]
    rows = [layer_of(f"bot.{name}") for name in shown]
    assert rows == sorted(rows, reverse=True)


def test_only_what_a_newcomer_sees_first_stands_at_the_top_of_the_trainer():
    top = {path.name for path in (ROOT / "trainer").glob("*.py")}
    assert top == {"__init__.py", "__main__.py", "environment.py", "errors.py", "run.py", "stopping.py", "task.py"}


def public_definitions(package: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Give the classes, methods and functions of *package* that other modules may name."""
    for module in within(package):
        scopes: list[ast.Module | ast.ClassDef] = [ast.parse(modules()[module].read_text(encoding="utf-8"))]
        while scopes:
            for node in scopes.pop().body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    yield module, node
                    scopes += [node] if isinstance(node, ast.ClassDef) else []


def test_all_that_is_public_in_the_mathematics_says_what_it_gives():
    rooms = ("trainer.learning", "trainer.measures", "trainer.models")
    silent = [
        f"{m}.{node.name}" for room in rooms for m, node in public_definitions(room) if not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("core", ["trainer", "bot"])
def test_no_two_classes_share_a_name(core):
    found = [(m, node) for m, node in public_definitions(core) if isinstance(node, ast.ClassDef)]
    names = [node.name for module, node in found if not is_within(module, "bot.sandbox")]
    assert {name for name in names if names.count(name) > 1} == set()


def test_a_module_of_more_than_300_lines_says_in_its_first_line_why_it_is_long():
    texts = {module: modules()[module].read_text(encoding="utf-8") for module in within("bot")}
    long = {module: text.splitlines()[0] for module, text in texts.items() if text.count("\n") > 300}
    assert [module for module, first in long.items() if " long, since " not in first] == []


def test_no_module_of_the_trainer_is_longer_than_300_lines():
    lines = {m: len(modules()[m].read_text(encoding="utf-8").splitlines()) for m in within("trainer")}
    assert {m: count for m, count in lines.items() if count > 300} == {}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_command_line_loads_nothing_heavy():
    loaded = loaded_by("import bot.cli.main")
    assert {heavy for heavy in HEAVY if heavy in loaded} == set()


def test_a_ready_herald_loads_no_mlflow_no_statistics_and_no_drawing():
    loaded = loaded_by("import bot.app, bot.serve.loop, bot.cli.output.cycle")
    assert {
        heavy for heavy in ("torch", "mlflow", "scipy.stats", "matplotlib", "jira", "atlassian") if heavy in loaded
    } == set()


def test_what_only_looks_loads_no_log_no_mlflow_and_no_numbers():
    loaded = loaded_by("import bot.reports.reader, bot.reports.overview, bot.cli.output.status, bot.cli.output.outbox")
    assert {heavy for heavy in ("structlog", "mlflow", "numpy", "alembic", "requests") if heavy in loaded} == set()


def test_who_reads_a_server_of_mlflow_loads_no_database_of_mlflow():
    loaded = loaded_by("from bot.services.mlflow import importing; importing.load('http://127.0.0.1:1')")
    assert "mlflow.tracking" in loaded
    assert not any(module.startswith("mlflow.store.tracking.dbmodels") for module in loaded)


def test_who_opens_a_state_in_sqlite_loads_no_dialect_of_postgresql():
    loaded = loaded_by("from bot.store import Database; Database('sqlite://')")
    assert "sqlalchemy.dialects.sqlite" in loaded
    assert not any(module.startswith("sqlalchemy.dialects.postgresql") for module in loaded)


def test_help_answers_within_half_a_second():
    def seconds() -> float:
        """Return how long it takes, or how long of that it has a processor: others may keep it waiting for one."""
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", "from bot.cli.main import main; main()", "--help"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        at_work = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return min(time.perf_counter() - began, at_work)

    best = float("inf")
    for _ in range(8):
        best = min(best, seconds())
        if best < 0.5:
            break
    assert best < 0.5


def test_what_tests_share_is_imported_by_its_whole_name_and_lives_in_no_test_module():
    """A folder without an __init__.py would put itself on the path, and its modules would have two names."""
    ours = list((ROOT / "tests").rglob("*.py"))
    assert {path.parent for path in ours if not (path.parent / "__init__.py").is_file()} == set()
    names = {path.stem for path in ours} - sys.stdlib_module_names
    for path in ours:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                assert not (node.module or "").rpartition(".")[2].startswith("test_"), path
                assert node.module not in names, f"{path}: {node.module}"

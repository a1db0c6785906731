"""The arrows between modules, read from their import statements, and what it costs to start."""

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADAPTER_SUPPORT = {  # what several adapters share: no service of its own
    "bot.adapters",
    "bot.adapters.artifacts",
    "bot.adapters.cards",
    "bot.adapters.checking",
    "bot.adapters.cutting",
    "bot.adapters.example_tables",
    "bot.adapters.evidence",
    "bot.adapters.http",
    "bot.adapters.job_keeper",
    "bot.adapters.job_processes",
    "bot.adapters.refusals",
    "bot.adapters.paging",
    "bot.adapters.remembered",
    "bot.adapters.sections",
    "bot.adapters.slackblocks",
    "bot.adapters.transport",
    "bot.adapters.unreadable",
}
OVERSEERS = (
    "bot.cycle",
    "bot.judging",
    "bot.lookout",
    "bot.dispatch",
    "bot.deliver",
    "bot.compose",
    "bot.app",
    "bot.cli",
    "bot.schedule",
    "bot.watch",
    "bot.store",
)
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
# Each row may import only what stands in rows above it, or beside it in its own row.
LAYERS = (
    (
        "bot",
        "bot.deadline",
        "bot.clock",
        "bot.errors",
        "bot.journal",
        "bot.seam",
        "bot.formats",
        "bot.escape",
        "bot.private",
    ),
    ("bot.domain", "bot.timetable"),
    ("bot.ports", "bot.config", "bot.views", "bot.checks", "bot.job_logs", "bot.stacking", "bot.unread", "bot.unset"),
    ("bot.config_file", "bot.adapters", "bot.render", "bot.charts", "bot.store", "bot.paths", "bot.reader"),
    ("bot.judge_words", "bot.judge_lines", "bot.doubts"),
    ("bot.compose", "bot.deliver", "bot.mending", "bot.watch", "bot.traffic"),
    ("bot.dispatch", "bot.judging", "bot.lookout", "bot.setting_aside"),
    ("bot.cycle",),
    ("bot.app",),
    (
        "bot.schedule",
        "bot.serve",
        "bot.errands",
        "bot.stopping",
        "bot.reconcile",
        "bot.rehearse",
        "bot.digest",
        "bot.doctor",
        "bot.doctor_mlflow",
        "bot.first_config",
        "bot.ask",
        "bot.try_chat",
    ),
    ("bot.overview",),
    ("bot.show", "bot.show_outbox"),
    ("bot.demo",),
    ("bot.cli",),
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


def test_adapters_never_import_one_another():
    adapters = [m for m in within("bot.adapters") if m not in ADAPTER_SUPPORT]
    own = {f"{m} -> {i}" for m in adapters for i in adapters if service_of(m) == service_of(i)}
    assert set(offences(adapters, tuple(adapters))) - own == set()


def service_of(adapter: str) -> str:
    """Read the service off the name of one of its modules: `slack_checks` is Slack's."""
    return adapter.rpartition(".")[2].split("_")[0]


def test_what_adapters_share_imports_no_adapter():
    adapters = tuple(m for m in within("bot.adapters") if m not in ADAPTER_SUPPORT)
    assert offences(ADAPTER_SUPPORT, adapters) == []


def test_adapters_know_nothing_of_what_drives_them():
    assert offences(within("bot.adapters"), OVERSEERS) == []


def test_bot_never_imports_the_trainer_nor_what_it_trains_with():
    assert offences(within("bot"), ("torch", "transformers", "trainer", "sklearn", "faiss")) == []


def test_the_trainer_never_imports_bot():
    assert offences(within("trainer"), ("bot",)) == []


@pytest.mark.parametrize(
    ("sdk", "package", "sole_importers"),
    [
        ("mlflow", "trainer", {"trainer.tracking"}),
        ("huggingface_hub", "trainer", {"trainer.hub"}),
        ("torch.utils.tensorboard", "trainer", {"trainer.tensorboard"}),
        ("bm25s", "trainer", {"trainer.lexical"}),
        ("faiss", "trainer", {"trainer.search"}),
        ("rapidfuzz", "trainer", {"trainer.data.spelling"}),
        ("ir_measures", "trainer", {"trainer.ranking"}),
        ("peft", "trainer", {"trainer.pair_model"}),
        ("mlflow", "bot", {"bot.adapters.mlflow", "bot.adapters.mlflow_opening"}),
        ("jira", "bot", {"bot.adapters.jira"}),
        ("atlassian", "bot", {"bot.adapters.confluence"}),
        ("httpx", "bot", {"bot.demo.outcome"}),
        ("slack_sdk", "bot", {"bot.adapters.slack", "bot.adapters.slackblocks"}),
        ("apscheduler", "bot", {"bot.timetable"}),
        ("matplotlib", "bot", {"bot.charts"}),
        (
            "alembic",
            "bot",
            {"bot.store.database", "bot.store.migrations", "bot.adapters.mlflow_opening"},
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


def test_only_the_command_line_and_the_demo_import_the_sandbox():
    importers = importers_of("bot.sandbox", inside="bot")
    assert {m for m in importers if not is_within(m, "bot.sandbox", "bot.demo", "bot.cli")} == set()


def layer_of(module: str) -> int:
    """Return the row of :data:`LAYERS` that names *module* most closely."""
    ranks = [(len(name), row) for row, names in enumerate(LAYERS) for name in names if is_within(module, name)]
    length, row = max(ranks)
    assert length > len("bot") or module == "bot", f"{module} has no place in the layers"
    return row


def test_arrows_point_down():
    ours = [m for m in within("bot") if not is_within(m, "bot.sandbox")]
    upward = [
        f"{m} -> {i}"
        for m in ours
        for i in imports_of(m)
        if is_within(i, "bot") and not is_within(i, "bot.sandbox") and layer_of(i) > layer_of(m)
    ]
    assert upward == []


def loaded_by(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_command_line_loads_nothing_heavy():
    loaded = loaded_by("import bot.cli")
    assert {heavy for heavy in HEAVY if heavy in loaded} == set()


def test_a_ready_herald_loads_no_mlflow_no_statistics_and_no_drawing():
    loaded = loaded_by("import bot.app, bot.serve, bot.show")
    assert {
        heavy for heavy in ("torch", "mlflow", "scipy.stats", "matplotlib", "jira", "atlassian") if heavy in loaded
    } == set()


def test_what_only_looks_loads_no_log_no_mlflow_and_no_numbers():
    loaded = loaded_by("import bot.reader, bot.overview, bot.show, bot.show_outbox")
    assert {heavy for heavy in ("structlog", "mlflow", "numpy", "alembic", "requests") if heavy in loaded} == set()


def test_who_reads_a_server_of_mlflow_loads_no_database_of_mlflow():
    loaded = loaded_by("from bot.adapters import mlflow; mlflow.load('http://127.0.0.1:1')")
    assert "mlflow.tracking" in loaded
    assert not any(module.startswith("mlflow.store.tracking.dbmodels") for module in loaded)


def test_help_answers_within_half_a_second():
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from bot.cli import main; main()", "--help"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began

    best = float("inf")
    for _ in range(8):
        best = min(best, seconds())
        if best < 0.5:
            break
    assert best < 0.5

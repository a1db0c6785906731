import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest

import trainer
from tests.trainer.shop import make_rows, products_table, write_raw
from trainer.__main__ import app, fit, main
from trainer.tracking.progress import show_progress

MODULES = sorted(Path(trainer.__file__).parent.rglob("*.py"))


def imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_the_trainer_never_imports_the_bot():
    assert not [path for path in MODULES if "bot" in imported_by(path)]


def test_only_tracking_imports_mlflow():
    assert [path.name for path in MODULES if "mlflow" in imported_by(path)] == ["mlflow.py"]


def test_nothing_reads_pickles():
    for path in MODULES:
        assert not imported_by(path) & {"pickle", "joblib", "cloudpickle", "dill"}
        loads = path.read_text().count("torch.load(")
        # What a package published is converted there, once: tensors are all that is read.
        safe = path.read_text().count("weights_only=True") if path.name == "lite_folder.py" else 0
        assert loads == safe


def test_help_comes_without_loading_anything_heavy():
    code = (
        "import sys; from trainer.__main__ import main; sys.stdout = sys.stderr; code = main(['--help']); sys.stdout = sys.__stdout__;"
        "print(sorted({'torch', 'transformers', 'mlflow', 'numpy', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_commands_and_exit_codes(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("prepare", "fit", "evaluate", "exit codes"):
        assert word in text


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("fit", ["JOB.toml", "--set", "--resume", "--device", "--precision"]),
        ("search", ["JOB.toml", "--set", "--trials", "--rates", "--batches", "--metric"]),
        ("evaluate", ["JOB.toml", "--set", "--model", "--split", "--device", "--precision"]),
        ("compare", ["--by", "--tracking-uri", "--json"]),
        (
            "recommend",
            ["MODEL", "QUERY", "--file", "--user", "--job", "--set", "--snapshot", "-k", "--tracking-uri", "--json"],
        ),
        ("upload", ["OUTPUT", "--tracking-uri"]),
        ("clean", ["JOB.toml", "FOLDER"]),
        ("prepare", ["SNAPSHOT", "--raw", "--item-ids", "--test-from", "--until", "--min-households", "--households"]),
    ],
)
def test_the_help_of_a_command_names_what_it_takes(command, options, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["cook"],
        ["fit"],
        ["prepare", "x", "--test-from", "1 November"],
        ["prepare", "x", "--households", "0"],
        ["prepare", "x", "--min-households", "few"],
    ],
)
def test_a_wrong_command_line_ends_with_two(arguments, capsys):
    assert main(arguments) == 2
    assert "python -m trainer" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["upload {}", "prepare {}", "compare {} {}", "recommend {} lamp"])
def test_a_name_that_no_file_can_have_is_bad_input(words, capsys):
    assert main(words.format("n" * 300, "n" * 300).split()) == 2
    assert capsys.readouterr().err.endswith(": is too long for the name of a file\n")


def test_a_name_that_leaves_no_room_for_the_folder_beside_it_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["prepare", "n" * 250, "--raw", "empty"]) == 2
    assert capsys.readouterr().err.endswith("nn: is too long for the name of a file\n")


@pytest.mark.parametrize(
    ("variable", "value", "launcher"),
    [("WORLD_SIZE", "2", "torchrun"), ("LOCAL_RANK", "1", "torchrun"), ("SLURM_STEP_NUM_TASKS", "4", "srun")],
)
def test_one_of_many_processes_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, capsys, variable, value, launcher
):
    monkeypatch.setenv(variable, value)
    others = [[one.callback.__name__] for one in app.registered_commands if one.callback is not fit]
    for arguments in (["fit", "job.toml"], ["label", "next"], *others):  # before what they are given is looked at
        monkeypatch.chdir(tmp_path)
        assert main(arguments) == 2
        (sentence,) = capsys.readouterr().err.splitlines()
        assert (
            f"{variable} is {value}, as {launcher} sets it for many processes: {arguments[0]} runs as one" in sentence
        )
    assert list(tmp_path.iterdir()) == []


def test_one_process_of_a_launcher_is_as_good_as_none(monkeypatch, capsys):
    for variable, value in (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"), ("PMI_SIZE", "")):
        monkeypatch.setenv(variable, value)
    assert main(["fit", "nowhere.toml"]) == 2
    assert "there is no such job file" in capsys.readouterr().err


def test_prepare_tells_what_it_kept_and_dropped(tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", make_rows(), products_table())
    arguments = ["prepare", str(tmp_path / "snap"), "--raw", str(raw), "--min-households", "2", "--until", "2018-01-01"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "11 items with 11 distinct texts" in told
    assert "of 48 households from 2017-11-01" in told
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_prepare_without_tables_is_told(tmp_path, capsys):
    assert main(["prepare", str(tmp_path / "snap"), "--raw", str(tmp_path / "nowhere")]) == 2
    assert "no such folder of raw tables" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_progress_elsewhere_than_a_terminal_is_plain_lines(capsys):
    with show_progress("training", 20, "trips") as advance:
        for _ in range(10):
            advance(2, "loss 1.000")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("training: 20/20 trips, ")
    assert line.endswith(" trips/s, 0 s left, loss 1.000")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_at_a_terminal_is_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with show_progress("training", 20, "trips") as advance:
        advance(20, "loss 1.000")
    for part in ("training", "20/20", "trips/s", "loss 1.000", "━"):
        assert part in terminal.getvalue()

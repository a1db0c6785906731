"""Environments made from lock files: once each, whole or not there, within bounds, and what cannot be made is no evidence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from bot.config.diagnose import DiagnoseSection
from bot.domain.diagnosis.hypotheses import Alone
from bot.domain.job_protocol import FIRE_TAG
from bot.executors import environment_builder
from bot.executors.environment_builder import build, ready_file
from bot.executors.local.executor import LocalExecutor
from bot.ports import JobState
from tests.unit.cycle_bench import EAGER, ENDED, JOB
from tests.unit.diagnosis_lab import NEW, OLD, Lab

MAKE = ["mkdir", "{folder}"]
COPY = ["sh", "-c", 'mkdir -p "$0/bin" && cp "$1" "$0/bin/installed"', "{folder}", "{lock}"]


def plan(folder: Path, install: list[str], **others) -> dict:
    return {
        "folder": str(folder),
        "make": ["mkdir", str(folder)],
        "install": install,
        "size": 10**6,
        "keep": 2,
        **others,
    }


def test_what_was_made_is_not_made_again(tmp_path):
    counted = ["sh", "-c", f"echo made >> {tmp_path}/count"]
    assert [build(plan(tmp_path / "a", counted)) for _ in range(2)] == [0, 0]
    assert (tmp_path / "count").read_text() == "made\n"


def test_one_that_a_kill_left_half_made_is_made_anew(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "half").touch()
    assert build(plan(tmp_path / "a", ["true"])) == 0
    assert not (tmp_path / "a" / "half").exists()


@pytest.mark.parametrize(
    ("install", "others"),
    [
        (["false"], {}),
        (["no-such-installer"], {}),
        (["sh", "-c", "head -c 2000 /dev/zero > $VIRTUAL_ENV/large"], {"size": 1000}),
    ],
)
def test_what_fails_or_grows_too_large_leaves_nothing(tmp_path, install, others):
    assert build(plan(tmp_path / "a", install, **others)) != 0
    assert not (tmp_path / "a").exists()
    assert not ready_file(tmp_path / "a").exists()


def test_one_that_grows_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(environment_builder, "_MEASURE_SECONDS", 0.0)
    install = ["sh", "-c", "head -c 2000 /dev/zero > $VIRTUAL_ENV/large; exec sleep 60"]
    assert build(plan(tmp_path / "a", install, size=1000)) != 0


def test_those_used_last_are_kept(tmp_path):
    for age, name in enumerate("abc"):
        assert build(plan(tmp_path / name, ["true"])) == 0
        os.utime(ready_file(tmp_path / name), (age, age))
    assert build(plan(tmp_path / "b", ["true"])) == 0  # used once more
    assert build(plan(tmp_path / "d", ["true"])) == 0
    assert {each.name for each in tmp_path.iterdir() if each.is_dir()} == {"b", "d"}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"git": ".", "arguments": ["--old"]}, "should have the lock file beside it"),
        ({"git": "."}, 'git = "." should have the lock file beside it: lock = "requirements.lock"'),
        ({"lock": "a.lock", "install": ["pip"]}, r"install should name the \{lock\} file"),
        ({"lock": "a.lock", "make": ["venv"]}, r"make should name the \{folder\}"),
        ({}, "should set something"),
        ({"lock": "{host}.lock"}, "is no place to fill"),
    ],
)
def test_a_section_that_makes_nothing_is_refused(section, says):
    with pytest.raises(ValueError, match=says):
        DiagnoseSection.model_validate({"environment": section})


def write_wheel(folder: Path, version: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"ranker-{version}.dist-info"
    with zipfile.ZipFile(folder / f"ranker-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("ranker.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: ranker\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"ranker.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_a_real_environment_is_made_from_wheels_without_any_index(tmp_path):
    write_wheel(tmp_path / "wheels", "1.5")
    (tmp_path / "a.lock").write_text("ranker==1.5\n")
    python = str(tmp_path / "a" / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    install += ["--no-index", "--find-links", str(tmp_path / "wheels"), "--requirement", str(tmp_path / "a.lock")]
    make = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "a")]
    assert build(plan(tmp_path / "a", install, make=make, size=10**8)) == 0
    said = subprocess.run(
        [python, "-c", "import ranker; print(ranker.VERSION)"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "1.5\n"


@pytest.fixture
def installing(sqlite_url, monkeypatch, tmp_path):
    """Let a job fall with what its environment has installed: two lock files by their names, on either side."""
    locks = {"good": "ranker==1.4", "bad": "ranker==1.5"}
    for name, text in locks.items():
        (tmp_path / f"{name}.lock").write_text(text)
    monkeypatch.setitem(OLD["tags"], "herald.lock_hash", "good")
    monkeypatch.setitem(NEW["tags"], "herald.lock_hash", "bad")

    made = []

    def installing(install: list[str]) -> Lab:
        environment = {"lock": "{tags.herald.lock_hash}.lock", "make": MAKE, "install": install, "keep": 2}
        lab = Lab(tmp_path, sqlite_url, {**EAGER, **JOB, "diagnose": {"environment": environment}})
        lab.fall()
        made.append(lab)
        real = LocalExecutor()

        def carry_out(job):
            if job.fire_id.endswith("-environment"):
                real.submit(job)
                while (status := real.look(job)).state is JobState.RUNNING:
                    time.sleep(0.01)
                return status
            lab.jobs.append(job)
            installed = Path(job.environment["PATH"].split(":")[0], "installed").read_text()
            value = 0.75 if installed == locks["bad"] else 0.80
            lab.log(value, f"job{len(lab.jobs)}", tags={FIRE_TAG: job.fire_id})
            return ENDED

        lab.executor._carry_out = carry_out
        return lab

    yield installing
    for lab in made:
        lab.database.close()


def test_what_is_installed_is_told_from_a_lock_file_on_either_side(installing):
    lab = installing(COPY)
    record = lab.diagnose()
    assert record.diagnosis is not None
    assert record.diagnosis.cause == Alone(0)
    assert [str(each.component) for each in record.inquiry.swaps] == ["environment"]
    folders = {job.environment["VIRTUAL_ENV"] for job in lab.jobs}
    assert len(folders) == 2
    assert all(ready_file(Path(folder)).exists() for folder in folders)
    assert not {name for job in lab.jobs for name in job.environment if name.startswith("HERALD_")} - {
        "HERALD_FIRE_ID",
        "HERALD_SEED",
    }


def test_a_lock_file_that_does_not_install_is_no_evidence_and_said(installing, capsys):
    lab = installing(["sh", "-c", "echo no ranker 1.5 >&2; exit 4", "{lock}"])
    lab.diagnose()
    assert lab.jobs == []
    why = "what the lock file names does not install"
    assert f"Nothing was found out: the only rerun failed since {why} (no ranker 1.5)." in lab.said[-1]
    assert f", the environment ({why}: no ranker 1.5)." in lab.said[-1]
    assert f"| as it was | {why} (no ranker 1.5) |" in lab.said[-1]
    assert "does not install: exit code 4; no ranker 1.5" in capsys.readouterr().out


def test_an_environment_goes_a_day_after_its_last_use_and_never_while_a_diagnosis_needs_it(installing):
    lab = installing(COPY)
    lab.begin()
    lab.look()
    (ready,) = lab.folder.glob("jobs/search/environments/*.ready")
    os.utime(ready, (0, 0))
    cycle = lab.herald.cycle("search")
    cycle.clear()
    assert ready.exists(), "the diagnosis goes on"
    lab.serve()
    cycle.clear()
    (left,) = lab.folder.glob("jobs/search/environments/*.ready")
    assert left != ready, "that one was used a moment ago"
    os.utime(left, (0, 0))
    cycle.clear()
    assert [*lab.folder.glob("jobs/search/environments/*")] == []

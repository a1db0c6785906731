"""What does not fit into memory is refused before the work, with its arithmetic."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.trainer.queries import make_bert, make_rows, write_gap, write_job, write_rows
from trainer.__main__ import main
from trainer.environment import FreeMemory, free_memory
from trainer.errors import JobError
from trainer.tasks import memory_needs
from trainer.tasks.memory_needs import check_memory, product, readable

GIB = 1 << 30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal:       32000000 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n"}


def test_a_machine_alone_has_what_it_says_is_available(tmp_path):
    assert free_memory(write(tmp_path, MACHINE)) == FreeMemory(8 * GIB, "of the machine")


def test_where_nothing_tells_what_is_free_nothing_is_refused(tmp_path):
    assert free_memory(tmp_path) is None


def test_a_limit_of_any_group_above_holds(tmp_path):
    files = {
        "proc/self/cgroup": "0::/jobs/night\n",
        "sys/fs/cgroup/jobs/memory.max": f"{3 * GIB}\n",
        "sys/fs/cgroup/jobs/memory.current": f"{2 * GIB}\n",
        "sys/fs/cgroup/jobs/memory.stat": f"anon 7\ninactive_file {GIB // 2}\n",
        "sys/fs/cgroup/jobs/night/memory.max": "max\n",
        "sys/fs/cgroup/jobs/night/memory.current": "1\n",
    }
    found = free_memory(write(tmp_path, MACHINE | files))
    assert found == FreeMemory(3 * GIB // 2, f"by {tmp_path}/sys/fs/cgroup/jobs/memory.max")


def test_a_container_is_limited_where_its_group_is_the_top_one_though_its_path_is_the_hosts(tmp_path):
    files = {
        "proc/self/cgroup": "0::/../../docker/4f2a\n",
        "sys/fs/cgroup/memory.max": f"{2 * GIB}",
        "sys/fs/cgroup/memory.current": f"{GIB}",
    }
    assert free_memory(write(tmp_path, MACHINE | files)).size == GIB


def test_groups_of_version_1_are_asked_too(tmp_path):
    files = {
        "proc/self/cgroup": "12:cpu,cpuacct:/job\n7:memory:/job\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{GIB // 2}\n",
        "sys/fs/cgroup/memory/job/memory.stat": f"cache 3\ntotal_inactive_file {GIB // 4}\n",
    }
    assert free_memory(write(tmp_path, MACHINE | files)).size == GIB * 3 // 4


def test_what_does_not_fit_is_told_as_a_sum_with_what_to_set(tmp_path):
    square = product([(30_000, "users"), (30_000, "items")], "score.users lower")
    small = product([(10, "things")], "nothing")
    with pytest.raises(JobError) as told:
        check_memory(tmp_path, [small, square], FreeMemory(int(2.1 * GIB), "by memory.max"))
    assert str(told.value) == (
        f"{tmp_path}: does not fit into memory: 30,000 users x 30,000 items x 4 bytes = 3.4 GiB; 10 things x 4 bytes = "
        "0.0 KiB; 3.4 GiB in all, of 2.1 GiB that are free (by memory.max): set score.users lower"
    )


def test_what_fits_alone_and_not_together_is_refused(tmp_path):
    half = product([(600, "things")], "fewer things", 1 << 20)
    check_memory(tmp_path, [half], FreeMemory(GIB, "here"))
    with pytest.raises(JobError, match=r"1\.2 GiB in all, of 1\.0 GiB"):
        check_memory(tmp_path, [half, half], FreeMemory(GIB, "here"))


def test_sizes_are_told_in_the_unit_that_people_read():
    assert [readable(size) for size in (2048, 5 << 20, 3 * GIB)] == ["2.0 KiB", "5.0 MiB", "3.0 GiB"]


@pytest.mark.parametrize(
    ("task", "what"),
    [("relevance", r"pairs x \d+ tokens x 32 numbers x 2 layers x 8 states x 4 bytes = .*set train\.(batch|pairs)"),
     ("adapt", r"weights that read x 4 numbers x 4 bytes = .*set adapt\.layers lower, or leave out \[adapt\]"),
     ("retrieval", r"texts x \d tokens x 32 numbers x 4 bytes = .*set model\.max_tokens lower"),
     ("evaluate", r"texts x 32 numbers x 1 vectors x 4 bytes = .*set data\.catalogue lower")],
)  # fmt: skip
def test_a_job_over_pairs_that_does_not_fit_leaves_nothing_behind(place, capsys, monkeypatch, task, what):
    command, told = "evaluate" if task == "evaluate" else "fit", ["--set", "adapt={}"] if task == "adapt" else []
    # The weights fit, what is held beside them does not; or that does, and not what reading takes.
    left = iter([GIB] * (2 if task == "adapt" else 1) + [1000] * 9)
    task = {"evaluate": "retrieval", "adapt": "relevance"}.get(task, task)
    job = judged_job(place, task)
    write_gap(place / "bert")
    monkeypatch.setattr(memory_needs, "free_memory", lambda: FreeMemory(next(left), "of a small machine"))
    layers = ["--set", "train.layers=1"] if task == "retrieval" else []
    assert main([command, str(job), *layers, *told]) == 2
    assert re.search(what, capsys.readouterr().err)
    assert not (place / task).exists()


@pytest.mark.parametrize(
    ("override", "fit_before", "what"),
    [("score.links=1", 0, r"items x \d+ items x 8 bytes = .*set score\.link_items lower, or score\.links = 0"),
     ("score.links=0", 0, r"texts x \d+ tokens x 32 numbers x 4 bytes = .*set model\.max_tokens lower"),
     ("score.links=0", 1, r"users and items x 64 factors x 8 bytes = .*set score\.factors lower, or to 0"),
     ("mix.batch=8", 1, r"texts x \d+ texts x 8 bytes = .*set "),
     ("mix.batch=8", 2, r" trips x \d+ others x 23 features x 2 copies x 4 bytes = .*set mix\.trips or mix\.others lower")],
)  # fmt: skip
def test_a_next_item_job_that_does_not_fit_leaves_nothing_behind(
    tracked, capsys, monkeypatch, override, fit_before, what
):
    left = iter([GIB] * (1 + fit_before) + [500] * 9)
    monkeypatch.setattr(memory_needs, "free_memory", lambda: FreeMemory(next(left), "of a small machine"))
    assert main(["fit", str(tracked.path), "--set", override]) == 2
    assert re.search(what, capsys.readouterr().err)
    assert not (tracked.folder / "output").exists()


def judged_job(place: Path, task: str) -> Path:
    return write_job(place, task, write_rows(place / "pairs.csv", make_rows()), make_bert(place / "bert"))


LIMITED = """
import resource, sys
import mlflow, sklearn.metrics, torch, transformers  # what these take is not the job's
from trainer.__main__ import main
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.long
def test_a_model_too_large_for_what_a_shell_allows_is_refused_before_it_is_read(place):
    job = judged_job(place, "relevance")
    weights, numbers = place / "bert/model.safetensors", 60_000_000
    header = {"w": {"dtype": "F32", "shape": [numbers // 1000, 1000], "data_offsets": [0, 4 * numbers]}}
    told = json.dumps(header).encode()
    with weights.open("wb") as stream:
        stream.write(struct.pack("<Q", len(told)) + told)
        stream.truncate(8 + len(told) + 4 * numbers)  # a hole: the file takes no room
    command = [sys.executable, "-c", LIMITED, str(700 << 20), "fit", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "60,000,000 weights x 16 bytes = 915.5 MiB" in done.stderr
    assert "(by ulimit -v): set model to a smaller one, or train.layers or model.lora" in done.stderr
    assert not (place / "relevance").exists()


def test_a_disk_that_has_no_room_for_the_tuned_model_is_told_before_it_is_trained(tmp_path, monkeypatch, capsys):
    data = write_rows(tmp_path / "pairs.csv", make_rows())
    job = write_job(tmp_path, "relevance", data, make_bert(tmp_path / "bert"))
    monkeypatch.setattr(memory_needs, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert main(["fit", str(job), "--set", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]) == 2
    told = capsys.readouterr().err
    assert re.search(r"output = .*relevance: the tuned model takes 8\d.\d KiB, and 1.0 KiB are free on that disk", told)
    assert not (tmp_path / "mlflow.db").exists()

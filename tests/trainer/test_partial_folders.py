"""A killed job's half-filled folder goes with the next job; one that is being filled stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.fitting import fit
from trainer.data.partial_folders import filled_folder
from trainer.data.snapshot import check_unused, partial_folder
from trainer.errors import DataError
from trainer.jobs.schema import ModelJob
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

FILL = """
import sys, time
from pathlib import Path
from trainer.data.partial_folders import filled_folder
with filled_folder(Path(sys.argv[1])) as folder:
    (folder / "model.safetensors").write_bytes(b"half")
    print("filling", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def filler(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", FILL, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "filling\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_job_left_goes_and_what_another_fills_stays(tmp_path, filler):
    left = f".run.{filler.pid}.partial"
    for output in ("run", "another"):
        with filled_folder(tmp_path / output) as folder:
            assert names(tmp_path) == {left, folder.name}
    filler.send_signal(signal.SIGKILL)
    filler.wait()
    assert names(tmp_path) == {left}
    with filled_folder(tmp_path / "another") as folder:
        assert names(tmp_path) == {folder.name}
    assert names(tmp_path) == set()


def test_a_second_job_of_one_output_is_refused_at_the_start(tmp_path, filler):
    with pytest.raises(DataError, match="run: another process is writing it already"), partial_folder(tmp_path / "run"):
        pass
    filler.kill()
    filler.wait()
    with partial_folder(tmp_path / "run"):
        pass


def test_a_leftover_of_the_same_number_is_in_nobodys_way(tmp_path):
    """Every container calls its first process 1."""
    (tmp_path / f".run.{os.getpid()}.partial" / "model").mkdir(parents=True)
    with filled_folder(tmp_path / "run") as folder:
        assert names(folder) == set()


def test_only_folders_that_are_named_so_are_taken_for_leftovers(tmp_path):
    (tmp_path / ".run.old.partial").mkdir()
    (tmp_path / "run.7.partial").mkdir()
    (tmp_path / ".result.7.partial").write_text("a file")
    (tmp_path / "kept").mkdir()
    (tmp_path / ".link.7.partial").symlink_to(tmp_path / "kept")
    before = names(tmp_path)
    with filled_folder(tmp_path / "run"):
        pass
    assert names(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="run: cannot be made"), filled_folder(tmp_path / "file" / "run"):
        pass


def test_a_link_that_leads_nowhere_is_no_free_place(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="run: exists already"):
        check_unused(tmp_path / "run")


def test_the_next_fit_removes_what_a_killed_one_left(tracked):
    left = tracked.folder / ".elsewhere.1.partial"
    (left / "model").mkdir(parents=True)
    assert fit(tracked.path) == 0
    assert not left.exists()


def test_half_a_cache_file_goes_once_nobody_can_still_write_it(tmp_path, model_folder):
    old, new = tmp_path / "frozen-a.7.partial", tmp_path / "frozen-b.8.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    encoder = TextEncoder(find_source(ModelJob(folder=model_folder)), trained_layers=1, max_tokens=16)
    encoder.run_untrained(["MILK"], tmp_path)
    (kept,) = names(tmp_path) - {new.name}
    assert kept.endswith(".safetensors")

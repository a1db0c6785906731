"""Logs of any size: their last lines, what is kept of them, and the room they take while they grow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.executors import job_logs

LIMIT = 100_000


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "log"


def test_the_last_lines_are_the_last_lines(log):
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert job_logs.last_lines(log, 3) == "line 97\nline 98\nline 99"


@pytest.mark.parametrize("content", [b"", b"\n", b"one", b"\xff\xfe broken", b"a\r\nb\rc"])
def test_any_bytes_have_last_lines(log, content):
    log.write_bytes(content)
    assert job_logs.last_lines(log, 20) == "\n".join(content.decode(errors="replace").splitlines())


def test_a_long_line_is_cut_to_its_end(log):
    log.write_text("x" * 100_000 + "the end")
    assert job_logs.last_lines(log, 20).endswith("xthe end")
    assert len(job_logs.last_lines(log, 20)) < 600


def test_a_log_within_the_limit_is_kept_as_it_is(log):
    log.write_bytes(b"x" * LIMIT)
    with job_logs.within(log, LIMIT) as kept:
        assert kept == log


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 100, 10 * LIMIT])
def test_of_a_longer_log_the_beginning_and_the_end_are_kept_with_how_much_is_left_out(log, size):
    log.write_bytes(b"first line\n" + b"m" * (size - 20) + b"\nthe end\n")
    with job_logs.within(log, LIMIT) as kept:
        text = kept.read_bytes()
        assert kept.name == "log"
    assert not kept.exists()
    assert LIMIT - 20 <= len(text) <= LIMIT
    assert text.startswith(b"first line\n")
    assert text.endswith(b"\nthe end\n")
    left_out = int(text.split(b" bytes were left out here (job.log_limit)")[0].split()[-1])
    gap = len(b"\n\n... %d bytes were left out here (job.log_limit) ...\n\n" % left_out)
    assert len(text) - gap + left_out == log.stat().st_size


def test_the_middle_of_a_log_that_grows_without_end_is_given_back_to_the_disk(log):
    with log.open("ab") as growing:
        growing.write(b"begin\n" + b"x" * (30 * LIMIT) + b"\n")
        growing.flush()
        before = log.stat().st_blocks
        assert job_logs.make_room(log, LIMIT)
        assert log.stat().st_blocks < before / 2
        assert not job_logs.make_room(log, LIMIT)
        growing.write(b"the end\n")
    assert log.read_bytes().startswith(b"begin\nxxx")
    assert job_logs.last_lines(log, 1) == "the end"
    with job_logs.within(log, LIMIT) as kept:
        assert b"\x00" not in kept.read_bytes()


def test_a_log_that_is_not_there_needs_no_room(log):
    assert not job_logs.make_room(log, LIMIT)


_MEASURE = """
import resource, sys
from pathlib import Path
from bot.executors import job_logs

def kilobytes(name):  # not ru_maxrss, which a child inherits from the process that forked it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

path = Path(sys.argv[1])
with path.open("wb") as log:
    log.write(b"begin\\n")
    log.seek(1_000_000_000)
    log.write(b"x" * 3_000_000 + b"\\nlast words\\n")
limit = kilobytes("VmPeak") * 1024 + 300_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = kilobytes("VmHWM")
assert job_logs.last_lines(path, 1) == "last words"
with job_logs.within(path, 10_000_000) as kept:
    assert kept.stat().st_size <= 10_000_000
print((kilobytes("VmHWM") - before) // 1024)
"""


def test_a_log_of_a_gigabyte_takes_few_megabytes_of_memory(log):
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(log)], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 20


def test_what_is_no_file_any_more_is_not_waited_for(log):
    os.mkfifo(log)
    with pytest.raises(OSError, match="no file any more"):
        job_logs.last_lines(log, 1)
    with pytest.raises(OSError, match="no file any more"), job_logs.within(log, LIMIT):
        pass

"""Data read by another process while this one loads torch: the same rows, the same sentences, and no process left."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.fitting import fit, result_of
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.environment import usable_cores

two_cores = pytest.mark.skipif(
    sys.platform != "linux" or usable_cores() < 2, reason="another process reads where another core may"
)

# Read in a process without torch, as the command line is one.
BEGINNING = """
import os, signal, sys, time
from pathlib import Path
from trainer.data.reading_ahead import reading_ahead
from trainer.errors import DataError

def read(settings):
    sys.stderr.write(f"reads {settings}\\n")
    if settings == "none":
        raise DataError("none: is no table")
    if settings == "broken":
        raise MemoryError
    return settings, os.getpid()
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BEGINNING + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@two_cores
def test_another_process_reads_and_what_it_says_is_said_once_its_rows_are_wanted():
    done = run("""
with reading_ahead("a.csv", read, None) as ahead:
    time.sleep(0.5)
    sys.stderr.write("wants it\\n")
    found, by = ahead.take("a.csv")
    print(found, by != os.getpid())
""")
    assert done.stdout == "a.csv True\n"
    assert done.stderr == "wants it\nreads a.csv\n"


REFUSING = """
def refuse():
    raise BlockingIOError
os.fork = refuse
"""


@two_cores
@pytest.mark.parametrize(
    ("before", "threads", "wanted"),
    [
        ("", None, "b.csv"),
        ("", 1, "a.csv"),
        ('sys.modules["torch"] = sys', 2, "a.csv"),
        (REFUSING, 2, "a.csv"),
        ("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", 2, "a.csv"),
    ],
    ids=["other settings", "one thread", "torch is loaded", "no more processes", "the ends of children are ignored"],
)
def test_what_no_other_process_has_read_is_read_here(before, threads, wanted):
    done = run(f"""
{before}
with reading_ahead("a.csv", read, {threads}) as ahead:
    found, by = ahead.take("{wanted}")
    print(found, by == os.getpid())
""")
    assert done.stdout == f"{wanted} True\n"
    assert done.stderr == f"reads {wanted}\n"


@two_cores
def test_what_is_refused_is_refused_here_in_the_same_words():
    done = run("""
try:
    with reading_ahead("none", read, None) as ahead:
        ahead.take("none")
except DataError as error:
    print(error)
""")
    assert done.stdout == "none: is no table\n"
    assert done.stderr == "reads none\n"


@two_cores
def test_what_breaks_there_breaks_here_as_if_it_had_been_read_here():
    done = run("""
try:
    with reading_ahead("broken", read, None) as ahead:
        ahead.take("broken")
except MemoryError:
    print("too large")
""")
    assert done.stdout == "too large\n"


CHILDREN = """
def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

def sleep(settings):
    time.sleep(60)
"""


@two_cores
def test_a_process_that_is_killed_while_it_reads_is_replaced_by_this_one():
    done = run(
        CHILDREN
        + """
first = os.getpid()
def read_slowly(settings):
    if os.getpid() != first:
        time.sleep(60)
    return settings
with reading_ahead("a.csv", read_slowly, None) as ahead:
    os.kill(int(children()[0]), signal.SIGKILL)
    print(ahead.take("a.csv"), children())
"""
    )
    assert done.stdout.startswith("a.csv")


@two_cores
def test_no_process_is_left_where_nothing_was_taken():
    done = run(
        CHILDREN
        + """
with reading_ahead("a.csv", sleep, None):
    print(len(children()))
print(len(children()))
"""
    )
    assert done.stdout == "1\n0\n"


@two_cores
def test_what_the_other_process_writes_by_the_way_goes_with_it_where_nothing_was_taken(tmp_path):
    done = run(
        """
import tempfile
os.environ["TMPDIR"] = sys.argv[1]
def write(settings):
    tempfile.mkdtemp(prefix="made-")
    time.sleep(60)
with reading_ahead("a.csv", write, None):
    while not list(Path(sys.argv[1]).rglob("made-*")):
        time.sleep(0.01)
print("seen")
""",
        str(tmp_path),
    )
    assert done.stdout == "seen\n"
    assert list(tmp_path.iterdir()) == []


@two_cores
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_other_process_ends_with_this_one(number):
    code = (
        CHILDREN
        + """
from trainer.stopping import stoppable
with stoppable(), reading_ahead("a.csv", sleep, None) as ahead:
    print(children()[0], flush=True)
    ahead.take("a.csv")
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", BEGINNING + code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as job:
        assert job.stdout is not None
        other = int(job.stdout.readline())
        job.send_signal(number)
        job.wait(20)
    assert is_gone(other)


def is_gone(process: int) -> bool:
    for _ in range(200):
        if not Path(f"/proc/{process}").exists():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


FORKS = """
import os, sys
from trainer.__main__ import main
fork, forks = os.fork, []
os.fork = lambda: forks.append(1) or fork()
code = main(sys.argv[1:])
print("forks", len(forks))
sys.exit(code)
"""


def fit_alone(job: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    words = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-c", FORKS, "fit", str(job), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


SAME = ("threads=2", "train.epochs=1")


@two_cores
def test_a_fit_whose_pairs_another_process_read_is_the_same_to_the_bit(place, bert):
    job = write_job(place, "relevance", write_rows(place / "pairs.csv", make_rows(by_colour=True)), bert)
    assert fit(job, *SAME, f"output={place}/here") == 0  # torch is loaded in this process
    done = fit_alone(job, *SAME, f"output={place}/ahead")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "forks 1")
    assert learnt(place / "ahead") == learnt(place / "here")


@two_cores
@pytest.mark.long
def test_a_fit_whose_purchases_another_process_read_is_the_same_to_the_bit(tracked):
    assert fit(tracked.path, *SAME, f"output={tracked.folder}/here") == 0
    done = fit_alone(tracked.path, *SAME, f"output={tracked.folder}/ahead")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "forks 1")
    assert learnt(tracked.folder / "ahead") == learnt(tracked.folder / "here")


def learnt(folder: Path) -> tuple[object, ...]:
    """Return what was learnt and measured, apart from what a clock measured."""
    told = result_of(folder)
    metrics = {name: value for name, value in told["metrics"].items() if not name.startswith("ms_")}
    weights = {path.name: path.read_bytes() for path in (folder / "model").rglob("*.safetensors")}
    assert weights
    return told["data_hash"], metrics, weights, (folder / "data_card.json").read_text()


@two_cores
def test_a_table_that_another_process_refuses_ends_the_job_with_two_and_one_sentence(place, bert):
    data = write_rows(place / "pairs.csv", make_rows(by_colour=True))
    data.write_text(data.read_text().replace("grade", "mark", 1))
    done = fit_alone(write_job(place, "relevance", data, bert), "threads=2")
    assert (done.returncode, done.stdout) == (2, "forks 1\n")
    assert [line for line in done.stderr.splitlines() if "grade" in line] == done.stderr.splitlines()
    assert done.stderr.startswith(f"trainer: {data}: ")
    assert not (place / "relevance").exists()

"""A caller may close standard input, output or error: no file of ours becomes one of them."""

import subprocess
import sys

import pytest

PROBE = """
import os, subprocess, sys
from {module} import hold_standard_streams
hold_standard_streams()
print("printed")
with open({path!r}, "w") as opened:
    opened.write(str(opened.fileno() > 2))
    opened.flush()
    subprocess.run([sys.executable, "-S", "-c", "import os; os.write(1, b'x'); os.write(2, b'x')"], check=True)
"""


@pytest.mark.parametrize("module", ["bot.runtime.standard_streams", "trainer.cli.standard_streams"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_is_nothing_and_no_file_that_is_opened_later(tmp_path, module, closed):
    path = tmp_path / "state"
    code = PROBE.format(module=module, path=str(path))
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code], check=False, timeout=60)
    assert (done.returncode, path.read_text()) == (0, "True")

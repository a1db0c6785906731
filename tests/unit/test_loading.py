"""What `herald serve` imports beside its first rounds breaks nothing that these ask of the state."""

from __future__ import annotations

import subprocess
import sys

_ASKED_IN_THE_MIDST = """
import sys
import threading

import bot.serve.loading
from bot.domain.fires import FireState
from bot.store.tables import fires

failures = []

def ask():
    try:
        fires.c.state == FireState.DUE
    except Exception as error:
        failures.append(repr(error))

class InTheMidst:
    def find_spec(self, name, *_):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()

sys.meta_path.insert(0, InTheMidst())
loading = threading.Thread(target=lambda: __import__("sqlalchemy.orm"))
loading.start()
loading.join()
print(failures)
"""


def test_a_round_may_ask_the_state_at_any_moment_of_what_is_imported_beside_it():
    command = [sys.executable, "-c", _ASKED_IN_THE_MIDST]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr

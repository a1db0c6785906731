"""What is imported when it is first needed, and what is kept from being imported at all."""

from __future__ import annotations

import sys
import threading
import time
from importlib import import_module
from pathlib import Path

import pytest

from bot.runtime.late_imports import LateImport
from bot.runtime.left_out import left_out


def test_what_is_imported_late_is_imported_once_by_the_thread_that_loads_though_many_ask_at_once():
    importing: list[str] = []

    def load() -> None:
        importing.append(threading.current_thread().name)
        time.sleep(0.05)

    late = LateImport(load)
    asking = [threading.Thread(target=late.ensure, name=f"delivery{number}") for number in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    late.ensure()
    assert importing == ["loading"]


def test_what_keeps_it_from_being_imported_is_raised_where_it_is_needed_until_it_is_mended():
    broken = [True]

    def load() -> None:
        if broken:
            raise ImportError("no room")

    late = LateImport(load)
    for _ in range(2):
        with pytest.raises(ImportError, match="no room"):
            late.ensure()
    broken.clear()
    late.ensure()
    assert late.is_there


def test_a_library_that_is_left_out_seems_not_installed_until_the_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "large_frames.py").write_text("ROWS = 3")
    monkeypatch.syspath_prepend(str(tmp_path))
    with left_out("large_frames"), pytest.raises(ModuleNotFoundError, match="large_frames"):
        import_module("large_frames")
    assert import_module("large_frames").ROWS == 3
    with left_out("large_frames"):
        assert import_module("large_frames").ROWS == 3  # what is there already stays
    del sys.modules["large_frames"]

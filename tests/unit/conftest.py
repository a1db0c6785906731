"""What tests of single rooms share: one sandbox a module, and charts that are not drawn."""

from collections.abc import Iterator

import pytest

from bot.sandbox import RunningSandbox, serve


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    """Charts have tests of their own, and take most of the time."""
    monkeypatch.setattr("bot.delivery.attachments.draw_history", lambda chart: chart.filename.encode())


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with serve(None) as running:
        yield running


@pytest.fixture
def box(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    yield shared_sandbox
    shared_sandbox.calm()

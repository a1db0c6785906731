"""What tests of single rooms share: one sandbox a module, and charts that are not drawn."""

from collections.abc import Iterator

import pytest

from bot.sandbox import RunningSandbox, serve


@pytest.fixture(autouse=True, scope="module")  # before all that a module's tests share
def no_drawing() -> Iterator[None]:
    """Charts have tests of their own, and take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.delivery.attachments.draw_history", lambda chart: chart.filename.encode())
        yield


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with serve(None) as running:
        yield running


@pytest.fixture
def box(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    yield shared_sandbox
    shared_sandbox.calm()

"""What tests of single rooms share: one sandbox a module, and charts that are not drawn."""

from collections.abc import Iterator

import pytest

from bot.sandbox import RunningSandbox, serve
from tests.undrawn_charts import no_drawing  # noqa: F401  for all of this folder


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with serve(None) as running:
        yield running


@pytest.fixture
def box(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    yield shared_sandbox
    shared_sandbox.calm()

"""Charts that are not drawn: drawing takes most of the time of a page, and has tests of its own."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")  # before all that a module's tests share
def no_drawing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.delivery.attachments.draw_history", lambda chart: chart.filename.encode())
        yield

"""Three Heralds of which one leads, in little: a whole run is `make chaos`."""

import pytest

from tests.chaos.leaders import storm

pytestmark = [pytest.mark.long, pytest.mark.external_service]


def test_whatever_is_killed_paused_or_cut_off_nothing_is_written_in_an_old_epoch(tmp_path):
    came = storm(12, 3, tmp_path, None, 1.0)
    assert came.is_well, (came.twice, came.stale, came.score, came.broken)
    assert came.fires > 4
    assert came.written > 50

"""Three Heralds of which one leads, in little: a whole run is `make chaos`."""

import pytest

from tests.chaos.leaders import storm

pytestmark = [pytest.mark.long, pytest.mark.external_service]


def test_whatever_is_killed_paused_or_cut_off_nothing_is_written_in_an_old_epoch(tmp_path):
    came = storm(14, 3, tmp_path, None, 1.0)
    assert came.is_well, (came.twice, came.audit, came.score, came.broken)
    assert came.incidents > 3
    assert came.audit.written > 50


def test_the_storm_finds_out_a_herald_that_writes_without_a_fence(tmp_path):
    came = storm(14, 3, tmp_path, "fence", 1.0)
    assert came.audit.passed_late > 0, came

"""Twenty fits of the real trainer that differ by their seeds alone: what the judge says of the last ten."""

import pytest

from bench.reruns import RERUNS, told_of
from trainer.run import run_job

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]


def test_reruns_of_other_seeds_are_not_called_worse_and_a_small_lasting_change_is_seen(tracked):
    """A smaller cut of `bench/reruns.py`: `make decoder` runs it, for twenty fits take half a minute."""
    jobs = [tracked.job(f"seed={seed}", f"output={tracked.folder / str(seed)}") for seed in range(1, 2 * RERUNS + 1)]
    values = [run_job(job, "fit").result.metrics["ndcg_at_10"] for job in jobs]
    assert len(set(values)) > RERUNS, "seeds differ"
    told = told_of(values, "ndcg_at_10", orders=100)
    assert told.regressed <= 2, "of a hundred orders"
    assert told.suspicious <= 0.1, "of ten reruns"
    small, larger = told.after
    assert len(small) >= 40, "of a hundred orders in which the last ten are 1.5 spreads lower"
    assert len(larger) >= 95, "of a hundred orders in which they are 3 spreads lower"

"""What candidates come to over several fits: intervals over seeds and questions, and what of the bars is reached."""

import pytest

from bench.compress_bars import BARS, across, as_json, candidates_of, table
from trainer.compression.gate import Measured
from trainer.compression.timing import Pace
from trainer.measures.bootstrap import Interval


def measured(name, quality, lost=0.0, *, times=1.0, whole=1.0, alone=0.4):
    between = None if name == "original" else Interval(lost - 0.002, lost + 0.002)
    cost = (1.0, 10.0, 100.0 * times, times, 20.0, 3.0)
    metrics = {"vectors/ndcg_at_10": alone, "bm25/ndcg_at_10": 0.45}
    return Measured(name, quality, lost, between, *cost, metrics, Pace(50.0 * whole, whole, whole))


def fits(name, losses, **more):
    return [(measured("original", 0.5), measured(name, 0.5 - lost, lost, **more)) for lost in losses]


def test_one_fit_has_the_interval_of_its_questions_and_several_that_of_seeds_beside():
    one = across([0.5], [0.4], [0.7])
    assert (one.mean, one.low, one.high) == pytest.approx((0.5, 0.4, 0.7))
    three = across([0.4, 0.5, 0.6], [0.4, 0.5, 0.6], [0.4, 0.5, 0.6])
    # Student's quantile of two degrees of freedom is 4.30: of three seeds alone little is sure.
    assert three.high - three.mean == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    both = across([0.4, 0.5, 0.6], [0.3, 0.4, 0.5], [0.5, 0.6, 0.7])
    assert both.mean - both.low == pytest.approx((0.1**2 + (three.mean - three.low) ** 2) ** 0.5)


def test_a_bar_is_reached_by_the_mean_and_surely_by_the_intervals_worse_end():
    def verdict(task, found):
        (one,) = candidates_of(task, found)
        told = one.verdict()
        return told["reached"], told["reached_surely"]

    assert verdict("retrieval", fits("static", [0.02, 0.02, 0.02], times=60)) == (True, True)
    assert verdict("retrieval", fits("static", [0.03, 0.04, 0.06], times=60)) == (True, False)
    assert verdict("retrieval", fits("static", [0.02, 0.02, 0.02], times=49)) == (False, False)
    # Of int8 whole answers count, whatever 64 mixed pairs take.
    assert verdict("relevance", fits("int8", [0.0, 0.001, 0.001], times=1.2, whole=1.6)) == (True, False)
    assert verdict("relevance", fits("int8", [0.0, 0.0, 0.0], times=1.6, whole=1.4)) == (False, False)
    assert ("retrieval", "half") not in BARS


def test_the_table_has_the_vectors_alone_beside_the_fused_share():
    header, original, static = table("retrieval", "ndcg_at_10", fits("static", [0.02, 0.02, 0.02], times=60, alone=0.2))
    assert header[2:5] == ("share kept, 95 %", "vectors alone", "share kept")
    assert original[:5] == ("original", "0.5000", "", "0.4000", "")
    assert static[:5] == ("static", "0.4800", "0.960 (0.956 to 0.964)", "0.2000", "0.500")
    assert static[-1] == "surely"
    told = as_json("retrieval", "ndcg_at_10", fits("static", [0.02], times=60))["retrieval, static"]
    assert (told["ratio"], told["bm25_alone"], len(told["fits"])) == (60, 0.45, 1)

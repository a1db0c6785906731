"""The picture of a metric's history."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest
from render_samples import chart

from bot.charts import chart_filename, draw_history
from bot.domain.judge.findings import Outcome


def size(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_same_chart_gives_the_same_bytes_and_nothing_of_the_clock():
    assert draw_history(chart()) == draw_history(chart())
    assert b"tEXt" not in draw_history(chart())


def test_it_is_a_picture_of_twice_the_size_it_is_shown_at():
    png = draw_history(chart())
    assert png.startswith(b"\x89PNG")
    assert size(png) == (1800, 720)


def test_the_filename_follows_what_is_shown():
    name = chart_filename(chart())
    assert name == chart_filename(replace(chart(), filename="other.png"))
    assert name != chart_filename(replace(chart(), band=0.004))
    assert name.startswith("history-")
    assert name.endswith(".png")


def test_outcomes_can_be_told_apart():
    pictures = {
        draw_history(replace(chart(), outcomes=(*chart().outcomes[:-1], outcome)))
        for outcome in (Outcome.OK, Outcome.IMPROVED, Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.INVALID)
    }
    assert len(pictures) == 5


@pytest.mark.parametrize(
    "odd",
    [
        replace(chart(), values=(0.17, math.nan, math.inf, -math.inf, 0.17)),
        replace(chart(), values=(math.nan,) * 5, baseline=None, band=None),
        replace(chart(), baseline=math.nan, band=math.inf),
        replace(chart(), labels=(), values=(), outcomes=(), baseline=None, band=None),
        replace(chart(), labels=("x",), values=(1.0,), outcomes=(None,)),
        replace(chart(), labels=("$x$", "排序\x00", "a" * 100_000, "\ud800", "$\\frac{"), metric="$\\undefined{排序"),
        replace(chart(), labels=("n",) * 500, values=(0.1,) * 500, outcomes=(Outcome.OK,) * 500),
    ],
    ids=["no numbers", "none at all", "no baseline", "no runs", "one run", "hostile names", "many runs"],
)
def test_it_draws_whatever_it_is_given(odd):
    assert size(draw_history(odd)) == (1800, 720)


def test_matplotlib_is_not_loaded_before_something_is_drawn():
    code = "import sys, bot.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

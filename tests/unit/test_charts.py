"""The picture of a metric's history."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from bot.domain.judge.findings import Outcome
from bot.preview.samples import chart
from bot.render.charts import chart_filename, draw_history


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
    code = "import sys, bot.render.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


HUGEST = 1.7976931348623157e308


@pytest.mark.parametrize(
    "values",
    [
        (math.inf, math.nan, -math.inf),
        (HUGEST, -HUGEST, 0.3),
        (1e60, -1e60),
        (1e60,) * 3,
        (5e-324, -5e-324, 0.0),
        (0.3,),
        (0.3,) * 5,
        (1e17, 1e17 + 16),
        tuple(float(number) for number in range(10_000)),
        (),
    ],
    ids=lambda values: f"{len(values)} from {values[:1]}",
)
def test_values_of_any_size_are_drawn_or_left_out(values):
    for baseline, band in ((HUGEST, math.inf), (1e60, 1e60), (5e-324, 0.0), (math.nan, 0.1)):
        labels = tuple(f"run {number}" for number in range(len(values)))
        odd = replace(chart(), labels=labels, values=values, outcomes=(Outcome.OK,) * len(values))
        assert draw_history(replace(odd, baseline=baseline, band=band)).startswith(b"\x89PNG")


def test_names_of_any_letters_are_drawn():
    for name in ("$x^", "a\nb", "\ud800", "中文" * 50, "x" * 5000, "\x00", r"$\frac{", ""):
        odd = replace(chart(), metric=name, labels=(name,) * len(chart().labels))
        assert draw_history(odd).startswith(b"\x89PNG")
        assert chart_filename(odd)

"""The picture of a metric's history."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from bot.domain.judge.findings import Outcome
from bot.domain.views import ChartMark, ChartMarkKind, ChartPart, ChartView
from bot.preview import samples
from bot.render.chart_panels import each_day_once, labels_of
from bot.render.charts import chart_filename, draw_history


def chart() -> ChartView:
    """Return the history of one metric, without anything around it."""
    return replace(samples.chart(), also=(), parts=(), dates=(), marks=(), since=None)


def size(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_same_chart_gives_the_same_bytes_and_nothing_of_the_clock():
    assert draw_history(chart()) == draw_history(chart())
    assert b"tEXt" not in draw_history(chart())


def test_it_is_a_picture_of_twice_the_size_it_is_shown_at():
    png = draw_history(chart())
    assert png.startswith(b"\x89PNG")
    assert size(png) == (1800, 720)


def test_metrics_that_fell_together_stand_two_in_a_row_above_the_parts_that_lost_most():
    one, parts = chart(), samples.chart().parts
    assert [size(draw_history(each))[1] // 2 for each in (
        replace(one, also=(one,) * 2), replace(one, parts=parts)
    )] == [480, 478]  # fmt: skip
    hostile = ChartPart("品类 = $x^\x00", math.nan, math.inf, 1e308), ChartPart("", 9.0, 0.0, 0.0)
    assert draw_history(replace(one, parts=hostile)).startswith(b"\x89PNG")


def test_what_happened_meanwhile_is_drawn_and_what_lies_outside_is_left_out():
    marked = [replace(chart(), marks=(ChartMark(3, kind),)) for kind in ChartMarkKind]
    pictures = {draw_history(each) for each in (chart(), replace(chart(), since=3), *marked)}
    assert len(pictures) == 6
    long = replace(chart(), labels=("n",) * 70, values=(0.1,) * 70, outcomes=(Outcome.OK,) * 70)
    assert draw_history(long) == draw_history(replace(long, marks=(ChartMark(2, ChartMarkKind.OPENED),), since=None))


@pytest.mark.parametrize(
    ("names", "dates", "shown"),
    [
        (("a", "b", "c"), ("2026-11-20 04:30", "2026-11-21 04:30", "2026-11-22 04:30"), ["a", "b", "c"]),
        (
            ("nightly", "nightly", "c"),
            ("2026-11-20 04:30", "2026-11-21 04:30", "2026-11-22 04:30"),
            ["11-20", "11-21", "11-22"],
        ),
        (
            ("a name that is far too long", "b", "c"),
            ("2025-12-30 04:30", "2025-12-31 04:30", "2026-01-01 04:30"),
            ["2025-12-30", "2025-12-31", "2026-01-01"],
        ),
        (
            ("夜间", "b", "c"),
            ("2026-11-20 04:30", "2026-11-20 05:30", "2026-11-21 04:30"),
            ["11-20\n04:30", "11-20\n05:30", "11-21\n04:30"],
        ),
        (("nightly", "nightly"), (), ["nightly", "nightly"]),
    ],
    ids=["names", "names that repeat", "names that do not fit, over years", "more than one a day", "no dates"],
)
def test_runs_are_named_by_their_dates_where_their_names_repeat_or_do_not_fit(names, dates, shown):
    assert labels_of(replace(chart(), labels=names, dates=dates)) == shown


def test_runs_of_one_day_name_it_once():
    labels = ["11-29\n08:00", "11-29\n20:00", "11-30\n08:00", "run 7", "run 7"]
    assert each_day_once(labels) == ["11-29\n08:00", "\n20:00", "11-30\n08:00", "run 7", "run 7"]


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

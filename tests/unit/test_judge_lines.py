"""Anyone's numbers in, findings out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bot.domain.judge import Outcome, Reason
from bot.domain.policy import MinEffect, Preset
from bot.judge_lines import (
    LinesError,
    judge_csv,
    judge_lines,
    main,
    print_table,
    say_briefly,
    sparkline,
)

RANDOM = np.random.default_rng(0)
FALLING = [*(0.5 + 0.01 * RANDOM.standard_normal(20)), *(0.45 + 0.01 * RANDOM.standard_normal(8))]


def answer(record, **options):
    return json.loads(next(judge_lines([json.dumps(record)], preset=Preset.QUIET, **options)))


def test_an_online_line_is_answered_with_its_one_alert_and_where_it_began():
    said = answer({"id": "a", "values": FALLING, "higher_is_better": True})
    assert said["id"] == "a"
    assert len(said["alerts"]) == 1
    assert said["alerts"][0] in range(21, 25)
    assert said["changes"] == [20]


def test_a_fall_of_a_metric_that_should_be_low_is_no_alert():
    assert answer({"id": "a", "values": FALLING, "higher_is_better": False})["alerts"] == []


def test_missing_values_are_passed_over_and_keep_their_place():
    holed = [*FALLING[:3], None, float("nan"), *FALLING[3:]]
    assert answer({"id": "a", "values": holed})["changes"] == [22]


def test_nothing_is_told_below_the_smallest_effect():
    assert answer({"id": "a", "values": FALLING}, min_effect=MinEffect(0.5))["alerts"] == []


def test_an_offline_line_is_answered_with_change_points():
    assert answer({"id": 1, "values": FALLING, "mode": "offline"}) == {"id": 1, "change_points": [20]}


def test_a_paired_line_names_the_slices_that_fell():
    baseline = RANDOM.random(400)
    candidate = baseline + RANDOM.normal(0, 0.02, 400)
    candidate[:40] -= 0.1
    slices = {"bad": list(range(40)), "good": list(range(40, 400)), "one": [0]}
    record = {"id": 1, "baseline": baseline.tolist(), "candidate": candidate.tolist(), "slices": slices}
    assert answer(record) == {"id": 1, "regressed": True, "slices": ["bad"]}
    assert answer({**record, "higher_is_better": False}) == {"id": 1, "regressed": False, "slices": []}


def test_too_few_pairs_say_nothing():
    assert answer({"id": 1, "baseline": [1.0], "candidate": [0.5]}) == {"id": 1, "regressed": False, "slices": []}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "line 1: not JSON"),
        ("[1]", "line 1: expected an object"),
        ('{"id": 1}', "line 1: key 'values' is missing"),
        ('{"values": ["x"]}', "line 1: could not convert"),
        ('{"baseline": [1, 2], "candidate": [1]}', "line 1: 2 rows of baseline but 1 of candidate"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, told):
    with pytest.raises(LinesError, match=told.replace("(", r"\(")):
        list(judge_lines([line], preset=Preset.QUIET))


def test_empty_lines_are_skipped():
    assert list(judge_lines(["", " \n"], preset=Preset.QUIET)) == []


def test_csv_columns_are_judged_each_in_the_order_of_their_time():
    rows = [f"2026-01-{i + 1:02},{value},{1 - value},note" for i, value in enumerate(FALLING)]
    late = [rows[5], *rows[:5], *rows[6:]]
    judged = judge_csv(["date,ndcg,error,text", *late], preset=Preset.QUIET, lower_is_better=["error"])
    assert [series.metric for series in judged] == ["ndcg", "error"]
    assert all(series.findings[-1].outcome is Outcome.REGRESSED for series in judged)
    assert judged[0].values == tuple(FALLING)


def test_a_value_logged_again_for_the_same_time_replaces_the_first():
    judged = judge_csv(["step,m", "1,5", "2,6", "1,7"], preset=Preset.QUIET)
    assert judged[0].values == (7.0, 6.0)
    assert judged[0].order == ("1", "2")


def test_empty_cells_are_missing_values():
    judged = judge_csv(["m,empty", "1,", ",", "2,"], preset=Preset.QUIET)
    assert [series.metric for series in judged] == ["m"]
    assert judged[0].findings[1].reason is Reason.MISSING


@pytest.mark.parametrize(
    ("lines", "options", "told"),
    [
        ([], {}, "no column of numbers"),
        (["a", "x"], {}, "no column of numbers"),
        (["time,m", "soon,1"], {}, "column 'time'"),
        (["m", "1"], {"lower_is_better": ["n"]}, "no column 'n'; there are 'm'"),
    ],
)
def test_a_csv_that_cannot_be_read_is_explained(lines, options, told):
    with pytest.raises(LinesError, match=told):
        judge_csv(lines, preset=Preset.QUIET, **options)


def test_a_sparkline_shows_the_newest_values_and_gaps():
    assert sparkline([0, 1, None, 7]) == "▁▂ █"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([None]) == " "
    assert len(sparkline(list(range(100)), width=10)) == 10


def test_the_table_shows_history_marks_and_words(capsys):
    judged = judge_csv(["ndcg", *map(str, FALLING)], preset=Preset.QUIET)
    print_table(judged, say_briefly)
    printed = capsys.readouterr().out
    assert "ndcg" in printed
    assert "regressed" in printed
    assert "v" in printed


def test_words_without_numbers_are_just_the_reason():
    judged = judge_csv(["m,n", "1,1", ",2"], preset=Preset.QUIET)
    assert say_briefly(judged[0].findings[-1]) == "missing"
    print_table(judged, say_briefly)


def test_the_program_answers_lines_and_tables(tmp_path, capsys):
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"id": 7, "values": FALLING}) + "\n", encoding="utf-8")
    assert main(["--format", "jsonl", str(lines)]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == 7
    table = tmp_path / "table.csv"
    table.write_text("ndcg\n" + "\n".join(map(str, FALLING)), encoding="utf-8")
    assert main(["--format", "csv", str(table)]) == 0
    assert "ndcg" in capsys.readouterr().out
    assert main([str(tmp_path / "absent")]) == 2
    assert "absent" in capsys.readouterr().err

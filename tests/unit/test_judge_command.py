"""Anyone's numbers in, findings out."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from bot.cli.judge_answers import judge_csv, judge_lines
from bot.cli.judge_input import JudgeInputError, bounded, read_min_effect
from bot.cli.main import app
from bot.cli.output.judge import print_table
from bot.cli.output.sparklines import sparkline
from bot.config.values import Effect
from bot.domain.judge import Outcome, Reason
from bot.domain.policy import MinEffect, Preset

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
    said = answer({"id": 1, "values": FALLING, "mode": "offline"})
    assert said["change_points"] == [20]
    (change,) = said["finding"]["changes"]
    assert change["change_95"][0] < change["change"] < change["change_95"][1] < 0
    assert change["relative"] == pytest.approx(-0.1, abs=0.02)
    assert "with run 20 from 0.4982 to 0.4503 (" in said["sentence"]


@pytest.mark.parametrize("values", [[1.0] * 3, [1.0, None, 2.0], [0.0] * 12, list(range(12)), []])
def test_a_whole_series_without_a_change_says_so(values):
    said = answer({"id": 1, "values": values, "mode": "offline"})
    assert said["change_points"] == []
    assert re.search("no lasting change|too little to go by", said["sentence"])


def test_a_paired_line_names_the_slices_that_fell():
    baseline = RANDOM.random(400)
    candidate = baseline + RANDOM.normal(0, 0.02, 400)
    candidate[:40] -= 0.1
    slices = {"bad": list(range(40)), "good": list(range(40, 400)), "one": [0]}
    record = {"id": 1, "baseline": baseline.tolist(), "candidate": candidate.tolist(), "slices": slices}
    said = answer(record)
    assert (said["regressed"], said["slices"]) == (True, ["bad"])
    assert said["finding"]["change_95"][1] < 0
    assert "Of 2 slices, bad got worse." in said["sentence"]
    assert "over 400 examples" in said["sentence"]
    better = answer({**record, "higher_is_better": False})
    assert (better["regressed"], better["slices"]) == (False, [])
    assert "could not have been seen" in better["sentence"]


def test_too_few_pairs_say_nothing():
    said = answer({"id": 1, "baseline": [1.0, None], "candidate": [0.5, 1.0]})
    assert (said["regressed"], said["slices"]) == (False, [])
    assert "too little" in said["sentence"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "line 1: not JSON"),
        ("[1]", "line 1: expected an object"),
        ('{"id": 1}', "line 1: key 'values' is missing"),
        ('{"values": ["x"]}', "line 1: 'x' is no number"),
        ('{"values": [[1]]}', r"line 1: \[1\] is no number"),
        ('{"baseline": [1, 2], "candidate": [1]}', "line 1: 2 rows of baseline but 1 of candidate"),
        ('{"baseline": [1, 2], "candidate": [1, 2], "alpha": 5}', "line 1: alpha is 5.0"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, told):
    with pytest.raises(JudgeInputError, match=told.replace("(", r"\(")):
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
    with pytest.raises(JudgeInputError, match=told):
        judge_csv(lines, preset=Preset.QUIET, **options)


def test_a_sparkline_shows_the_newest_values_and_gaps():
    assert sparkline([0, 1, None, 7]) == "▁▂ █"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([None]) == " "
    assert len(sparkline(list(range(100)), width=10)) == 10


SERIES = {
    "regressed": FALLING,
    "ok": FALLING[:20],
    "suspicious": [*FALLING[:20], 0.4],
    "improved": [1 - value for value in FALLING],
    "insufficient_data": FALLING[:4],
    "no_baseline": FALLING[:1],
    "invalid": [*FALLING[:9], None],
}


@pytest.mark.parametrize("locale", ["en", "zh"])
@pytest.mark.parametrize("outcome", SERIES)
def test_every_outcome_is_told_in_a_sentence_with_its_numbers(outcome, locale):
    values = SERIES[outcome]
    ends = [answer({"id": 1, "metric": "Recall", "values": values[:end]}, locale=locale) for end in range(len(values))]
    ends.append(answer({"id": 1, "metric": "Recall", "values": values}, locale=locale))
    said = next(end for end in reversed(ends) if end["finding"]["outcome"] == outcome)
    sentence = said["sentence"]
    assert sentence
    assert "\n" not in sentence
    assert "None" not in sentence
    assert not re.search(r" [.,;]|\.\.|。。|，。|  ", sentence), sentence
    assert bool(re.search("[\u4e00-\u9fff]", sentence)) == (locale == "zh")
    assert said["finding"]["why"]
    if outcome in ("regressed", "improved"):
        assert said["finding"]["onset"] in (19, 20)
        assert {"en": "with a certainty of 95 %", "zh": "95% 的把握"}[locale] in sentence
    if outcome in ("ok", "insufficient_data"):
        assert {"en": "could not have been seen", "zh": "还看不出来"}[locale] in sentence


@pytest.mark.parametrize("values", [[0.3] * 3, [0.3] * 5, [0.3, 0.3, 0.3, 0.31], [0.0] * 4, [0.4] * 30])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_values_that_are_all_the_same_say_nothing_of_the_smallest_change(values, mode):
    sentence = answer({"values": values, "mode": mode})["sentence"]
    assert "could not have been seen" not in sentence


def test_the_table_shows_history_marks_and_sentences(capsys):
    judged = judge_csv(["day,ndcg", *(f"{day},{value}" for day, value in enumerate(FALLING, 101))], preset=Preset.QUIET)
    print_table(judged)
    printed = capsys.readouterr().out
    assert "Got worse" in printed
    assert "v" in printed
    assert "It began with run" in printed
    print_table(judged, "zh")
    assert "变化始于" in capsys.readouterr().out


def test_a_missing_newest_value_is_said_in_the_table(capsys):
    print_table(judge_csv(["m,[b]n", "1,1", ",2"], preset=Preset.QUIET))
    printed = capsys.readouterr().out
    assert "missing from this run" in printed
    assert "[b]n" in printed


def test_a_metric_of_tiny_numbers_keeps_its_digits():
    said = answer({"id": 1, "values": [1e-7 * value for value in FALLING]})
    assert "e-08" in said["sentence"].replace("\N{MINUS SIGN}", "-")


def test_the_smallest_effect_is_relative_or_in_the_metrics_unit():
    assert read_min_effect("2 %") == MinEffect(0.02, relative=True)
    assert read_min_effect("0.5") == MinEffect(0.5, relative=False)
    for wrong in ("much", "-1", "nan", "%"):
        with pytest.raises(JudgeInputError, match="--min-effect"):
            read_min_effect(wrong)


def test_the_command_answers_lines_and_tables_in_either_language(tmp_path):
    lines, table = tmp_path / "lines.jsonl", tmp_path / "table.csv"
    lines.write_text(json.dumps({"id": 7, "values": FALLING}) + "\n", encoding="utf-8")
    table.write_text("ndcg\n" + "\n".join(map(str, FALLING)), encoding="utf-8")
    told = run_command("--locale", "zh", str(lines))
    assert json.loads(told.output)["id"] == 7
    assert "该指标" in told.output
    assert "ndcg" in run_command("--format", "csv", "--min-effect", "1 %", str(table)).output


def run_command(*arguments):
    return CliRunner().invoke(app, ["judge", *arguments], catch_exceptions=False)


HUGE = "9" * 400


@pytest.mark.parametrize(
    "line",
    [
        "[" * 10_000,
        '{"values": ' + "[" * 10_000 + "}",
        '{"values": [' + "9" * 5000 + "]}",
        '{"values": [[1], [2]]}',
        '{"values": {"a": 1}}',
        '{"values": 3}',
        '{"values": ["many"]}',
        '{"baseline": [1, 2], "candidate": [1, 2], "slices": [1]}',
        '{"baseline": [1, 2], "candidate": [1, 2], "slices": {"a": [1e400]}}',
        '{"baseline": [1, 2], "candidate": [1, 2], "slices": {"a": [99]}}',
        '{"baseline": [1, 2], "candidate": [1, 2], "alpha": NaN}',
    ],
    ids=lambda line: line[:60],
)
def test_a_line_of_odd_shape_is_named_by_its_number(line):
    with pytest.raises(JudgeInputError, match="line 1: "):
        list(judge_lines([line], preset=Preset.QUIET))


@pytest.mark.parametrize("value", [HUGE, f"-{HUGE}", "1e999", "-Infinity", "1e200"])
def test_a_value_beyond_all_measure_is_invalid_and_the_others_are_judged(value):
    line = f'{{"values": [0.5, 0.51, 0.49, 0.5, 0.51, 0.5, {value}]}}'
    (answer,) = judge_lines([line], preset=Preset.QUIET)
    finding = json.loads(answer, parse_constant=pytest.fail)["finding"]
    assert finding["outcome"] == "invalid"
    assert finding["reason"] in ("absurd", "not_a_number")
    (answer,) = judge_lines([line.replace("]", ", 0.5]")], preset=Preset.QUIET)
    assert json.loads(answer)["finding"]["outcome"] == "ok"


def test_a_sparkline_of_any_values_can_be_drawn():
    assert sparkline([1.7e308, -1.7e308, float("inf"), None, 0.1, 0.2]) == "    ▁█"


def test_a_line_without_end_is_refused_before_it_is_held():
    class Endless:
        """A file whose only line never ends."""

        def __init__(self) -> None:
            self.read = 0

        def readline(self, size: int = -1) -> str:
            assert 0 < size < 2_000
            self.read += size
            return "1" * size

    endless = Endless()
    with pytest.raises(JudgeInputError, match="a line of more than 1,000 characters"):
        list(bounded(endless, longest=1000))
    assert endless.read == 1001


def test_a_table_without_end_is_refused():
    with pytest.raises(JudgeInputError, match="more than 10 characters"):
        list(bounded(io.StringIO("a,b\n" * 100), most=10))


def test_a_cell_of_a_table_without_end_is_told():
    with pytest.raises(JudgeInputError, match="not CSV"):
        judge_csv(["a,b\n", "1," + "2" * 200_000 + "\n"], preset=Preset.QUIET)


def test_a_place_in_no_order_is_told():
    with pytest.raises(JudgeInputError, match="'nan' is no place in an order"):
        judge_csv(["step,m\n", "1,2\n", "nan,3\n"], preset=Preset.QUIET)


@pytest.mark.parametrize(
    "lines",
    [
        ["order,m", "1,.3", "3,.1", "2,.2"],
        ["\ufefforder,m", "1,.3", "3,.1", "2,.2"],
        [" order ; m ", "1;0,3", "3;0,1", "2;0,2"],
        ["order\tm", "1\t.3", "3\t.1", "2\t.2"],
        ["order,m", "1, .3 ", "3,.1", "2,.2", "4,n/a"],
        ["run,order,m", "a,1,.3", "c,3,.1", "b,2,.2"],
    ],
)
def test_tables_as_programs_write_them_are_read(lines):
    (series,) = judge_csv(bounded(io.StringIO("\n".join(lines))), preset=Preset.QUIET)
    assert series.metric == "m"
    assert series.values[:3] == (0.3, 0.2, 0.1)


def test_runs_called_by_names_are_in_their_order():
    (series,) = judge_csv(["run,m", "b,1", "a,2"], preset=Preset.QUIET)
    assert series.values == (1.0, 2.0)


def test_a_cell_that_is_no_number_is_named():
    with pytest.raises(JudgeInputError, match=r"column 'm', row 2: '0\.31x' is no number"):
        judge_csv(["m,text", "1,a", "0.31x,b", "2,c"], preset=Preset.QUIET)


def test_a_csv_without_its_name_is_recognised():
    with pytest.raises(JudgeInputError, match="--format csv"):
        list(judge_lines(["order,m\n", "1,2\n"], preset=Preset.QUIET))


@pytest.mark.parametrize(
    ("text", "share"),
    [("2 %", 0.02), ("1e-1 %", 0.001), ("0.5%", 0.005), (" 2%", 0.02), (".5 %", None), ("1e999 %", None), ("-1 %", None), ("nan %", None), ("1_0 %", None)],
)  # fmt: skip
def test_a_share_is_read_alike_on_the_command_line_and_in_the_configuration(text: str, share: float | None):
    readers = (read_min_effect, TypeAdapter(Effect).validate_python)
    for read in readers:
        if share is None:
            with pytest.raises(ValueError, match="should be a share such as"):
                read(text)
        else:
            assert read(text) == MinEffect(share)

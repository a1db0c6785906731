"""How everything stands, at a glance."""

from __future__ import annotations

import json
import math
import re

import pytest
from rich.cells import cell_len
from sqlalchemy import update

from bot.cli.output.status import print_status
from bot.cli.output.terminal import when
from bot.domain.incidents import SeriesKey
from bot.reports.overview import VALUES_SHOWN, overview
from bot.store import runs, tables
from tests.unit.cycle_bench import EAGER, Bench
from tests.unit.state_samples import MINUTE, NOON, SERIES, judged, run_at


def test_the_main_metric_is_drawn_over_the_newest_runs(tmp_path, sqlite_url, capsys):
    bench = Bench(tmp_path, sqlite_url, {"metrics": {"ndcg": {}, "recall": {}}})
    bench.run()
    for number in range(VALUES_SHOWN + 5):
        bench.log(
            0.5 + 0.01 * (number % 8), metrics={} if number == 20 else {"ndcg": 0.5 + 0.01 * (number % 8), "recall": 1}
        )
    bench.run()
    (seen,) = overview(bench.herald).pipelines
    assert seen.metric == "ndcg"
    assert len(seen.values) == VALUES_SHOWN
    assert seen.values[-1] == 0.5
    assert [math.isnan(value) for value in seen.values].count(True) == 1
    print_status(overview(bench.herald), as_json=False)
    assert "▆▇█▁▂▃▄▅▆▇█▁▂▃▄ ▆▇█▁ ndcg" in capsys.readouterr().out
    print_status(overview(bench.herald), as_json=True)
    assert '"values": [' in capsys.readouterr().out
    bench.database.close()


def test_a_pipeline_without_runs_has_nothing_to_draw(tmp_path, sqlite_url, capsys):
    bench = Bench(tmp_path, sqlite_url, {})
    (seen,) = overview(bench.herald).pipelines
    assert seen.values == ()
    print_status(overview(bench.herald), as_json=False)
    assert "none yet" in capsys.readouterr().out
    bench.database.close()


@pytest.mark.parametrize("width", [40, 200])
@pytest.mark.parametrize("metric", ["ndcg", "准确率"])
def test_last_finding_line_of_values_next_time_and_open_incident_stand_there_on_any_terminal(
    tmp_path, sqlite_url, capsys, monkeypatch, width, metric
):
    bench = Bench(tmp_path, sqlite_url, {"metrics": {metric: {}}, "schedule": {"every": "6h"}, **EAGER})
    bench.run()
    for value in (0.8, 0.801, 0.799, 0.8, 0.802, 0.6, 0.6):
        bench.log(value, metrics={metric: value})
        bench.run()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")  # or it would be no terminal, and have no width
    capsys.readouterr()
    print_status(overview(bench.herald), as_json=False)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(cell_len(line) for line in printed.splitlines()) <= width
    due = when(overview(bench.herald).pipelines[0].next_due)
    for wanted in ("regressed", f"█████▁▁ {metric}", due, "regressed MEM-1"):
        assert wanted in printed, (wanted, printed)
    print_status(overview(bench.herald), as_json=True)
    (told,) = json.loads(capsys.readouterr().out)["pipelines"]
    assert (told["last"]["outcome"], told["metric"], len(told["values"])) == ("regressed", metric, 7)
    assert told["next_due"]
    assert [each["kind"] for each in told["incidents"]] == ["regressed"]
    bench.database.close()


def test_where_the_newest_run_cannot_be_read_the_one_before_it_is_shown_and_so_it_is_said(tmp_path, sqlite_url, capsys):
    bench = Bench(tmp_path, sqlite_url, {})
    other, shown, lost = SeriesKey("search", "params.model=b"), "run-1", "run-2"
    with bench.database.begin() as tx:
        runs.record(tx, judged(run_at("older", NOON), series=other))
        for number, run_id in enumerate((shown, lost), 1):
            runs.record(tx, judged(run_at(run_id, NOON + number * MINUTE)))
    name = SERIES.pipeline
    (seen,) = [each for each in overview(bench.herald).pipelines if each.name == name]
    assert (seen.last.run.run_id, seen.unreadable) == (lost, None)
    with bench.database.begin() as tx:
        tx.execute(update(tables.runs).where(tables.runs.c.run_id == lost).values(run="[{}]"))
    (seen,) = [each for each in overview(bench.herald).pipelines if each.name == name]
    assert seen.last.run.run_id == shown, "and no older run of another series"
    whole = overview(bench.herald)
    capsys.readouterr()  # what was logged
    print_status(whole, as_json=False)
    assert f"cannot read: {name}: a newer run, {lost} of {when(NOON + 2 * MINUTE)}" in capsys.readouterr().out
    print_status(whole, as_json=True)
    assert [each["unreadable_run"] for each in json.loads(capsys.readouterr().out)["pipelines"]] == [lost]
    bench.database.close()

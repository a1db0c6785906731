"""How everything stands, at a glance."""

from __future__ import annotations

import math

from bot.cli.output.status import print_status
from bot.reports.overview import VALUES_SHOWN, overview
from tests.unit.cycle_bench import Bench


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

"""Per-example tables are fetched once, for the runs that need them, and kept within the bound that config names."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.domain.job_protocol import CARD_FILE, TABLE_FILE
from bot.domain.runs import Release, Trouble, Unread
from bot.services.mlflow.artifact_places import RunArtifacts
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore
from tests.watching.bench import GOOD, Bench


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is asked of the artifact store, by run."""
    made: Counter[str] = Counter()
    for name in ("list_artifacts", "download"):

        def counting(self, *words, _name=name, _call=getattr(RunArtifacts, name)):
            made[f"{_name} {self.run_id}"] += 1
            return _call(self, *words)

        monkeypatch.setattr(RunArtifacts, name, counting)
    return made


def log(bench: Bench, folder: Path, count: int, *, with_table: bool) -> list[str]:
    ids = bench.log_row([GOOD] * count, bench.now() - timedelta(minutes=1))
    for number, run_id in enumerate(ids):
        if with_table:
            values = np.random.default_rng(number).normal(GOOD, 0.05, 200)
            path = folder / TABLE_FILE
            pq.write_table(pa.table({"example_id": [f"e{place}" for place in range(200)], "ndcg": values}), path)
            bench.mlflow.log_artifact(run_id, str(path))
    return ids


def test_the_table_of_a_run_is_fetched_once_however_many_runs_are_held_against_it(bench, tmp_path, asked):
    ids = log(bench, tmp_path, 5, with_table=True)
    herald = bench.herald()
    herald.cycle("quality").run(bench.now())
    for hours in (1, 2, 3):
        bench.ahead = timedelta(hours=hours)
        ids += log(bench, tmp_path, 1, with_table=True)
        (judged,) = herald.cycle("quality").run(bench.now()).judged
        assert judged.findings[0].p_rows is not None
    assert asked == {f"{what} {run_id}": 1 for what in ("list_artifacts", "download") for run_id in ids}


def test_a_herald_that_begins_anew_reads_of_the_runs_before_what_it_does_not_know_of_them(bench, tmp_path, asked):
    card = tmp_path / CARD_FILE
    card.write_text('{"rows_in": 7}')
    before = log(bench, tmp_path, 4, with_table=True)
    for run_id in before:
        bench.mlflow.log_artifact(run_id, str(card))
    bench.herald().cycle("quality").run(bench.now())
    asked.clear()
    bench.ahead = timedelta(hours=1)
    (run_id,) = log(bench, tmp_path, 1, with_table=True)
    bench.mlflow.log_artifact(run_id, str(card))
    bench.herald().cycle("quality").run(bench.now())
    assert {each: asked[f"download {each}"] for each in (*before, run_id)} == {**dict.fromkeys(before, 1), run_id: 2}


def test_a_run_without_a_table_asks_for_no_artifacts_but_its_own(bench, tmp_path, asked):
    log(bench, tmp_path, 5, with_table=True)
    bench.cycle()
    asked.clear()
    bench.ahead = timedelta(hours=1)
    (run_id,) = log(bench, tmp_path, 1, with_table=False)
    bench.cycle()
    assert asked == {f"list_artifacts {run_id}": 1}
    assert bench.judged(run_id).unread == (Unread(TABLE_FILE, Trouble.ABSENT, ""),)


def test_no_more_is_kept_than_config_allows_and_what_was_asked_for_longest_ago_goes_first(bench, tmp_path, asked):
    ids = log(bench, tmp_path, 3, with_table=True)
    sizes = [bench.herald().run_store.load(each).examples.size for each in _runs(bench, ids)]
    section = MlflowSection(tracking_uri=bench.uri, tables={"kept": sum(sizes[:2])})
    store = MlflowRunStore(section)
    first, second, third = _runs(bench, ids)
    asked.clear()
    for run in (first, second, first, third, first, second):
        store.load(run)
    fetched = {run: asked[f"download {run}"] for run in ids}
    assert fetched == {first.run_id: 1, second.run_id: 2, third.run_id: 1}


def _runs(bench: Bench, ids: list[str]) -> list:
    store = MlflowRunStore(MlflowSection(tracking_uri=bench.uri))
    return [store.released(Release(run_id)) for run_id in ids]

"""Runs with artifacts that nobody can read, in a real MLflow: each is judged, and the pipeline goes on."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.domain.incidents import IncidentState, Kind
from bot.domain.judge import Outcome
from tests.watching.bench import BAD, GOOD, Bench

DEEP = 10_000


def _write_table(path: Path, **columns: object) -> None:
    pq.write_table(pa.table(columns), path)


def half_a_card(folder: Path) -> None:
    (folder / "data_card.json").write_text('{"rows": 3, "hash": "')


def a_number_without_end(folder: Path) -> None:
    (folder / "data_card.json").write_text('{"rows_in": ' + "7" * 400 + ', "users": ' + "7" * 5000 + "}")


def a_deep_card(folder: Path) -> None:
    (folder / "data_card.json").write_text('{"a":' * DEEP + "1" + "}" * DEEP)


def a_folder(folder: Path) -> None:
    (folder / "data_card.json").mkdir()
    (folder / "data_card.json" / "part").write_text("x")


def a_table_cut_off(folder: Path) -> None:
    _write_table(folder / "per_example.parquet", example_id=["a", "b"], ndcg=[0.1, 0.2])
    whole = (folder / "per_example.parquet").read_bytes()
    (folder / "per_example.parquet").write_bytes(whole[: len(whole) // 2])


def days_and_words(folder: Path) -> None:
    days = [date(2026, 1, 1 + number) for number in range(20)]
    _write_table(folder / "per_example.parquet", example_id=days, ndcg=["many"] * 20)


def words_for_weights(folder: Path) -> None:
    _write_table(folder / "per_example.parquet", example_id=["a", "b"], ndcg=[0.1, 0.2], weight=["1", "2"])


POISONS = [half_a_card, a_number_without_end, a_deep_card, a_folder, a_table_cut_off, days_and_words, words_for_weights]


def log_with(bench: Bench, make: object, hours: int, tmp_path: Path) -> str:
    run_id = bench.log(GOOD, bench.now() - timedelta(hours=hours))
    folder = tmp_path / f"made-{hours}"
    folder.mkdir()
    make(folder)
    bench.mlflow.log_artifacts(run_id, str(folder))
    bench.mlflow.set_terminated(run_id, "FINISHED", int((bench.now() - timedelta(hours=hours)).timestamp() * 1000))
    return run_id


def test_a_fall_after_every_kind_of_poison_is_told(bench, tmp_path):
    bench.log_row([GOOD] * 8, bench.now() - timedelta(hours=30))
    bench.cycle()
    bench.ahead = timedelta(days=1)
    poisoned = {make: log_with(bench, make, 20 - place, tmp_path) for place, make in enumerate(POISONS)}
    bench.log_row([BAD] * 3, bench.now() - timedelta(hours=1))
    bench.cycle(experiment="search", watch={"overlap": "5d"})
    for make, run_id in poisoned.items():
        judged = bench.judged(run_id)
        assert judged.outcome is Outcome.OK, make
        assert judged.unread, make
        assert all(each.detail or each.trouble == "folder" for each in judged.unread)
    (incident,) = (each for each in bench.incidents() if each.state is IncidentState.OPEN)
    assert incident.kind is Kind.REGRESSED
    assert len(bench.tracker.tickets) == 1


@pytest.mark.parametrize("place", ["s3://no-such-bucket/runs", "hdfs://nowhere/runs", "file:///nonexistent/runs"])
def test_artifacts_that_are_kept_out_of_reach_cost_their_run_nothing_else(bench, monkeypatch, place):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bench.mlflow.create_experiment("search", artifact_location=place)
    ids = bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1))
    bench.cycle()
    assert all(bench.is_judged(run_id) for run_id in ids)

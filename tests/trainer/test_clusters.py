"""What is independent of one another is drawn together, in intervals, p values and slices."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.trainer_coverage import TRUTH, count_held, draw, measure
from tests.trainer.fitting import fit, result_of
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.jobs.file import load_job
from trainer.measures.bootstrap import statistic_intervals, table_intervals
from trainer.measures.per_example import PerExample
from trainer.results.per_example_files import cluster_by, read_per_example
from trainer.results.result_files import write_per_example
from trainer.results.run_comparison import compare


def table_of(values, users, slices=None):
    ids = tuple(f"q{n}" for n in range(len(values)))
    return PerExample(
        ids, slices or {}, np.ones(len(ids)), {"m": np.asarray(values, dtype=float)}, tuple(users), "user"
    )


def test_queries_that_a_user_repeats_make_no_interval_narrower():
    values = np.random.default_rng(0).normal(0, 1, 40)
    once = table_of(values, [f"u{n}" for n in range(40)])
    often = table_of(np.repeat(values, 25), [f"u{n}" for n in np.repeat(np.arange(40), 25)])
    assert table_intervals(often)["m"].low == pytest.approx(table_intervals(once)["m"].low)
    weighed = statistic_intervals(np.repeat(np.arange(40), 25), lambda w: {"m": w @ np.repeat(values, 25) / w.sum()})
    single = statistic_intervals(np.arange(40), lambda w: {"m": w @ values / w.sum()})
    assert weighed["m"].high == pytest.approx(single["m"].high)


def test_a_single_cluster_says_nothing_of_how_clusters_differ():
    assert table_intervals(table_of([0.0, 1.0, 1.0], "uuu")) == {}
    assert statistic_intervals(np.zeros(3, dtype=int), lambda w: {"m": w.sum()}) == {}


def test_intervals_of_few_users_hold_the_truth_as_often_as_they_say():
    truth = measure(*draw(np.random.default_rng(0), TRUTH // 4))
    held = count_held(truth, 30, 400, ("hit rate", "difference of two models"), 1)
    assert all(0.925 <= share <= 0.98 for share in held.values())


def compared(tmp_path, users, gain):
    tables = []
    for name, values in (("a", np.zeros(len(users))), ("b", np.asarray(gain))):
        halves = {"half": tuple("xy"[n % 2] for n in range(len(users)))}
        write_per_example(table_of(values, users, halves), tmp_path / f"{name}.parquet")
        tables.append(read_per_example(tmp_path / f"{name}.parquet"))
    return tables


def test_a_difference_of_five_users_is_not_told_by_their_five_hundred_queries(tmp_path):
    users = [f"u{n % 5}" for n in range(500)]
    first, second = compared(tmp_path, users, [0.1 if n % 5 else 0.3 for n in range(500)])
    found = compare(first, second, "half")
    assert (found.unit, found.clusters, found.shared) == ("user", 5, 500)
    for one in found.differences:
        assert one.p == pytest.approx(2 / 2**5, abs=0.01)
        assert (one.clusters, one.better) == (5, one.examples)
    alone = compare(*(cluster_by(table, "half") for table in (first, second)))
    assert (alone.unit, alone.clusters) == ("half", 2)


def test_examples_that_one_run_leaves_undefined_are_compared_by_neither(tmp_path):
    first, second = compared(tmp_path, "uvwxyz", [np.nan, 1, 1, 1, 1, 1])
    (found,) = compare(first, second).differences
    assert (found.examples, found.first, found.second) == (5, 0.0, 1.0)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


def with_users(path, users):
    """Give each row a user, and a seller of its own."""
    header, *lines = path.read_text().splitlines()
    rows = [f"{line},u{n % users},s{n}" for n, line in enumerate(lines)]
    path.write_text("\n".join([f"{header},user,seller", *rows]) + "\n")
    return path


def test_what_is_not_defined_is_absent_and_said_and_whose_the_intervals_are(place, bert, capsys):
    rows = [row for row in make_rows(by_colour=True) if row.part != "test" or row.grade < 3]
    data = with_users(write_rows(place / "pairs.csv", rows, "binary"), 7)
    job = write_job(place, "relevance", data, bert, 'cluster = "user"\nslices.smallest = 2')
    job.write_text(job.read_text().replace('"room"] }', '"room", "seller"], user = "user" }'))
    assert fit(job, "train.pairs=32", "train.batch=16") == 0
    told, printed = result_of(place / "relevance"), capsys.readouterr().out
    absent = {"precision", "recall", "f1", "auc", "ndcg_at_10", "mrr"}
    assert not absent & told["metrics"].keys()
    assert told["undefined"].keys() == absent
    assert told["metrics"]["queries_without_relevant"] == len({row.query for row in rows if row.part == "test"})
    assert (told["cluster"], told["clusters"]) == ("user", 7)
    assert "tuned, 95 % by user (7)" in printed
    summary = (place / "relevance" / "summary.md").read_text()
    assert "- intervals: 95 %, from 7 users, each drawn whole" in summary
    assert "no pair is relevant" in summary
    assert "slices by seller: 0 shown" in summary
    table = pq.read_table(place / "relevance" / "per_example.parquet")
    assert set(table["cluster"].to_pylist()) == {f"u{n}" for n in range(7)}
    assert table["mrr"].null_count == len(table)
    from mlflow import MlflowClient

    run = MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db").get_run(told["run_id"])
    assert set(run.data.tags["herald.undefined"].split(",")) == absent
    assert not any(name.startswith("seller/") for name in run.data.metrics)
    assert main(["compare", str(place / "relevance"), str(place / "relevance")]) == 0
    assert "95 % by user" in capsys.readouterr().out


def test_a_unit_that_the_data_do_not_have_is_refused(place, bert):
    job = write_job(place, "relevance", write_rows(place / "pairs.csv", make_rows()), bert, 'cluster = "user"')
    with pytest.raises(Exception, match=r"cluster.*user.*needs data\.columns\.user"):
        load_job(job, (), model=None)

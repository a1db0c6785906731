"""What `make gpu-bench` does where there is no GPU, and that it counts rightly."""

from dataclasses import replace

import pytest
import torch

from bench.trainer_gpu import Row, ask, main, table
from bench.trainer_gpu_sides import Clock, EnoughMeasuredError, Measured, Setting, mean_tokens, ours
from bench.trainer_gpu_texts import DRY, read_pairs, write_model, write_pairs


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, which it would measure")
def test_without_a_gpu_it_says_so_and_ends_well(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["trainer_gpu"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("gpu-bench: torch finds no CUDA device here, so nothing is measured")


@pytest.mark.parametrize("work", ["relevance", "retrieval"])
def test_ours_is_fitted_from_a_job_file_and_measured_after_the_first_steps(tmp_path, work):
    write_model(tmp_path / "dry" / "model", DRY)
    write_pairs(tmp_path / "dry" / "pairs.csv", DRY)
    setting = Setting(str(tmp_path / "dry"), work, "ours", 8, dry=True)
    found = ours(setting)
    assert found.examples > 0
    flops = found.examples * mean_tokens(setting) * 6 * DRY.layer_weights
    assert found.share == pytest.approx(flops / found.matmul)
    rows = read_pairs(tmp_path / "dry" / "pairs.csv")
    assert len(rows) == DRY.pairs
    lengths = [len(product.split()) for _, product, _ in rows]
    assert max(lengths) > 2 * sum(lengths) / len(lengths)  # short texts and a few long ones


def test_a_clock_ends_a_fit_after_the_steps_that_it_counts():
    clock = Clock(Setting("dry", "relevance", "ours", 8, dry=True))
    for _ in range(5):
        clock.tick()
    with pytest.raises(EnoughMeasuredError):
        clock.tick()
    assert clock.ended > clock.began > 0


def test_what_is_not_begun_in_time_is_said_and_both_sides_are_compared():
    setting = Setting("dry", "relevance", "trainer", 8, dry=True)
    assert ask(setting, 1.0) == "not begun, 8 minutes being over"
    fast = Measured(130.0, 0.5, 1e12, 2000.0)
    slow = replace(fast, examples=100.0)
    rows = [Row("110M", "relevance", "ours", 64, fast), Row("110M", "relevance", "trainer", 256, slow)]
    *lines, last = table(rows)
    assert last == "110M, fine-tune, pairs/s: ours is 1.30 times trainer (wanted: at least 1.3)"
    assert "50.0%" in lines[1]
    assert list(table(rows[:1]))[-1] == lines[1]  # nothing to compare with

"""Reruns of the real trainer with other seeds: how often a healthy one is called bad, and a small change is seen.

    python -m bench.reruns FOLDER [--runs 20] [--orders 400]

The trainer fits its next-purchase task on the packaged data with a BERT of two small layers that knows the words of
the catalogue, once a seed. Each run goes to an MLflow in FOLDER, and a Herald that watches it judges it as it comes,
with no smallest effect. The last ten are the reruns, those before them the baseline. FOLDER keeps what was trained: a
second call goes on from there. Then the same values are judged in many orders: as they are, and with the last ten
lowered.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rich.progress import track

from bot.app import Herald, make_herald
from bot.config.file import load_config
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.policy import MetricPolicy, MinEffect, Policies
from bot.domain.whole_series import as_runs, judge_series
from bot.store import runs
from trainer.data.completejourney import Options, prepare
from trainer.jobs.file import load_job
from trainer.run import run_job

RERUNS = 10  # the last ones; all before are the baseline
STEPS = (1.5, 3.0)  # spreads
METRICS = ("hr_at_10", "ndcg_at_10", "mrr")
WORDS = 800  # of the catalogue, the most frequent
JOB = """
task = "next_item"
output = "x"
threads = 1
[data]
snapshot = "snapshot"
[model]
folder = "model"
max_tokens = 16
[score]
factors = 0
[train]
trips = 512
lr = 3e-3
[mix]
spans = 3
trips = 400
[tracking]
uri = "sqlite:///mlflow.db"
experiment = "reruns"
"""
CONFIG = """
[store]
url = "sqlite:///herald.db"
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
[pipeline.reruns]
experiment = "reruns"
judge = { slice_by = ["department"] }
[pipeline.reruns.metrics]
hr_at_10 = { min_effect = 0, lower = 0.0, upper = 1.0 }
ndcg_at_10 = { min_effect = 0, lower = 0.0, upper = 1.0 }
mrr = { min_effect = 0, lower = 0.0, upper = 1.0 }
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one metric in many orders of the same runs."""

    regressed: int  # orders in which a rerun is
    suspicious: float  # reruns of ten, on average
    most: int  # of ten
    after: tuple[tuple[int, ...], ...]  # with the last ten lowered, by each step: runs until it is told, where it is


def make_model(folder: Path, snapshot: Path) -> None:
    """Write a BertModel with random weights that knows the most frequent words of the catalogue."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    items = pq.read_table(snapshot / "items.parquet")
    texts = [str(value) for name in items.column_names for value in items[name].to_pylist() if isinstance(value, str)]
    found = Counter(re.findall(r"[a-z]+", " ".join(texts).lower()))
    marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    vocabulary = {token: place for place, token in enumerate((*marks, *(word for word, _ in found.most_common(WORDS))))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **size)).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))


def train(count: int) -> Sequence[JudgedRun]:
    """Fit what is not fitted yet, one seed after the other, in this folder; return the runs as Herald judged them."""
    if not Path("snapshot").exists():
        prepare(None, Path("snapshot"), Options())
    if not Path("model").exists():
        make_model(Path("model"), Path("snapshot"))
    Path("job.toml").write_text(JOB, encoding="utf-8")
    Path("config.toml").write_text(CONFIG, encoding="utf-8")
    herald = make_herald(load_config(Path("config.toml")), Path.cwd())
    for seed in track(range(len(judged(herald)) + 1, count + 1), "trained"):
        run_job(load_job(Path("job.toml"), [f"seed={seed}", f"output=runs/{seed}-{os.getpid()}"]), "fit")
        herald.cycle("reruns").run(datetime.now(UTC))
    found = judged(herald)
    herald.database.close()
    return found


def judged(herald: Herald) -> Sequence[JudgedRun]:
    with herald.database.begin() as tx:
        return runs.recent(tx, SeriesKey("reruns"), 1000)


def told_of(values: Sequence[float], metric: str, orders: int) -> Told:
    """Judge the values in many orders, the last ten of each as they are, and lowered by each of the steps."""
    random = np.random.default_rng(17)
    policies = Policies((MetricPolicy(metric, min_effect=MinEffect(0.0), lower=0.0, upper=1.0),))
    spread = float(np.std(values, ddof=1))
    suspicious: list[int] = []
    regressed, after = 0, tuple(list[int]() for _ in STEPS)
    for _ in range(orders):
        order = random.permutation(np.asarray(values))
        said = outcomes(order, metric, policies)[-RERUNS:]
        regressed += Outcome.REGRESSED in said
        suspicious.append(said.count(Outcome.SUSPICIOUS))
        for step, runs_until in zip(STEPS, after, strict=True):
            fallen = np.concatenate((order[:-RERUNS], order[-RERUNS:] - step * spread))
            lowered = outcomes(fallen, metric, policies)[-RERUNS:]
            if Outcome.REGRESSED in lowered:
                runs_until.append(lowered.index(Outcome.REGRESSED) + 1)
    return Told(regressed, float(np.mean(suspicious)), max(suspicious), tuple(map(tuple, after)))


def outcomes(values: Sequence[float], metric: str, policies: Policies) -> list[Outcome]:
    made = as_runs({metric: float(value)} for value in values)
    return [said.assessment.outcome for said in judge_series(made, policies)]


def report(found: Sequence[JudgedRun], orders: int) -> Iterator[str]:
    said = Counter(judged.outcome.value for judged in found[-RERUNS:])
    yield f"{RERUNS} reruns after {len(found) - RERUNS} runs, as Herald judged them: {dict(said)}"
    yield ""
    steps = (f"{step:g} spreads lower: told, after" for step in STEPS)
    columns = ("metric", "level", "spread", "orders with a regressed one", "suspicious of ten (most)", *steps)
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for metric in METRICS:
        values = [judged.run.metrics[metric] for judged in found]
        told = told_of(values, metric, orders)
        level, spread = np.mean(values), np.std(values, ddof=1)
        seen = (f"{len(each) / orders:.0%}, {np.median(each) if each else np.nan:g} runs" for each in told.after)
        yield (
            f"| {metric} | {level:.4f} | {spread / level:.2%} | {told.regressed} of {orders} "
            f"| {told.suspicious:.2f} ({told.most}) | {' | '.join(seen)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=2 * RERUNS)
    parser.add_argument("--orders", type=int, default=400)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.folder)
    for line in report(train(max(asked.runs, 2 * RERUNS)), asked.orders):
        print(line)


if __name__ == "__main__":
    main()

"""Series of other origin than the benchmark's and our own: real ones, and those of another project's generators.

* ``retrained``: models of scikit-learn (BSD-3) retrained forty times, every time on other rows of a data set that it
  ships (digits, breast cancer, diabetes: UCI, CC BY 4.0), scored on the same held-out rows. In half of the
  histories the labels of a share of the training rows are shuffled from run 20 on: a real defect of a real model.
* ``otava-test-data``: patterns of Apache Otava's generators (Apache-2.0), from the package of that name.
* ``tigerbeetle``: 365 runs of a real benchmark, which stand in the tests of Apache Otava's source package
  (Apache-2.0), with the changes that its own default finds; both as it is and upside down.
* ``nile``, ``quality control``: the level series of the Turing Change Point Dataset in the benchmark's folder, with
  what at least two of five people marked.

No data are kept here: they are read where they lie, and what is not given is left out.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

RUNS, FALL_AT = 40, 20
LEVEL_SERIES = ("nile", "quality_control_1", "quality_control_3", "quality_control_5")
NEAR = 5  # runs within which two people mark the same change


@dataclass(frozen=True, slots=True)
class Change:
    at: int
    size: float  # in spreads of the runs before
    is_bad: bool = True


@dataclass(frozen=True, slots=True)
class Labelled:
    """A series of which it is known where it changed; higher is better."""

    origin: str
    family: str
    values: list[float]
    changes: list[Change] = field(default_factory=list)
    is_graded: bool = True  # whether the sizes of its changes are those of a step


@dataclass(frozen=True, slots=True)
class Held:
    """Rows that models are scored on."""

    rows: Floats
    target: Floats


def change_at(values: np.ndarray, at: int, end: int) -> Change:
    """Measure a change by the runs on both sides of it."""
    moved = float(values[at:end].mean() - values[:at].mean()) / float(values[:at].std(ddof=1) or 1e-12)
    return Change(at, abs(moved), moved < 0)


def retrained(histories: int) -> Iterator[Labelled]:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
    from sklearn.linear_model import Ridge, RidgeClassifier
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
    from sklearn.naive_bayes import GaussianNB

    def digits(rows: Floats, target: Floats, test: Held) -> float:
        return float(accuracy_score(test.target, RidgeClassifier().fit(rows, target).predict(test.rows)))

    def cancer(rows: Floats, target: Floats, test: Held) -> float:
        return float(roc_auc_score(test.target, GaussianNB().fit(rows, target).predict_proba(test.rows)[:, 1]))

    def diabetes(rows: Floats, target: Floats, test: Held) -> float:
        return float(r2_score(test.target, Ridge(0.1).fit(rows, target).predict(test.rows)))

    tasks = (
        ("retrained digits, accuracy", load_digits, 300, digits, (0.03, 0.06, 0.09, 0.12)),
        ("retrained breast cancer, AUC", load_breast_cancer, 60, cancer, (0.3, 0.4, 0.45, 0.5)),
        ("retrained diabetes, R2", load_diabetes, 120, diabetes, (0.1, 0.2, 0.3, 0.4)),
    )
    for family, load, rows, fit, shares in tasks:
        features, target = load(return_X_y=True)
        random = np.random.default_rng(23)
        order = random.permutation(len(target))
        split = 2 * len(target) // 3
        train, held_out = order[:split], order[split:]
        test = Held(features[held_out], target[held_out])
        for number in range(histories):
            spoilt = shares[number // 2 % len(shares)] if number % 2 else 0.0
            values = []
            for run in range(RUNS):
                chosen = random.choice(train, rows)
                labels = target[chosen].copy()
                if spoilt and run >= FALL_AT:
                    wrong = random.random(rows) < spoilt
                    labels[wrong] = random.permutation(labels[wrong]) if wrong.any() else labels[wrong]
                values.append(fit(features[chosen], labels, test))
            changes = [change_at(np.array(values), FALL_AT, RUNS)] if spoilt else []
            yield Labelled("retrained", family, values, changes)


def otava_patterns(histories: int) -> Iterator[Labelled]:
    """Yield patterns of falls and of noise; what Otava's generators call worse is a rise, and so all is upside down."""
    from otava_test_data.generators import advanced, basic

    for seed in range(histories):
        random = np.random.default_rng(seed)
        n, at, size = (
            int(random.integers(25, 60)),
            int(random.integers(8, 20)),
            float(random.choice([1.0, 1.5, 2.0, 3.0])),
        )
        made = {
            "normal noise": (basic.noise_normal(n, 100, 5, seed), None),
            "uniform noise": (basic.noise_uniform(n, 90, 110, seed), None),
            "banding": (advanced.banding(n, 100, 110, 2, seed), None),
            "variance change": (advanced.variance_change(n, seed=seed), None),
            "many outliers": (advanced.multiple_outliers(n, seed=seed), None),
            "step": (basic.step_function(n, 100, 100 + 5 * size, at, 5, seed), at),
        }
        for family, (series, fell) in made.items():
            changes = [] if fell is None else [Change(fell, size)]
            yield Labelled("patterns", family, (-series.data).tolist(), changes)


def tigerbeetle(otava: Path) -> Iterator[Labelled]:
    """Yield the real series in Otava's source package, with the changes that its tests expect of its default."""
    text = (otava / "tests" / "tigerbeetle_test.py").read_text(encoding="utf-8")
    listed = re.search(r"return (\[[^\]]+\])", text)
    assert listed is not None
    values = np.array(ast.literal_eval(listed.group(1)), dtype=float)
    changes = [Change(15, 3.0), Change(71, 3.0, is_bad=False)]
    yield Labelled("real", "TigerBeetle, both ways up", values.tolist(), changes, is_graded=False)
    upside_down = [Change(each.at, each.size, not each.is_bad) for each in changes]
    yield Labelled("real", "TigerBeetle, both ways up", (-values).tolist(), upside_down, is_graded=False)


def level_series(detect: Path) -> Iterator[Labelled]:
    """Yield real series that keep a level, both ways up, with the changes that two people or more have marked."""
    lines = (detect / "seen" / "tcpd.jsonl").read_text(encoding="utf-8").splitlines()
    marks = (detect / "seen" / "tcpd.labels.jsonl").read_text(encoding="utf-8").splitlines()
    known = {record["id"]: record for record in map(json.loads, marks)}
    for record in map(json.loads, lines):
        if record["id"] not in LEVEL_SERIES:
            continue
        by_person = known[record["id"]]["annotations"].values()
        marked = sorted({at for of_one in by_person for at in of_one})
        agreed: list[int] = []
        for at in marked:
            seen_by = sum(any(abs(at - other) <= NEAR for other in of_one) for of_one in by_person)
            agreed += [at] if seen_by > 1 and (not agreed or at - agreed[-1] > NEAR) else []
        for way in (1, -1):
            values = way * np.array(record["values"], dtype=float)
            ends = [*agreed[1:], len(values)]
            changes = [change_at(values, at, end) for at, end in zip(agreed, ends, strict=False)]
            yield Labelled("real", "Turing set, four levels both ways up", values.tolist(), changes, is_graded=False)

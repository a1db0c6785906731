"""Labels that are wrong are found, no more than chance gives where all are right; raters' agreement is Krippendorff's."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.labelling.suspects import suspect, suspects_by_chance
from trainer.measures.agreement import LEVELS, krippendorff, krippendorff_interval

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
NAN = float("nan")
# The worked example of Krippendorff 2011, section C: four observers, twelve units, some missing.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_the_published_example(level, published):
    assert krippendorff(OBSERVERS, level) == pytest.approx(published, abs=5e-4)
    found = krippendorff_interval(OBSERVERS, level, replicates=200)
    assert found.low < found.value < found.high


tables = st.lists(st.lists(st.sampled_from([1.0, 2.0, 3.0, NAN]), min_size=4, max_size=4), min_size=2, max_size=12).map(
    np.array
)


@given(tables, st.permutations(range(4)), st.sampled_from(LEVELS))
def test_who_is_called_what_changes_no_agreement_and_alpha_is_at_most_1(table, order, level):
    alpha = krippendorff(table, level)
    other = krippendorff(table[:, order], level)
    assert (alpha is None) == (other is None)
    if alpha is not None:
        assert other == pytest.approx(alpha)
        assert alpha <= 1 + 1e-12


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=2, max_size=12), st.sampled_from(LEVELS))
def test_raters_who_always_agree_have_an_alpha_of_1_or_none_where_there_is_one_value(labels, level):
    table = np.array([labels, labels, labels]).T
    assert krippendorff(table, level) == (None if len(set(labels)) == 1 else pytest.approx(1.0))


def test_raters_who_draw_their_labels_agree_by_nothing_beyond_chance():
    drawn = np.random.default_rng(0).integers(1, 4, (2000, 3)).astype(float)
    found = krippendorff_interval(drawn, "nominal", replicates=100)
    assert found.low < 0 < found.high


def chances_of(truth, sure, seed=0):
    noise = np.random.default_rng(seed).beta(2, 2, len(truth)) * (1 - sure)
    right = np.clip(sure + noise, 0, 1)
    return np.stack([np.where(truth == 0, right, 1 - right), np.where(truth == 1, right, 1 - right)], axis=1)


def test_turned_labels_are_found_and_right_ones_stand():
    truth = np.arange(400) % 2
    chance = chances_of(truth, 0.8)
    assert (suspect(chance, truth) == -1).all()
    given_labels = truth.copy()
    turned = np.random.default_rng(1).choice(400, 40, replace=False)
    given_labels[turned] = 1 - given_labels[turned]
    found = suspect(chance, given_labels)
    assert set(np.flatnonzero(found >= 0)) <= set(turned)
    assert np.count_nonzero(found >= 0) > 20
    assert (found[found >= 0] == truth[found >= 0]).all()


def test_labels_drawn_from_the_chances_are_as_many_suspects_as_chance_is_said_to_give():
    rng = np.random.default_rng(2)
    first = rng.beta(1, 1, 1000)
    chance = np.stack([first, 1 - first], axis=1)
    labels = (rng.random(1000) > first).astype(int)
    expected = suspects_by_chance(chance, seed=0)
    assert expected.low - 15 <= np.count_nonzero(suspect(chance, labels) >= 0) <= expected.high + 15
    assert expected.mean > 100


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


def test_suspects_of_train_rows_are_listed_and_the_test_is_not_looked_at(place, bert, capsys):
    rows = make_rows(by_colour=True)
    job = write_job(place, "relevance", write_rows(place / "pairs.csv", rows), bert, "relevant = 3.0")
    quick = ("label.folds=2", "train.batch=32", "train.epochs=2", "train.lr=3e-3")
    settings = [word for key in quick for word in ("--set", key)]
    assert main(["label", "suspects", str(job), *settings, "--output", str(place / "suspects")]) == 0
    train = [row for row in rows if row.part == "train"]
    said = capsys.readouterr().out
    assert f" of {len(train)} labels are suspect, judged by 2 fits" in said
    assert (place / "suspects" / "suspects.md").read_text() in said
    with (place / "suspects" / "suspects.csv").open(encoding="utf-8-sig", newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert {row["query"] for row in listed} <= {row.query for row in train}
    assert {row["why"] for row in listed} <= {"confident learning"}
    assert not (place / "relevance").exists()
    assert main(["label", "suspects", str(job), "--set", "label.folds=99", "--output", str(place / "none")]) == 2
    assert "label.folds" in capsys.readouterr().err
    assert not (place / "none").exists()


def test_agreement_is_told_of_a_table_of_ratings(tmp_path, capsys):
    table = tmp_path / "ratings.csv"
    lines = ["id,rater,label"]
    for unit, values in enumerate(OBSERVERS.tolist()):
        lines += [f"{unit},{who},{int(value)}" for who, value in zip("ABCD", values, strict=True) if np.isfinite(value)]
    table.write_text("\n".join(lines) + "\n")
    assert main(["label", "agreement", str(table), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {level: round(one["value"], 3) for level, one in told["alpha"].items()} == {
        "nominal": 0.743, "ordinal": 0.815, "interval": 0.849,
    }  # fmt: skip
    assert (told["items"], told["several"], set(told["without"])) == (12, 11, set("ABCD"))
    assert main(["label", "agreement", str(table)]) == 0
    assert "nominal   0.743" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,a,x\n2,b,y", "no item has labels of two raters"),
        ("1,a,x\n1,a,y", "a labels it 'y' and before 'x': one label a rater is right"),
        ("1,a,x\n1,b,x", "have one label: agreement beyond chance is not defined"),
        ("1,a,1\n1,b,2\n2,a,2\n2,b,good", "column 'label' has 'good' among numbers: a label is either"),
    ],
)
def test_a_table_that_tells_nothing_of_agreement_is_refused_in_a_sentence(tmp_path, capsys, rows, said):
    (tmp_path / "ratings.csv").write_text(f"id,rater,label\n{rows}\n")
    assert main(["label", "agreement", str(tmp_path / "ratings.csv")]) == 2
    assert said in capsys.readouterr().err

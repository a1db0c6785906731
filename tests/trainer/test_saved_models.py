"""A saved model is held against the labels it gets: what it would not understand is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.fitting import fit, result_of
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.errors import ModelError
from trainer.models.label_scale import BINARY, CLASSES, GRADES, JobScale, LabelScale, check_saved_scale

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

WHERE = Path("pairs.csv")
GRADED = LabelScale(GRADES, 0.0, 3.0, 1.5, ())
YES_OR_NO = LabelScale(BINARY, 0.0, 1.0, 0.5, ())
NAMED = LabelScale(CLASSES, 0.0, 1.0, 0.5, ("no", "yes"))


@pytest.mark.parametrize(
    ("scale", "labels", "names", "job", "said"),
    [
        (GRADED, (0, 1), ("bad", "good"), JobScale("auto", None, True), "labels are words (bad, good), and the saved"),
        (YES_OR_NO, (0, 1), ("no", "yes"), JobScale("auto", None, True), "the saved model knows yes or no, 1 or 0"),
        (GRADED, (0, 1), (), JobScale("auto", None, False), "relevant = 1.5 parts nothing: labels run from 0 to 1"),
        (GRADED, (2, 3), (), JobScale("auto", None, True), "relevant = 1.5 parts nothing: labels run from 2 to 3"),
        (GRADED, (0, 3), (), JobScale("auto", 2.0, True), "relevant = 2 is not what the saved model was fitted with"),
        (GRADED, (0, 3), (), JobScale("auto", 4.0, False), "relevant = 4 parts nothing: the saved model knows grades"),
        (GRADED, (0, 3), (), JobScale("binary", None, True), "target = 'binary' is not what the saved model says"),
        (GRADED, (0, 4), (), JobScale("auto", None, True), "label 4 is outside the model's scale, 0 to 3"),
        (YES_OR_NO, (0, 0.5, 1), (), JobScale("auto", None, True), "label 0.5 is neither of what the saved model"),
        (NAMED, (0, 1), (), JobScale("auto", None, True), "class '0' is more than the model has: it knows no, yes"),
    ],
)
def test_labels_of_another_kind_are_refused_by_name(scale, labels, names, job, said):
    with pytest.raises(ModelError) as refused:
        check_saved_scale(scale, np.array(labels, dtype=float), names, job, WHERE)
    assert said in str(refused.value)


def test_a_fit_may_say_anew_what_is_relevant_and_yes_or_no_may_be_one_of_them():
    labels = np.array([0.0, 1.0, 3.0])
    assert check_saved_scale(GRADED, labels, (), JobScale("auto", 3.0, False), WHERE).relevant == 3.0
    assert check_saved_scale(GRADED, labels, (), JobScale("grades", 1.5, True), WHERE) == GRADED
    assert check_saved_scale(YES_OR_NO, np.zeros(4), (), JobScale("auto", None, True), WHERE) == YES_OR_NO


def test_a_model_of_grades_is_not_scored_on_words_nor_fitted_again_on_yes_and_no(place, capsys):
    bert = make_bert(place / "bert")
    graded = write_rows(place / "graded.csv", make_rows(by_colour=True))
    job = write_job(place, "relevance", graded, bert)
    assert fit(job, "train.batch=16", f"output={place}/graded") == 0
    saved = place / "graded" / "model"
    for label, said in (("class", "labels are words (no, partly, yes)"), ("binary", "label 0 is outside")):
        other = write_rows(place / f"{label}.csv", make_rows(by_colour=True), label)
        for command in ("fit", "evaluate"):
            asked = ["--set", f"data.path={other}", "--set", f"model.folder={saved}", "--set", f"output={place}/none"]
            assert main([command, str(job), *asked]) == 2
            assert said in capsys.readouterr().err
    assert fit(job, f"model.folder={saved}", "relevant=3.0", "train.batch=16", f"output={place}/again") == 0
    again = json.loads((place / "again" / "model" / "relevance.json").read_text())
    assert again["scale"]["relevant"] == 3.0
    assert "auc" in result_of(place / "again")["metrics"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"calibration": {"slope": float("nan"), "shift": 0.0}}, "calibration and certainty are not all numbers"),
        ({"scale": {"kind": "grades", "low": 0, "high": 1, "relevant": 1.5, "classes": []}}, "scale.relevant is 1.5"),
        ({"scale": {"kind": "stars", "low": 0, "high": 1, "relevant": 1, "classes": []}}, "scale.kind is 'stars'"),
    ],
)
def test_settings_that_no_fit_writes_are_refused(tmp_path, change, said):
    from trainer.models.label_scale import load_settings

    sound = {
        "scale": {"kind": "grades", "low": 0, "high": 3, "relevant": 1.5, "classes": []},
        "calibration": {"slope": 1.0, "shift": 0.0},
        "certainty": {"slope": 1.0, "shift": 0.0},
        "threshold": 0.5,
        "max_tokens": 16,
        "pooling": "mean",
    }
    (tmp_path / "relevance.json").write_text(json.dumps(sound))
    assert load_settings(tmp_path) is not None
    (tmp_path / "relevance.json").write_text(json.dumps(sound | change))
    with pytest.raises(ModelError, match=said.replace("(", r"\(")):
        load_settings(tmp_path)

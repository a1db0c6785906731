"""What a job says of a saved model is used and told, or refused; what it does not say is as the model was fitted."""

import json
from pathlib import Path

import mlflow
import pytest

from tests.trainer.fitting import fit, result_of
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.errors import ModelError
from trainer.jobs.schema import RetrievalModelJob, ScoreJob
from trainer.models.saved_settings import settle

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


def evaluate(job: Path, name: str, *overrides: str, model: Path, command: str = "evaluate") -> int:
    words = [word for override in overrides for word in ("--set", override)]
    where = ["--set", f"output={job.parent / name}"]
    return main([command, str(job), *(["--model", str(model)] if command == "evaluate" else []), *words, *where])


def params(folder: Path) -> dict[str, str]:
    told = result_of(folder)
    return mlflow.MlflowClient(told["tracking_uri"]).get_run(told["run_id"]).data.params


def test_a_section_is_as_fitted_where_the_job_says_nothing():
    fitted = {"max_tokens": 8, "pooling": "last"}
    silent = RetrievalModelJob.model_validate({"folder": "x", "pooling": "auto"}, context=".")
    found = settle(silent, fitted, "model", training=False, learnt=("pooling",))
    assert (found.max_tokens, found.pooling) == (8, "last")


@pytest.mark.parametrize("training", [True, False])
def test_a_key_that_says_otherwise_is_used_and_told_but_not_what_only_a_fit_can_change(training, capsys):
    given = ScoreJob.model_validate({"near": 0.25, "link_ridge": 5.0})
    fitted = {"near": 1.0, "link_ridge": 300.0, "prior": 0.75}
    found = settle(given, fitted, "score", training=training)
    assert (found.near, found.prior) == (0.25, 0.75)
    said = capsys.readouterr().err
    assert ("score.near = 0.25 as the job says; the model was fitted with 1.0" in said) is not training
    if not training:
        with pytest.raises(ModelError, match=r"score.link_ridge = 5.0 is not what .* fitted with, 300.0: leave it out"):
            settle(given, fitted, "score", training=False, learnt=("link_ridge",))


def test_a_search_is_scored_as_it_was_fitted_or_as_the_job_says(place, bert, capsys):
    job = write_job(place, "retrieval", write_rows(place / "pairs.csv", make_rows()), bert, "relevant = 3.0")
    assert fit(job, "train.batch=8", "train.layers=1", "search.weight=0.25", "search.top=20", "data.spelling=true") == 0
    model = place / "retrieval" / "model"
    assert evaluate(job, "as_fitted", model=model) == 0
    assert result_of(place / "as_fitted")["metrics"]["vector_weight"] == 0.25
    told = params(place / "as_fitted")
    assert (told["search.top"], told["search.weight"], told["data.spelling"]) == ("20", "0.25", "True")
    capsys.readouterr()
    asked = ("search.weight=1.0", "search.top=5", "model.max_tokens=6", "data.spelling=false")
    assert evaluate(job, "as_told", *asked, model=model) == 0
    said = capsys.readouterr().err
    for key, value, fitted in (
        ("search.weight", "1.0", "0.25"),
        ("search.top", "5", "20"),
        ("data.spelling", "false", "true"),
    ):
        assert f"{key} = {value} as the job says; the model was fitted with {fitted}" in said
    assert result_of(place / "as_told")["metrics"]["vector_weight"] == 1.0
    told = params(place / "as_told")
    assert (told["search.top"], told["model.max_tokens"], told["data.spelling"]) == ("5", "6", "False")
    assert evaluate(job, "none", 'model.pooling="first"', model=model) == 2
    assert 'model.pooling = "first" is not what the saved model was fitted with, "mean"' in capsys.readouterr().err


def test_a_judge_is_fitted_again_with_what_the_job_says_and_reads_on_as_it_did_where_it_says_nothing(
    place, bert, capsys
):
    data = write_rows(place / "pairs.csv", make_rows(by_colour=True))
    job = write_job(place, "relevance", data, bert, "relevant = 3.0")
    quick = ("train.pairs=32", "train.batch=16", "data.spelling=true")
    assert fit(job, *quick, "model.max_tokens=10", 'model.pooling="first"') == 0
    model = place / "relevance" / "model"
    silent = place / "silent.toml"
    silent.write_text(job.read_text().replace("max_tokens = 16\n", ""))
    for name, given, right in (
        ("silently", (), (10, "first")),
        ("anew", ("model.max_tokens=12", 'model.pooling="mean"'), (12, "mean")),
    ):
        again = (*quick[:2], f"model.folder={model}", *given)
        assert evaluate(silent, name, *again, model=model, command="fit") == 0
        saved = json.loads((place / name / "model" / "relevance.json").read_text())
        assert (saved["max_tokens"], saved["pooling"], saved["spelling"]) == (*right, True)
        assert params(place / name)["model.max_tokens"] == str(right[0])
    assert evaluate(silent, "as_fitted", model=model) == 0
    assert params(place / "as_fitted")["data.spelling"] == "True"
    capsys.readouterr()
    assert evaluate(silent, "as_told", "data.spelling=false", model=model) == 0
    assert "data.spelling = false as the job says; the model was fitted with true" in capsys.readouterr().err
    assert evaluate(job, "none", 'model.pooling="last"', model=model) == 2
    assert 'model.pooling = "last" is not what the saved model was fitted with, "first"' in capsys.readouterr().err


def test_a_recommender_is_scored_as_it_was_fitted_or_as_the_job_says(tracked, capsys):
    assert fit(tracked.path, "score.near=0.5", "score.factors=4") == 0
    model = tracked.folder / "output" / "model"
    assert evaluate(tracked.path, "as_fitted", model=model) == 0
    told = params(tracked.folder / "as_fitted")
    assert (told["score.near"], told["score.factors"]) == ("0.5", "4")
    fitted = result_of(tracked.folder / "as_fitted")["metrics"]["mrr"]
    assert evaluate(tracked.path, "as_told", "score.repeats=false", "score.factors=0", model=model) == 0
    assert "score.repeats = false as the job says; the model was fitted with true" in capsys.readouterr().err
    assert result_of(tracked.folder / "as_told")["metrics"]["mrr"] != pytest.approx(fitted)
    assert "ALS" not in result_of(tracked.folder / "as_told")["baselines"]
    assert evaluate(tracked.path, "none", "score.links=1.0", model=model) == 2
    assert "score.links = 1.0 is not what the saved model was fitted with, 0.0" in capsys.readouterr().err

"""An explanation names what carried an answer, says how, and is held to it before it is shown."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.trainer.fitting import fit
from tests.trainer.queries import make_bert, make_llama, make_rows, write_job, write_rows
from tests.trainer.shop import make_model
from trainer.__main__ import main
from trainer.data.snapshot import read_snapshot
from trainer.errors import DataError
from trainer.explaining.deletion import check_deletion, first_that_holds, leave_one_out, leave_out_in_turn, name_parts
from trainer.explaining.explanation import Deletion, Explanation, Method, Side, WeighedPart
from trainer.explaining.files import read_explanations, write_explanations
from trainer.explaining.opening import open_judge
from trainer.explaining.pages import lines_of, page_of
from trainer.explaining.pair_judge import explain_pair
from trainer.explaining.relevance_judge import attribute_pair
from trainer.explaining.sanity import randomised, rank_agreement, try_methods, weigh_all
from trainer.explaining.similarity_judge import share_cosine
from trainer.explaining.words import find_words, leave_out
from trainer.jobs.schema import ModelJob, PairModelJob, ScoreJob
from trainer.models.calibration import Calibration
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.history_scorer import Scorer, save_scorer
from trainer.models.hybrid_search import SearchedProducts, SearchSettings, save_search
from trainer.models.label_scale import BINARY, CLASSES, LabelScale, RelevanceSettings, save_settings
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder, unit

QUERY, PRODUCT = "red lamp", "small red oak lamp"
YES_OR_NO = LabelScale(BINARY, 0.0, 1.0, 1.0, ())


def save_judge(folder: Path, bare: Path, scale: LabelScale = YES_OR_NO) -> Path:
    """Write what a fit writes: a model that knows little, and its settings."""
    import torch

    torch.manual_seed(1)
    model = CrossEncoder(find_source(ModelJob(folder=bare)), PairModelJob(folder=bare), scale.outputs, None)
    torch.nn.init.normal_(model.head.weight, std=0.5)
    model.save(folder)
    line = Calibration()
    save_settings(RelevanceSettings(scale, line, line, 0.0, 16, model.pooling), folder)
    return folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("judged")
    return save_judge(place / "model", make_bert(place / "bare"))


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("searched")
    encoder = TextEncoder(find_source(ModelJob(folder=make_bert(place / "bare"))), trained_layers=1, max_tokens=16)
    encoder.save(place / "model")
    texts = (PRODUCT, "blue chair")
    vectors = unit(encoder.embed(texts))
    save_search(SearchSettings(16, 10, 0.5), SearchedProducts(("1", "2"), texts), vectors, place / "model")
    return place / "model"


def test_words_are_what_people_see_and_chinese_is_taken_by_its_characters():
    words = find_words("3/4 in. 电钻 -", "Bosch's (18V)")
    assert [word.text for word in words] == ["3/4", "in.", "电", "钻", "Bosch's", "(18V)"]
    assert leave_out("3/4 in. 电钻 -", "Bosch's (18V)", [words[0], words[2], words[5]]) == ("in. 钻 -", "Bosch's")


def test_integrated_gradients_add_up_to_the_answer_less_the_baselines(judged, tmp_path):
    judge: Any = open_judge(judged)
    llama: Any = open_judge(save_judge(tmp_path / "model", make_llama(tmp_path / "bare")))
    for model in (judge.model, llama.model):
        found, spans = attribute_pair(model, QUERY, PRODUCT)
        assert found.weight_T.sum() == pytest.approx(found.answer - found.baseline, abs=1e-3)
        assert found.answer == pytest.approx(float(model.score_pairs([QUERY], [PRODUCT])[0, 0]), abs=1e-5)
        assert [
            text[a:b] for side, a, b in filter(None, spans) for text in [QUERY if side is Side.QUERY else PRODUCT]
        ] == [
            *QUERY.split(),
            *PRODUCT.split(),
        ]
        # What is no word is read on both ends of the path: it carried nothing.
        assert all(weight == 0 for span, weight in zip(spans, found.weight_T, strict=True) if span is None)


def test_pieces_beyond_what_is_read_leave_their_words_without_weight(judged):
    long = " ".join(["oak"] * 40)
    weights = next(iter(weigh_all(open_judge(judged), "red", long).values()))
    assert weights[0] is not None
    assert weights.count(None) == 41 - 13  # of 16 tokens three are marks


@pytest.mark.parametrize("model", ["judged", "searched"])
def test_a_text_that_goes_on_and_on_is_explained_by_what_is_read_of_it(model, request):
    judge = open_judge(request.getfixturevalue(model))
    begun = ["red", "lamp", *["oak"] * 60]
    short, long = (explain_pair(judge, "red lamp", " ".join([*begun, *["small"] * more])) for more in (0, 20_000))
    assert (long.score, long.method) == (short.score, short.method)
    assert max(map(len, lines_of(long, coloured=False))) < 1000
    if long.method is not None:
        assert [part.weight for part in long.parts[:5]] == [part.weight for part in short.parts[:5]]
        assert len(long.parts) == 2 + len(begun) + 20_000
        assert long.parts[-1].weight is None
    assert explain_pair(judge, "!", "\N{FIRE}").unfit.startswith("neither text has a word")


def test_the_pairs_of_words_add_up_to_the_cosine(searched):
    judge: Any = open_judge(searched)
    cosine = float(judge.choose(QUERY, PRODUCT).of([QUERY], [PRODUCT])[0])
    assert share_cosine(judge.encoder, QUERY, PRODUCT).share_QP.sum() == pytest.approx(cosine, abs=1e-5)
    found = explain_pair(judge, QUERY, PRODUCT)
    assert found.unit == "cosine"
    if found.method is Method.SIMILARITY:
        assert {part.nearest for part in found.parts} <= {*QUERY.split(), *PRODUCT.split()}


def test_what_is_named_went_the_answers_way():
    assert name_parts([0.5, -0.9, 0.1, 0.2, 0.0, 0.3]) == (0, 5)
    assert name_parts([0.5, -0.9, 0.1, 0.2, 0.0, 0.3], way=-1.0) == (1,)
    assert name_parts([-0.5, -0.1]) == ()


def test_the_deletion_score_is_of_the_named_parts_beside_chance():
    true = np.array([3.0, 0.1, 0.1, 0.1, 0.1, 0.1])

    def score_without(sets):
        return np.array([true.sum() - true[list(places)].sum() for places in sets])

    rng = np.random.default_rng(0)
    found = check_deletion((0,), float(true.sum()), range(6), score_without, rng)
    assert found == Deletion(pytest.approx(3.0), pytest.approx(0.1), 1.0)
    wrong = check_deletion((1,), float(true.sum()), range(6), score_without, rng)
    assert wrong is not None
    assert not wrong.holds
    assert check_deletion((0,), 3.0, [0], score_without, rng) is None
    assert leave_one_out(float(true.sum()), 6, score_without) == pytest.approx(true.tolist())
    # A method that names the wrong word gives way to one that names the right one.
    methods = [(Method.GRADIENTS, lambda: [0, 9, 0, 0, 0, 0]), (Method.LEFT_OUT, true.tolist)]
    held = first_that_holds(methods, float(true.sum()), score_without)
    assert isinstance(held, tuple)
    assert held[0] is Method.LEFT_OUT
    assert first_that_holds(methods[:1], float(true.sum()), score_without) == Deletion(
        pytest.approx(0.1), pytest.approx(0.68), pytest.approx(0.0)
    )


def test_of_two_parts_that_say_the_same_the_second_counts_once_the_first_is_out():
    own = np.array([0.35, 0.1, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])

    def score_without(sets):
        return np.array(
            [own.sum() - own[list(places)].sum() + (0.0 if {0, 1} <= set(places) else 2.0) for places in sets]
        )

    whole = float(own.sum() + 2.0)
    assert name_parts(leave_one_out(whole, 9, score_without)) == (0, 2, 3)
    weights = leave_out_in_turn(whole, 9, score_without)
    assert name_parts(weights) == (1, 0, 2)
    assert weights == pytest.approx([0.35, 2.1, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(-9, 9)), st.sampled_from([1.0, -1.0]))
def test_where_parts_add_up_leaving_them_out_in_turn_names_what_leave_one_out_does(own, way):
    def score_without(sets):
        return np.array([own.sum() - own[list(places)].sum() for places in sets])

    alone = leave_one_out(float(own.sum()), len(own), score_without)
    in_turn = leave_out_in_turn(float(own.sum()), len(own), score_without, way)
    assert in_turn == pytest.approx(alone, abs=1e-9)


def test_random_weights_agree_with_none_and_the_same_weights_with_themselves(judged):
    judge: Any = open_judge(judged)
    query, product = "red lamp", "small blue oak lamp new large"
    mine = weigh_all(judge, query, product)[Method.GRADIENTS]
    assert rank_agreement(mine, mine) == pytest.approx(1.0)
    others = [replace(judge, model=randomised(judge.model, seed)) for seed in range(16)]
    agreed = [rank_agreement(mine, weigh_all(other, query, product)[Method.GRADIENTS]) for other in others]
    assert abs(np.mean(agreed)) < 0.4
    assert set(try_methods(judge, query, product)) == {Method.GRADIENTS, Method.LEFT_OUT, Method.IN_TURN}
    assert np.isnan(rank_agreement([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def test_of_classes_the_one_that_is_taken_is_explained(tmp_path):
    scale = LabelScale(CLASSES, 0.0, 1.0, 0.5, ("no", "partly", "yes"))
    judge = open_judge(save_judge(tmp_path / "model", make_bert(tmp_path / "bare"), scale))
    found = explain_pair(judge, QUERY, PRODUCT)
    assert found.answer.split(",")[0] in scale.classes
    assert found.unit == "log of the class's chance"
    assert found.score < 0


HOSTILE = Explanation(
    "<script>alert(1)</script>",
    'lamp" onmouseover="x',
    "relevant with a chance of 0.90",
    2.2,
    "logit",
    Method.LEFT_OUT,
    (
        WeighedPart("<b>\x1b[31m", Side.QUERY, 1.5, is_named=True, nearest="<i>"),
        WeighedPart("钻", Side.PRODUCT, -0.5),
        WeighedPart("cut", Side.PRODUCT, None),
    ),
    Deletion(1.5, 0.2, 1.0),
)


def test_a_page_escapes_all_texts_and_has_title_score_legend_and_dark_colours():
    page = page_of([HOSTILE])
    assert "<script" not in page
    assert "<b>" not in page
    assert 'onmouseover="x' not in page
    for wanted in ("&lt;script&gt;", "+2.2000", "Legend", "prefers-color-scheme: dark", "not read", "leave one out"):
        assert wanted in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_terminal_is_moved_by_no_text_and_coloured_only_where_asked():
    assert "\x1b" not in "".join(lines_of(HOSTILE, coloured=False))
    assert "".join(lines_of(HOSTILE, coloured=True)).count("\x1b") == 4
    unfit = replace(HOSTILE, method=None, parts=(), deletion=Deletion(0.1, 0.2, 0.0), unfit="no method holds")
    assert "no words are shown: no method holds" in "".join(lines_of(unfit, coloured=False))
    assert "no words are shown" in page_of([unfit])


def test_what_a_run_keeps_is_read_again(tmp_path):
    path = tmp_path / "explanations.json"
    write_explanations([HOSTILE, replace(HOSTILE, method=None, parts=(), deletion=None, unfit="alone")], path)
    assert read_explanations(path)[0] == HOSTILE
    assert read_explanations(path)[1].unfit == "alone"
    write_explanations([replace(HOSTILE, deletion=None)], path)
    with pytest.raises(DataError, match="'method' is there and 'deletion' is null"):
        read_explanations(path)


def test_asking_why_prints_words_and_writes_a_page_once(judged, searched, tmp_path, capsys):
    page = tmp_path / "why.html"
    asked = ["--query", QUERY, "--product", PRODUCT]
    assert main(["explain", str(judged), *asked, "--html", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["explanations"][0]
    assert (told["asked"], told["product"]) == (QUERY, PRODUCT)
    assert told["method"] is None or told["deletion"]["named"] > told["deletion"]["by_chance"]
    assert "relevant with a chance of" in page.read_text()
    assert main(["explain", str(judged), *asked, "--html", str(page)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["explain", str(searched), *asked]) == 0
    assert "cosine" in capsys.readouterr().out


def test_asking_why_wrongly_is_told_in_a_sentence(judged, searched, tmp_path, capsys):
    kept = tmp_path / "output"
    kept.mkdir()
    (kept / "explanations.json").write_text("[")
    outputs = tmp_path / "outputs"
    (outputs / "model").mkdir(parents=True)
    (outputs / "model" / "retrieval.json").write_text("{}")
    for words, said in (
        ([str(judged)], "give one of --query TEXT and --user ID"),
        ([str(judged), "--query", "lamp"], "--product TEXT is missing"),
        ([str(judged), "--query", "lamp", "--product", " "], "--product is empty"),
        ([str(judged), "--query", "", "--product", "x"], "--query is empty"),
        ([str(judged), "--query", "\u200b", "--product", "x"], "--query holds nothing that is read"),
        ([str(judged), "--query", "x", "--product", "x", "--snapshot", "y"], "go together with --user ID"),
        ([str(judged), "--user", "1", "--product", "x"], "goes together with one of"),
        (
            [str(judged), "--user", "1", "--product", "x", "--snapshot", "y"],
            "is a relevance model, which is asked with",
        ),
        ([str(searched), "--user", "1", "--product", "x", "--snapshot", "y"], "is a retrieval model, which is asked"),
        ([str(kept), "--query", "x", "--product", "x"], "nor scorer.json; a model that `fit` saved does\n"),
        ([str(outputs), "--query", "x", "--product", "x"], f"a model that `fit` saved does: {outputs / 'model'}\n"),
        ([str(tmp_path / "none"), "--query", "x", "--product", "x"], "there is no such model folder"),
        ([str(judged), "--query", "x", "--product", "x", "--html", str(tmp_path / "a/b")], "there is no such folder"),
        ([str(kept)], "explanations.json: not explanations that can be read"),
    ):
        assert main(["explain", *words]) == 2
        assert said in capsys.readouterr().err


def test_of_a_user_the_purchases_that_carried_an_item_are_named(snapshot_folder, tmp_path, capsys):
    encoder = TextEncoder(find_source(ModelJob(folder=make_model(tmp_path / "bare"))), trained_layers=1, max_tokens=16)
    encoder.save(tmp_path / "model")
    save_scorer(Scorer(ScoreJob(), 16, encoder.embed(["milk", "bread"]).mean(0)), tmp_path / "model")
    asked = ["--user", "1", "--snapshot", str(snapshot_folder)]
    item = read_snapshot(snapshot_folder).catalogue.item_ids[3]
    assert main(["explain", str(tmp_path / "model"), *asked, "--product", item, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["explanations"][0]
    assert told["answer"].startswith("place ")
    assert told["method"] in (None, "leave one out", "leave one out after another")
    assert all(word["side"] == "purchase" for word in told["words"])
    assert main(["explain", str(tmp_path / "model"), *asked, "--product", "caviar"]) == 2
    assert "'caviar' is neither an id nor a text" in capsys.readouterr().err
    assert main(["explain", str(tmp_path / "model"), "--query", "milk", "--product", "bread"]) == 2
    assert "is asked with --user ID" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["relevance", "retrieval"])
def test_a_job_that_asks_for_it_keeps_why_its_worst_examples_were_answered_so(task, place, capsys):
    data = write_rows(place / "rows.csv", make_rows(by_colour=True), "binary")
    job = write_job(place, task, data, make_bert(place / "bert"), "explain = { worst = 3 }")
    small = {"relevance": ["train.pairs=32"], "retrieval": ["train.batch=8", "train.layers=1"]}[task]
    assert fit(job, *small) == 0
    kept = read_explanations(place / task / "explanations.json")
    assert len({one.example_id for one in kept}) == 3
    assert all((one.method is None) == bool(one.unfit) for one in kept)
    capsys.readouterr()
    assert main(["explain", str(place / task)]) == 0
    assert kept[0].asked in capsys.readouterr().out
    without = place / task / "explanations.json"
    without.unlink()
    assert main(["explain", str(place / task)]) == 2
    assert "its job had no [explain] with worst = 3" in capsys.readouterr().err

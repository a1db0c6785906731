import numpy as np
import pytest
import torch
from scipy import sparse

from trainer.data.trips import Histories
from trainer.errors import ModelError
from trainer.jobs.schema import ScoreJob
from trainer.models.history_scorer import NEAR_FLOOR, Scorer, load_scorer, save_scorer

SETTINGS = ScoreJob(temperature=0.2, near_temperature=0.1, near=0.7)


@pytest.fixture
def scorer() -> Scorer:
    torch.manual_seed(0)
    return Scorer(SETTINGS, 16, torch.randn(4))


def test_a_score_is_bag_cosine_plus_the_log_of_near_ones(scorer):
    vectors = torch.randn(3, 4)
    bag, near = (sparse.csr_array(np.array([row])) for row in ([0.25, 0.75, 0.0], [0.5, 0.5, 0.0]))
    found = scorer.score(scorer.unit_vectors(vectors), bag, near)[0]
    unit = [(v - scorer.centre_D) / torch.linalg.norm(v - scorer.centre_D) for v in vectors]
    user = 0.25 * unit[0] + 0.75 * unit[1]
    for text in range(3):
        cosine = user @ unit[text] / torch.linalg.norm(user)
        kernel = sum(0.5 * torch.exp((unit[item] @ unit[text] - 1) / 0.1) for item in (0, 1))
        assert found[text] == pytest.approx(float(cosine / 0.2 + 0.7 * torch.log(kernel + NEAR_FLOOR)), rel=1e-5)


def test_histories_spread_over_texts_sum_to_one_with_equal_texts_joined():
    histories = Histories(np.array([0, 3, 4]), np.array([0, 1, 2, 1]), np.array([4.0, 1.0, 1.0, 2.0]))
    spread = histories.as_weights(2, 3, 0.5, np.array([0, 1, 0])).toarray()
    assert spread.tolist() == [[pytest.approx(0.75), pytest.approx(0.25)], [0.0, 1.0]]


def test_a_saved_scorer_reads_back_the_same(scorer, tmp_path):
    save_scorer(scorer, tmp_path)
    found = load_scorer(tmp_path)
    assert found is not None
    assert (found.settings, found.max_tokens) == (scorer.settings, 16)
    assert torch.equal(found.centre_D, scorer.centre_D)


def test_a_bare_encoder_has_no_scorer(tmp_path):
    assert load_scorer(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "{}", '{"max_tokens": 16, "score": {"temprature": 1}}', "[]"])
def test_a_scorer_that_cannot_be_read_is_told(scorer, tmp_path, text):
    save_scorer(scorer, tmp_path)
    (tmp_path / "scorer.json").write_text(text)
    with pytest.raises(ModelError, match="not a scorer this version can read"):
        load_scorer(tmp_path)


def test_a_scorer_without_its_centre_is_told(scorer, tmp_path):
    save_scorer(scorer, tmp_path)
    (tmp_path / "scorer.safetensors").unlink()
    with pytest.raises(ModelError, match="not a scorer this version can read"):
        load_scorer(tmp_path)

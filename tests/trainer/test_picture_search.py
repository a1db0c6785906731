"""What pictures add to lists of texts, and how the maps into their space are learnt."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import ModelError
from trainer.learning.hard_negatives import Known
from trainer.learning.picture_contrast import make_picture_contrast, picture_loss
from trainer.models.hybrid_search import Found
from trainer.models.picture_search import NO_PICTURE, make_picture_engine
from trainer.models.picture_space import PictureSpace
from trainer.models.saved_pictures import PictureSettings, SavedPictures, load_pictures, save_pictures

TOP = 10


def listed(scores: dict[int, float]) -> Found:
    order = sorted(scores, key=lambda item: -scores[item])
    return Found(np.array(order, dtype=np.int64), np.array([scores[item] for item in order], dtype=np.float64))


def engine_of(cosines: list[float | None], texts: list[bool] | None = None):
    """Index pictures of which each has a cosine with the query (1, 0); None is a product without one."""
    known = [cosine for cosine in cosines if cosine is not None]
    vectors = np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in known], dtype=np.float32).reshape(-1, 2)
    place = iter(range(len(known)))
    places = np.array([NO_PICTURE if cosine is None else next(place) for cosine in cosines], dtype=np.int64)
    has_text = np.ones(len(cosines), dtype=np.bool_) if texts is None else np.array(texts)
    return make_picture_engine(vectors, places, has_text)


ASKED = np.array([1.0, 0.0], dtype=np.float32)


def add(engine, texts: Found, weight: float) -> dict[int, float]:
    found = engine.add(texts, engine.find(ASKED, TOP), ASKED, weight, TOP)
    assert found.scores_L.tolist() == sorted(found.scores_L, reverse=True)
    return dict(zip(found.items_L.tolist(), found.scores_L.tolist(), strict=True))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(0.1, 0.9))
def test_a_product_without_a_picture_stands_where_the_mean_of_the_pictures_would_put_it(cosines, weight):
    """Its rivals on the list of texts gain by their pictures and lose by them, and it does neither."""
    texts = listed({place: float(place) for place in range(len(cosines) + 1)})
    found = add(engine_of([*cosines, None]), texts, weight)
    standard = np.array([float(place) for place in range(len(cosines) + 1)])
    standard = (standard - standard.mean()) / standard.std()
    gained = np.array([found[place] - (1 - weight) * standard[place] for place in range(len(cosines) + 1)])
    assert gained[-1] == pytest.approx(gained[:-1].mean(), abs=1e-9)
    assert gained[:-1].min() - 1e-9 <= gained[-1] <= gained[:-1].max() + 1e-9


def test_with_no_weight_and_with_no_pictures_there_is_what_the_texts_found():
    texts = listed({0: 2.0, 1: 1.0})
    assert engine_of([0.1, 0.9]).add(texts, engine_of([0.1, 0.9]).find(ASKED, TOP), ASKED, 0.0, TOP) is texts
    bare = engine_of([None, None])
    assert bare.add(texts, bare.find(ASKED, TOP), ASKED, 0.7, TOP) is texts


def test_pictures_alone_are_the_list_where_no_text_is_found():
    engine = engine_of([0.1, 0.9, None], [False, False, True])
    found = engine.add(listed({}), engine.find(ASKED, TOP), ASKED, 0.3, TOP)
    assert found.items_L.tolist() == [1, 0]


def test_what_has_no_text_stands_at_the_mean_of_the_texts_of_what_pictures_found():
    engine = engine_of([0.9, 0.8, 0.7], [True, True, False])
    found = add(engine, listed({0: 3.0, 1: 1.0}), 0.0001)
    assert found[1] < found[2] < found[0]


@given(st.integers(0, 2**31))
def test_pictures_beyond_the_list_are_known_by_their_cosines_too(seed):
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(-1, 1, 30).tolist()
    engine, texts = engine_of(cosines), listed({place: float(-place) for place in range(5)})
    found = engine.add(texts, engine.find(ASKED, 3), ASKED, 1.0, 3)
    order = np.argsort(-np.array(cosines, dtype=np.float32)).tolist()
    assert set(found.items_L.tolist()) == set(order[:3]) | set(range(5))
    assert found.items_L.tolist() == [place for place in order if place in set(found.items_L.tolist())]


def test_the_loss_is_that_of_clip_where_every_pair_is_alone():
    torch.manual_seed(0)
    text, image = (torch.nn.functional.normalize(torch.randn(6, 5), dim=1) for _ in range(2))
    rows = np.arange(6)
    contrast = make_picture_contrast(rows, rows, Known(rows * 6 + rows, 6, {}), lambda tensor: tensor)
    logits, wanted = text @ image.T * 14.0, torch.arange(6)
    right = torch.nn.functional.cross_entropy(logits, wanted) + torch.nn.functional.cross_entropy(logits.T, wanted)
    assert float(picture_loss(text, image, contrast, torch.tensor(14.0))) == pytest.approx(float(right) / 2, rel=1e-6)


def test_what_is_known_to_answer_a_query_is_nobodys_negative():
    """Of two pictures that answer query 0, neither is held against the other; nor query 1 against query 0 by picture 0."""
    queries, pictures = np.array([0, 1, 2]), np.array([0, 0, 2])
    known = Known(np.unique([0 * 3 + 0, 0 * 3 + 2, 1 * 3 + 0, 2 * 3 + 2]), 3, {})
    contrast = make_picture_contrast(queries, pictures, known, lambda tensor: tensor)
    assert contrast.towards.blocked_BC.tolist() == [[False, True], [False, False], [False, False]]
    assert contrast.blocked_BQ.tolist() == [[False, True, False], [True, False, False], [True, False, False]]


def saved(folder, **changes):
    space = PictureSpace(4, 6, 2)
    unit = torch.nn.functional.normalize(torch.randn(3, 2), dim=1).numpy()
    told = {
        "size": 2,
        "weight": 0.4,
        "tower": "t",
        "tower_sha256": "0" * 64,
        "tower_licence": "MIT",
        "temperature": 0.07,
    }
    places = changes.pop("places", np.array([0, NO_PICTURE, 2, 1]))
    save_pictures(SavedPictures(PictureSettings(**{**told, **changes}), space, unit, places), folder)
    return space, unit


def test_what_is_saved_is_read_again_and_damage_is_told(tmp_path):
    assert load_pictures(tmp_path) is None
    space, unit = saved(tmp_path)
    found = load_pictures(tmp_path)
    np.testing.assert_array_equal(found.unit_PS, unit)
    assert torch.equal(found.space.text.weight, space.text.weight)
    asked = found.space.find_queries(np.ones((2, 4), dtype=np.float32))
    np.testing.assert_allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-6)
    with pytest.raises(ModelError, match="is of 4 products, the catalogue of 5"):
        found.search(np.ones(5, dtype=np.bool_))
    saved(tmp_path, places=np.array([0, 7]))
    with pytest.raises(ModelError, match="do not fit each other: the model is damaged"):
        load_pictures(tmp_path)
    saved(tmp_path, size=3)
    with pytest.raises(ModelError, match="holds no pictures that can be read"):
        load_pictures(tmp_path)
    (tmp_path / "pictures.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="holds no pictures that can be read"):
        load_pictures(tmp_path)
    (tmp_path / "pictures.json").write_text("{}")
    with pytest.raises(ModelError, match="not settings this version can read"):
        load_pictures(tmp_path)

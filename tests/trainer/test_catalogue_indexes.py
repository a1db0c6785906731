"""Indexes are built once a job: the words of all texts, and each set of vectors for each catalogue."""

from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainer.tasks.catalogue_indexes as indexes
from tests.trainer.fitting import fit, result_of
from tests.trainer.queries import COLOURS, FILLER, THINGS, make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.data.words import split_words
from trainer.models.bm25 import LENGTH, SATURATION, count_words, index_words, weigh_words

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

TEXTS = st.lists(
    st.lists(st.sampled_from((*COLOURS, *THINGS, *FILLER)), max_size=6).map(" ".join), min_size=1, max_size=20
)


@given(texts=TEXTS, query=st.lists(st.sampled_from((*COLOURS, *THINGS)), max_size=5).map(" ".join))
def test_words_score_as_bm25s_has_them(texts, query):
    import bm25s

    words = [split_words(text) for text in texts]
    if not any(words):
        assert not index_words(texts).score(query).any()
        return
    reference = bm25s.BM25(k1=SATURATION, b=LENGTH)
    reference.index(words, show_progress=False)
    known = [word for word in split_words(query) if word in reference.vocab_dict]
    right = reference.get_scores(known) if known else np.zeros(len(texts))
    np.testing.assert_allclose(index_words(texts).score(query), right, atol=1e-5)


@given(texts=TEXTS, chosen=st.lists(st.integers(0, 19), min_size=1, max_size=30), query=st.sampled_from(THINGS))
def test_a_catalogue_of_counted_texts_scores_as_if_it_were_alone(texts, chosen, query):
    places = np.array(chosen) % len(texts)
    part = weigh_words(count_words(texts), places).score(query)
    np.testing.assert_allclose(part, index_words([texts[place] for place in places]).score(query), atol=1e-6)


@pytest.fixture
def built(monkeypatch) -> dict[str, int]:
    """Count what is built, the building itself being what it is."""
    counts = {"words": 0, "vectors": 0}

    def counted(kind: str, build: Any) -> Any:
        def build_counted(*arguments: Any) -> Any:
            counts[kind] += 1
            return build(*arguments)

        return build_counted

    monkeypatch.setattr(indexes, "count_words", counted("words", indexes.count_words))
    monkeypatch.setattr(faiss, "IndexFlatIP", counted("vectors", faiss.IndexFlatIP))
    return counts


@pytest.mark.parametrize(("cut", "vectors"), [(False, 3), (True, 5)])
def test_a_fit_builds_each_index_once(place, built, cut, vectors):
    bert = make_bert(place / "bert")
    job = write_job(place, "retrieval", write_rows(place / "pairs.csv", make_rows()), bert, "relevant = 3.0")
    settings = ["train.batch=8", "train.layers=1"]
    rows = [row for row in make_rows() if row.part != "test" or row.query.startswith("red")]
    write_rows(place / "few.csv", rows)
    settings += [f"data.path={place}/few.csv", "data.catalogue=40"] if cut else []
    assert fit(job, *settings) == 0
    # The untrained model's vectors of texts, and its and the tuned ones' of each catalogue: valid and test share one
    # unless it is cut.
    assert built == {"words": 1, "vectors": vectors}
    built.update(words=0, vectors=0)
    again = ["--model", str(place / "retrieval" / "model"), "--set", f"output={place}/again"]
    more = [word for setting in settings[2:] for word in ("--set", setting)]
    assert main(["evaluate", str(job), *again, *more]) == 0
    assert built == {"words": 1, "vectors": 1}
    first, second = (result_of(place / name)["metrics"]["mrr"] for name in ("retrieval", "again"))
    assert second == pytest.approx(first, abs=1e-6)

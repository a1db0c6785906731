import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.models.token_batches import cut_by_tokens


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(1, 200))
def test_every_row_is_run_once_and_no_run_of_several_is_filled_up_beyond_its_tokens(lengths, tokens):
    lengths = np.sort(np.array(lengths, dtype=np.int64))
    runs = cut_by_tokens(np.arange(len(lengths)), lengths, tokens)
    assert np.concatenate(runs).tolist() == list(range(len(lengths)))
    assert all(len(run) == 1 or lengths[run].max() * len(run) <= tokens for run in runs)


def test_two_texts_of_very_unlike_lengths_are_not_run_together():
    runs = cut_by_tokens(np.arange(3), np.array([4, 4, 60]), 128)
    assert [run.tolist() for run in runs] == [[0, 1], [2]]

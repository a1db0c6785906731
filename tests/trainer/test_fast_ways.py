"""What the quick ways of reading give is what the slow ones give."""

import gc

import pytest

from trainer.data.near_duplicates import signature, trigrams
from trainer.data.text_normalisation import STEPS, normalise, read_as
from trainer.environment import nothing_collected

TEXTS = (
    "",
    " ",
    "a",
    "a b",
    " a",
    "a ",
    "a  b",
    "a\tb",
    "a\x00b",
    "R&D",
    "a &amp; b",
    "1 < 2",
    "<b>x</b>",
    "caf\u00e9",
    "\uff21",
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_needs_nothing_is_told_apart_from_one_that_needs_a_step(text: str) -> None:
    slowly = text
    for _, step in STEPS:
        slowly = step(slowly)

    assert normalise(text) == slowly


@pytest.mark.parametrize("blank", "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f ")
def test_every_blank_is_one_blank_to_a_reader(blank: str) -> None:
    assert read_as(f"{blank}Red{blank}{blank}Shoe{blank}") == "red shoe"


def test_a_plural_is_cut_from_words_of_four_letters_on() -> None:
    assert signature("gas Shoes 12 shoes_box") == "12 box gas shoe shoe"


def test_the_order_of_words_and_how_often_each_stands_leave_trigrams_alone() -> None:
    assert trigrams("red shoe red") == trigrams("shoe red")
    assert len(trigrams("a")) == 1


def test_nothing_is_collected_within_and_all_is_again_behind_it_even_after_an_error() -> None:
    @nothing_collected()
    def breaks() -> None:
        assert not gc.isenabled()
        raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        breaks()

    assert gc.isenabled()

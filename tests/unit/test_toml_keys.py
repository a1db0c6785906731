"""Keys that people are told of can be copied into the file."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text.toml_keys import key_path, quoted


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        (("pipeline", "next-purchase", "metrics", "hr_at_10"), "pipeline.next-purchase.metrics.hr_at_10"),
        (("pipeline", "search.v2", "metrics", "ndcg@10"), 'pipeline."search.v2".metrics."ndcg@10"'),
        (("metrics", "p%d"), 'metrics."p%d"'),
        (("metrics", 'a "b"'), 'metrics."a \\"b\\""'),
        (("metrics", "命中率"), 'metrics."命中率"'),
        (("metrics", ""), 'metrics.""'),
    ],
)
def test_a_part_that_is_no_bare_key_stands_in_quotes(parts, written):
    assert key_path(*parts) == written


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(texts, min_size=1, max_size=4), texts)
def test_whatever_a_key_is_made_of_toml_reads_it_back(parts, value):
    found = tomllib.loads(f"{key_path(*parts)} = {quoted(value)}")
    for part in parts:
        found = found[part]
    assert found == value

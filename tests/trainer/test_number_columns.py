"""A column of numbers is written in one way from its first row to its last, wherever the row stands that tells."""

import numpy as np
import pytest

from trainer.data.number_columns import NumberReader
from trainer.data.tables import read_batches
from trainer.errors import DataError


def read(path, *values, rows=2):
    (path / "t.csv").write_text("amount|z\n" + "".join(f"{value}|1\n" for value in values))
    reader = NumberReader("amount", lambda: read_batches(path / "t.csv", ["amount"], rows=rows))
    return [number for batch in read_batches(path / "t.csv", ["amount"], rows=rows) for number in reader.read(batch)]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (("1,234", "1", "1", "2,5"), (1.234, 1, 1, 2.5)),
        (("1,234", "1", "1", "1,234.5"), (1234, 1, 1, 1234.5)),
        (("2,5", "1", "1,234", "1.234"), (2.5, 1, 1.234, 1234)),  # a point alone is read as the rows before it say
        (("1,234.5", "1", "1,234", "2"), (1234.5, 1, 1234, 2)),
        (("1", "2", "2,5", "1.234,5"), (1, 2, 2.5, 1234.5)),
        (("1", "", "NULL", "2,5"), (1, np.nan, np.nan, 2.5)),
        (("1.234", "2.5", "3", "4"), (1.234, 2.5, 3, 4)),
        (("1.234.567", "1"), (1234567, 1)),
    ],
)
def test_batches_are_read_alike(tmp_path, values, numbers):
    np.testing.assert_array_equal(read(tmp_path, *values), numbers)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("1.234", "1", "2,5", "1"), "row 3: 'amount' is '2,5', not written like the rows before it, with a point"),
        (("2.5", "1", "1", "2,5"), "row 4: 'amount' is '2,5', not written like the rows before it, with a point"),
        (("1,234.5", "1", "1", "2,5"), "row 4: 'amount' is '2,5', not a number"),
        (("2,5", "1", "1,234.5", "1"), "row 3: 'amount' is '1,234.5', not a number with a decimal comma"),
        (("1", "1", "1,234", "1"), r"row 3: 'amount' is '1,234', .* decimal = \",\" or decimal = \".\" says"),
        (("1", "1", "lots", "1"), "row 3: 'amount' is 'lots', not a number"),
    ],
)
def test_what_is_written_otherwise_is_named_with_its_row(tmp_path, values, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, *values)


def test_a_key_that_many_objects_leave_out_is_found_where_it_first_comes(tmp_path):
    lines = ['{"amount": 1}\n'] * 5 + ['{"amount": 2, "note": "late"}\n']
    (tmp_path / "t.jsonl").write_text("".join(lines))
    batches = list(read_batches(tmp_path / "t.jsonl", ["amount", "note"], rows=2))
    assert [one for batch in batches for one in batch.columns["note"].to_pylist()] == [None] * 5 + ["late"]
    with pytest.raises(DataError, match="column 'nowhere' is missing; it has amount, note"):
        list(read_batches(tmp_path / "t.jsonl", ["amount", "nowhere"], rows=2))

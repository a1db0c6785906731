"""Every number of a run has a name that MLflow takes, and a name of its own."""

import posixpath
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.results.logged_metrics import LONGEST, distinct_names, legal_name
from trainer.tracking.mlflow import Recorder

TAKEN = re.compile(r"^[/\w.\- :]*$")  # mlflow.utils.validation


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text("a./_ ²台\n\0", max_size=4) | st.text("ab", min_size=LONGEST, max_size=LONGEST + 2), unique=True)
)
def test_each_slice_has_a_name_that_mlflow_takes_and_no_other_has(values):
    names = distinct_names(values)
    assert len(set(names.values())) == len(values)
    for name in names.values():
        path = f"room/{name}/auc"
        assert TAKEN.match(path)
        assert posixpath.normpath(path) == path
        assert len(name) < LONGEST + 10


@pytest.mark.parametrize(
    ("value", "name"), [("..", "__"), ("", "none"), ("living/dining", "living_dining"), ("a.b", "a.b")]
)
def test_a_name_is_kept_as_far_as_it_can_be(value, name):
    assert legal_name(value) == name
    assert distinct_names([value, "another"])[value] == name


def test_two_values_that_would_share_a_name_are_told_apart_and_a_plain_one_stays():
    names = distinct_names(["a_b", "a/b", "a b"])
    assert (names["a_b"], names["a b"]) == ("a_b", "a b")
    assert re.fullmatch("a_b-[0-9a-f]{8}", names["a/b"])


@dataclass
class Batches:
    """Stands for a client of MLflow, which refuses a batch of more than 1000."""

    sent: list[int] = field(default_factory=list)

    def log_batch(self, run_id: str, metrics: list[object]) -> None:  # noqa: ARG002 - as MLflow's
        assert len(metrics) <= 1000
        self.sent.append(len(metrics))


def test_more_numbers_than_mlflow_takes_at_a_time_are_all_told():
    client = Batches()
    Recorder(client, "run", "0").log_metrics({f"room/{number}/auc": float(number) for number in range(1001)})
    assert client.sent == [1000, 1]

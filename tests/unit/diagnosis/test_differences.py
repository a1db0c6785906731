"""What is different about the runs since a fall: named from what is on record, most suspected first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import job_protocol as seam
from bot.domain.diagnosis.differences import Differences, differences, setting_of
from bot.domain.manifest import Component, ComponentKind, Ingredient, Manifest, manifest_of
from bot.domain.runs import DataCard, Dataset, Run, RunStatus

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CODE, DATA, TEST_SET = (Component(kind) for kind in (ComponentKind.CODE, ComponentKind.DATA, ComponentKind.TEST_SET))


def made_from(card: dict[str, str] | None = None, **fields: Any) -> Manifest:
    run = Run("r", "night", RunStatus.FINISHED, NOON, NOON + timedelta(hours=1), **fields)
    return manifest_of(run, DataCard(texts=card or {}))


def of(**parts: str) -> Manifest:
    """Make a manifest of short names: a kind, or a parameter."""
    kinds = {kind.value: kind for kind in ComponentKind}
    named = {
        Component(kinds[name]) if name in kinds else Component(ComponentKind.PARAM, name): v
        for name, v in parts.items()
    }
    return {component: Ingredient(value, value) for component, value in named.items()}


def names(found: Differences) -> list[str]:
    return [each.component.name or each.component.kind.value for each in found.found]


def test_the_tags_of_the_protocol_are_what_a_run_was_made_from():
    tags = {
        seam.COMMIT_TAG: "c0ffee",
        seam.DATA_TAG: "d1",
        seam.TEST_SET_TAG: "t1",
        seam.LOCK_TAG: "l1",
        seam.ENVIRONMENT_TAG: "python 3.11.9, torch 2.9.0",
        seam.MACHINE_TAG: "node7, x86_64",
    }
    found = made_from(tags=tags, params={"lr": "0.1", "seed": "3", "data.hash": "d1"})
    assert {str(component): part.identity for component, part in found.items()} == {
        "code": "c0ffee",
        "data": "d1",
        "test_set": "t1",
        "environment": "l1",
        "machine": "node7, x86_64",
        "param.lr": "0.1",
        "seed": "3",
    }
    assert found[Component(ComponentKind.ENVIRONMENT)].shown == "python 3.11.9, torch 2.9.0"


def test_data_sets_that_mlflow_has_as_inputs_are_told_apart_by_what_they_were_for():
    inputs = (Dataset("orders", "a1", "training"), Dataset("held out", "b2", "Testing"), Dataset("users", "c3"))
    found = made_from(datasets=inputs)
    assert found[DATA].shown == "orders a1, users c3"
    assert found[TEST_SET].shown == "held out b2"


def test_facts_of_a_data_card_without_a_hash_stand_for_the_data():
    assert made_from({"snapshot": "1 May"})[DATA] != made_from({"snapshot": "2 May"})[DATA]
    assert made_from({"snapshot": "1 May"})[DATA] == made_from({"snapshot": "1 May"})[DATA]


def test_a_change_without_harm_before_makes_a_component_less_suspected():
    accepted = [of(code=f"c{number}", lr="1") for number in range(8)]
    assert names(differences(accepted, of(code="c9", lr="2"))) == ["lr", "code"]
    steady = [of(code="c1", lr="1") for _ in range(8)]
    assert names(differences(steady, of(code="c9", lr="1", seed="4"))) == ["code"]


def test_what_a_good_run_had_as_well_is_hardly_suspected():
    accepted = [of(data="d1", code="c1"), of(data="d2", code="c1"), of(data="d1", code="c1")]
    found = differences(accepted, of(data="d2", code="c2"))
    assert names(found) == ["code", "data"]
    assert [each.had for each in found.found] == [0, 1]
    assert found.found[1].suspicion < 0.1


def test_what_only_one_side_has_on_record_is_unknown_rather_than_different():
    found = differences([of(code="c1")], of(code="c1", data="d1", lr="1"))
    assert found.found == ()
    assert {ComponentKind.DATA, ComponentKind.TEST_SET, ComponentKind.PARAM} <= set(found.unknown)
    assert ComponentKind.CODE not in found.unknown


def test_a_parameter_that_came_or_went_is_a_difference():
    found = differences([of(lr="1", old="x")], of(lr="1", new="y"))
    assert [(str(each.component), each.before, each.now) for each in found.found] == [
        ("param.new", None, Ingredient("y", "y")),
        ("param.old", Ingredient("x", "x"), None),
    ]


def test_another_test_set_is_the_first_thing_to_know():
    accepted = [of(test_set="t1", data="d1", code="c1")] * 3
    found = differences(accepted, of(test_set="t2", data="d2", code="c2"))
    assert names(found)[0] == "test_set"
    assert found.has_other_test_set
    assert not differences(accepted, of(test_set="t1", data="d2", code="c2")).has_other_test_set


def test_earlier_runs_with_some_of_the_differences_are_reruns_that_cost_nothing():
    found = differences([of(data="d1", code="c1")], of(data="d2", code="c2")).found
    places = {each.component: place for place, each in enumerate(found)}
    mixed = setting_of(of(data="d2", code="c1"), found)
    assert mixed is not None
    assert (mixed[places[DATA]], mixed[places[CODE]]) == (True, False)
    assert setting_of(of(data="d0", code="c1"), found) is None


def test_a_test_set_that_moves_along_with_the_days_does_not_keep_numbers_from_being_compared():
    accepted = [of(test_set=f"t{day}") for day in range(4)]
    assert not differences(accepted, of(test_set="t9")).has_other_test_set


@pytest.mark.parametrize("accepted", [[], [of(code="c1")] * 3])
def test_runs_that_differ_in_nothing_have_no_differences(accepted):
    assert differences(accepted, of(code="c1")).found == ()


KEYS = st.sampled_from(["code", "data", "test_set", "seed", "lr", "batch", "machine"])
MANIFESTS = st.dictionaries(KEYS, st.sampled_from("abc")).map(lambda parts: of(**parts))


@given(st.lists(MANIFESTS, max_size=5), MANIFESTS)
def test_suspicion_is_shared_out_and_most_comes_first(accepted: list[Manifest], bad: Manifest):
    found = differences(accepted, bad).found
    suspicions = [each.suspicion for each in found]
    assert sum(suspicions) == pytest.approx(1 if found else 0)
    assert suspicions == sorted(suspicions, reverse=True)
    assert all(each.before != each.now for each in found)
    if accepted:
        assert setting_of(bad, found) == (True,) * len(found)
        assert setting_of(accepted[-1], found) == (False,) * len(found)

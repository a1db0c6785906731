"""How many pipelines are seen to at once."""

from bot.serve import cycle_places
from bot.serve.cycle_places import LOOKS_AT_ONCE, CyclePlaces
from tests.unit.simulation import configured

JOB = {"job": {"command": ["true"]}}
LOOKS = [f"look{number}" for number in range(LOOKS_AT_ONCE + 1)]


def config_of(jobs_at_once: int):
    pipelines = {name: {} for name in LOOKS} | dict.fromkeys(("fit", "tune", "score"), JOB)
    return configured(pipelines, jobs_at_once=jobs_at_once)


def test_jobs_and_looks_take_no_places_of_each_other():
    taken = CyclePlaces(config_of(1), {"fit"}, (), {})
    assert not taken.are_left_for("tune")
    for name in LOOKS[:-1]:
        assert taken.are_left_for(name)
        taken.take(name)
    assert not taken.are_left_for(LOOKS[-1])


def test_a_job_takes_a_place_wherever_somebody_is_at_it_and_one_more_for_each_beyond_its_first():
    assert CyclePlaces(config_of(2), {"fit"}, (), {}).are_left_for("tune")
    assert not CyclePlaces(config_of(2), {"fit"}, ("score",), {}).are_left_for("tune")
    assert not CyclePlaces(config_of(2), {"fit"}, (), {"fit": 2}).are_left_for("tune")
    assert not CyclePlaces(config_of(2), {"fit"}, ("gone from config",), {}).are_left_for("tune")


def test_what_is_taken_is_counted_when_somebody_comes_and_not_for_each_that_waits(monkeypatch):
    counted = []
    monkeypatch.setattr(cycle_places, "places_taken", lambda *_: counted.append(1) or 0)
    taken = CyclePlaces(config_of(1), set(), (), {})
    assert all(taken.are_left_for("fit") for _ in range(1000))
    taken.take("fit")
    assert len(counted) == 2

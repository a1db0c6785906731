"""What was concluded is stored whole, in one transaction, and once."""

import pytest

from bot.domain.conclusion import conclude
from bot.domain.incidents import IncidentState
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.runs import RunResult
from bot.judging.context import JudgingContext
from bot.judging.facts import FactReader
from bot.judging.run_recording import Background, RunRecorder
from bot.store import incidents, outbox, runs
from tests.unit.cycle_bench import Bench


@pytest.fixture
def bench(sqlite_url, tmp_path):
    made = Bench(tmp_path, sqlite_url, {})
    yield made
    made.database.close()


@pytest.fixture
def context(bench) -> JudgingContext:
    return JudgingContext("search", bench.herald.config, bench.database, bench.store, bench.clock, bench.step)


def fallen(bench: Bench) -> tuple[RunResult, Assessment]:
    result = RunResult(bench.log(0.4))
    fall = Finding("ndcg", Outcome.REGRESSED, Reason.LEVEL_FELL, value=0.4, baseline=0.8, change=-0.4, spread=0.01)
    return result, Assessment(result.run_id, (fall,), SeriesState(7))


def owed(bench: Bench) -> list[str]:
    with bench.database.begin() as tx:
        return [each.effect.effect_id for each in outbox.outstanding(tx)]


def test_all_that_was_concluded_is_in_the_state(bench, context):
    result, assessment = fallen(bench)
    with bench.database.begin() as tx:
        told = conclude(FactReader(context, bench.now).of_new_run(tx, result, assessment, None))
    RunRecorder(context).record(result, assessment, Background(), None)
    assert owed(bench) == [effect.effect_id for effect in told.effects]
    with bench.database.begin() as tx:
        assert runs.find(tx, "search", result.run_id) == told.run
        assert tuple(incidents.in_states(tx, *IncidentState)) == told.incidents
        assert runs.load_state(tx, context.series_of(result.run)) == told.state


def test_a_run_that_is_on_record_owes_nothing_when_it_is_recorded_again(bench, context):
    result, assessment = fallen(bench)
    assert RunRecorder(context).record(result, assessment, Background(), None)
    before = bench.snapshot()
    assert RunRecorder(context).record(result, assessment, Background(), None) == ()
    assert bench.snapshot() == before


@pytest.mark.parametrize("step", ["run.recording", "run.owing"])
def test_a_recording_that_is_cut_short_leaves_nothing(bench, context, step):
    def breaks(passed: str) -> None:
        if passed == step:
            raise KeyboardInterrupt

    result, assessment = fallen(bench)
    before = bench.snapshot()
    bench.steps = breaks
    with pytest.raises(KeyboardInterrupt):
        RunRecorder(context).record(result, assessment, Background(), None)
    assert bench.snapshot() == before

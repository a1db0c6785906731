"""What becomes of a run that looked bad, rerun by rerun: one more is asked for, or the matter is settled and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlalchemy import Connection

from bot.domain.baselines import BASELINE_RUNS
from bot.domain.checkpoints import OF_RUNS, Checkpoint
from bot.domain.conclusion import Told, conclude_reruns
from bot.domain.confirmation import (
    Measured,
    concerned,
    concerns,
    confirm,
    is_candidate,
    next_recipe,
    settle_by,
    settle_ruled,
)
from bot.domain.fires import Fire
from bot.domain.judge import Assessment, Outcome, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.recipes import AS_CONFIGURED, BASELINE, Recipe
from bot.domain.rerun_answers import Confirmation
from bot.domain.ruled_state import RuledAssessment
from bot.domain.runs import Baseline, RunResult
from bot.domain.worst_examples import WorstExamples
from bot.errors import RunStoreError, in_short
from bot.judging.context import JudgingContext
from bot.judging.facts import FactReader
from bot.judging.reruns import ask
from bot.judging.run_recording import Background, RunRecorder, save_steps
from bot.judging.setting_aside import is_of_all
from bot.judging.worst_examples import gather_examples
from bot.runtime.log import get_logger
from bot.store import confirmations, fires, incidents, runs

NOTHING: Mapping[str, float] = MappingProxyType({})

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Confirmer:
    """Weighs the reruns of one pipeline's runs."""

    context: JudgingContext

    def conclude(self, fire: Fire, measured: Mapping[str, float] = NOTHING) -> Sequence[JudgedRun]:
        """Store that a rerun is over and what it *measured*, and in the same transaction what follows from it.

        Returns the run that was asked about, once its reruns have settled what is said of it. Where that breaks, the
        rerun is over all the same, and the next run tells.
        """
        over = replace(fire, measured=dict(measured))
        try:
            return self._conclude(over, self._worst_of(over))
        except Exception as error:
            if is_of_all(error):
                raise
            log.exception("reruns not settled", pipeline=self.context.name, run=fire.confirms)
            with self.context.database.begin() as tx:
                fires.save(tx, over)
            return ()

    def _worst_of(self, over: Fire) -> Mapping[str, WorstExamples]:
        """Look for the examples that lost most, where this rerun settles that a run is worse.

        Before the transaction in which that is stored: artifacts may be far away. Where they cannot be had, it is told
        without them.
        """
        context = self.context
        if context.section.examples is None:
            return {}
        with context.database.begin() as tx:
            asked = runs.find(tx, context.name, over.confirms or "")
            if asked is None or not asked.wants_confirmation:
                return {}
            stored = fires.reruns_of(tx, context.name, asked.run.run_id)
            accepted = runs.recent(tx, asked.series, BASELINE_RUNS, accepted_only=True, ahead_of=asked.run)
        reruns = [over if fire.fire_id == over.fire_id else fire for fire in stored]
        done = [Measured(fire.recipe.name, fire.measured) for fire in reruns if fire.state.is_over]
        said = settle_by(confirm(asked.run.run_id, asked.findings, done, context.section.policies), asked.assessment)
        if not said.with_outcome(Outcome.REGRESSED):
            return {}
        try:
            result, *earlier = (context.run_store.load(each.run) for each in (asked, *accepted))
        except RunStoreError as error:
            log.warning(
                "shown without examples",
                pipeline=context.name,
                run=asked.run.run_id,
                named=asked.run.name,
                error=in_short(error),
            )
            return {}
        return gather_examples(context, result, said, Baseline(tuple(earlier)), SeriesState())[1]

    def _conclude(self, fire: Fire, worst: Mapping[str, WorstExamples]) -> Sequence[JudgedRun]:
        context = self.context
        with context.database.begin() as tx:
            fires.save(tx, fire)
            context.on_step("rerun.recording")
            told = self._go_on(tx, fire.confirms or "", worst)
            context.on_step("rerun.owing")
        context.on_step("rerun.recorded")
        return () if told is None else (told,)

    def _go_on(self, tx: Connection, run_id: str, worst: Mapping[str, WorstExamples]) -> JudgedRun | None:
        """Ask for one more rerun, or settle the matter; nothing where it is settled, or others are under way."""
        context = self.context
        asked, reruns = runs.find(tx, context.name, run_id), fires.reruns_of(tx, context.name, run_id)
        if asked is None or not asked.wants_confirmation or not all(fire.state.is_over for fire in reruns):
            return None
        done = [Measured(fire.recipe.name, fire.measured) for fire in reruns]
        confirmation = confirm(run_id, asked.findings, done, context.section.policies)
        recipes = {AS_CONFIGURED.name: AS_CONFIGURED, **self._baseline_recipe(tx, asked)}
        plan = replace(context.section.confirm.plan, has_baseline=BASELINE in recipes)
        wanted = next_recipe(confirmation, len(done), plan) if context.section.job is not None else None
        if wanted is not None:
            ask(tx, context, asked.run, recipes[wanted])
            return None
        confirmations.keep(tx, context.name, confirmation, context.clock())
        return self._settle(tx, asked, confirmation, worst)

    def _baseline_recipe(self, tx: Connection, asked: JudgedRun) -> dict[str, Recipe]:
        """Return how what was accepted before is made again, where config says; of none where that run lacks a part."""
        section = self.context.section.confirm.baseline
        accepted = runs.recent(tx, asked.series, 1, accepted_only=True, ahead_of=asked.run)
        if section is None or not accepted:
            return {}
        recipe, run = section.recipe.of(accepted[-1].run), accepted[-1].run
        if isinstance(recipe, str):
            name = self.context.name
            log.warning("no recipe of the baseline", pipeline=name, run=run.run_id, named=run.name, lacks=recipe)
            return {}
        return {BASELINE: recipe}

    def _settle(
        self, tx: Connection, asked: JudgedRun, confirmation: Confirmation, worst: Mapping[str, WorstExamples]
    ) -> JudgedRun | None:
        """Put on record what the reruns came to, and owe what people have to be told of it."""
        context, series = self.context, asked.series
        is_newest = not runs.comes_late(tx, series, asked.run)
        said = self._settled(tx, asked, confirmation, is_newest=is_newest)
        standing = incidents.standing(tx, series)
        if not is_newest:  # later runs have told how the rest stands
            standing = [each for each in standing if is_candidate(each, asked.run.run_id)]
        about = concerned(confirmation, said.told, standing)
        about = about if is_newest or standing else replace(about, findings=())
        relevant = [each for each in standing if concerns(about, each)]
        facts = FactReader(context, context.clock()).of_reruns(tx, asked, about, relevant)
        facts = replace(facts, examples=context.files_of(worst))
        told = conclude_reruns(facts, said, asked)
        self._write(tx, asked, told)
        baseline = Baseline(tuple(RunResult(each.run, each.card) for each in facts.earlier if each.accepted))
        whole = replace(facts, result=replace(facts.result, unread=asked.unread), assessment=said.told)
        RunRecorder(context).owe(tx, whole, told, Background(baseline, worst=worst), context.title_of(asked.run), None)
        log.info(
            "settled by reruns",
            pipeline=context.name,
            run=asked.run.run_id,
            named=asked.run.name,
            outcome=said.told.outcome.value,
        )
        return told.run

    def _settled(
        self, tx: Connection, asked: JudgedRun, confirmation: Confirmation, *, is_newest: bool
    ) -> RuledAssessment:
        """Return what is said of the run now; how its series stands changes with it where no later run says that."""
        state, ruled = runs.load_state(tx, asked.series), runs.load_ruled(tx, asked.series)
        plain = Assessment(asked.run.run_id, asked.without_rules.findings, state)
        said = settle_ruled(confirmation, RuledAssessment(replace(plain, findings=asked.findings), plain, ruled))
        if is_newest:
            return said
        return RuledAssessment(replace(said.told, state=state), replace(said.plain, state=state), ruled)

    def _write(self, tx: Connection, asked: JudgedRun, told: Told) -> None:
        assert told.run is not None
        assert told.state is not None
        series, run_id = asked.series, asked.run.run_id
        runs.settle(tx, told.run)
        runs.save_state(tx, series, told.state, told.ruled)
        save_steps(tx, told.steps, self.context.clock())
        for incident_id in told.superseded:
            incidents.forget(tx, incident_id)
        if run_id in runs.marked(tx, series):
            standing = [each for each in incidents.standing(tx, series) if each.kind in OF_RUNS]
            runs.mark(tx, series, run_id, Checkpoint(told.state, tuple(standing), told.ruled))

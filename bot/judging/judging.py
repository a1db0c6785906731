"""What one run says: judged against what was accepted before it, and stored with the effects owed, all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.config.models import Config
from bot.config.pipeline import PipelineSection
from bot.domain.effects import UpdateSection
from bot.domain.fires import Fire, FireState
from bot.domain.history import open_standing, settle_past
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, advance
from bot.domain.job_protocol import TABLE_FILE
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, assess
from bot.domain.notifications import Places, Publish, effects_of, wants_page
from bot.domain.objects import ObjectKey
from bot.domain.runs import Baseline, DataCard, Run, RunResult, RunStatus, Trouble, Unread
from bot.domain.silence import find_silence
from bot.errors import ArtifactsAwayError, RunStoreError, in_short
from bot.judging import run_views
from bot.pipeline.run_discovery import Watch
from bot.ports import RunStore
from bot.runtime.log import get_logger
from bot.store import Database, aside, contacts, fires, incidents, outbox, pipelines, runs
from bot.store.aside import SetAside
from bot.store.runs import JudgedRun
from bot.text.locales import Locale

BASELINE_RUNS = 20
_HISTORY_RUNS = 40
_LONG_AGO = timedelta(hours=1)  # no service takes so long to show what was made
_LONGEST_SERIES = 500  # characters
_BASELINE_BYTES = 512_000_000  # of per-example tables that a run is held against
_PATIENCE = 3, timedelta(minutes=10)  # tries, or time, after which a run is judged without artifacts that are away

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Past:
    """A run that had ended before first contact."""

    is_newest: bool = False  # of its series
    is_late: bool = False  # later runs of its series were judged before it


@dataclass(frozen=True, slots=True)
class Judging:
    """Judges the runs of one pipeline; what has to be told goes into the outbox."""

    name: str
    config: Config
    database: Database
    run_store: RunStore
    clock: Callable[[], datetime]
    on_step: Callable[[str], None]

    @property
    def pipeline(self) -> PipelineSection:
        return self.config.pipeline[self.name]

    @property
    def title(self) -> str:
        return self.pipeline.title or self.name

    @property
    def _locale(self) -> Locale:
        return self.config.locale_of(self.name)

    @property
    def watch(self) -> Watch:
        return Watch(self.name, self.pipeline, self.database, self.run_store)

    def judge(self, run: Run, fire: Fire | None, past: Past | None = None) -> Sequence[JudgedRun]:
        """Judge one run, and store in one transaction everything it says."""
        series = SeriesKey(self.name, series_of(run, self.pipeline.series_by))
        with self.database.begin() as tx:
            if runs.is_seen(tx, self.name, run.run_id):
                if fire is not None:
                    fires.save(tx, fire)
                return ()
            accepted = runs.recent(tx, series, BASELINE_RUNS, accepted_only=True, before=run.ended)
            last_end = runs.last_end(tx, series)
            state = runs.load_state(tx, series)
            known = [contact.experiment_id for contact in contacts.of_pipeline(tx, self.name) if contact.experiment_id]
        if past is not None and last_end is not None and run.ended < last_end:
            past, state = replace(past, is_late=True), SeriesState()
        result = self._load(run)
        released = self._released(run) if past is None else None
        baseline = Baseline(self._baseline(accepted, known), released)
        self.on_step("run.loaded")
        result, assessment = self._assess(state, result, baseline)
        return self._store(series, result, assessment, baseline, fire, past=past)

    def _load(self, run: Run) -> RunResult:
        """Load a run that is to be judged: without its artifacts where they have been away for long enough."""
        try:
            return self.run_store.load(run)
        except ArtifactsAwayError as error:
            if not self._has_waited(run, error):
                raise
            return RunResult(run, unread=(Unread("artifacts", Trouble.NOT_HAD, in_short(error)),))

    def _has_waited(self, run: Run, error: ArtifactsAwayError) -> bool:
        """Count one more try; say whether there were enough of them, over however many cycles."""
        now, (most, longest) = self.clock(), _PATIENCE
        with self.database.begin() as tx:
            known = aside.find(tx, self.name, run.run_id)
            if known is not None and not known.waits:  # it was set aside, and has all the time there is
                return True
            since, tries = (known.since, known.tries + 1) if known is not None else (now, 1)
            why = in_short(error)
            aside.save(
                tx, SetAside(self.name, run.run_id, run.name, why, run.ended, since, tries, version="", waits=True)
            )
        return tries >= most or now - since >= longest

    def _baseline(self, accepted: Sequence[JudgedRun], experiment_ids: Sequence[str]) -> tuple[RunResult, ...]:
        """Load what a run is held against; what was deleted in MLflow is no baseline while it is.

        Where there is no room for all per-example tables, the newest have it.
        """
        there = self.run_store.present(experiment_ids, [judged.run.run_id for judged in accepted])
        found: list[RunResult] = []
        room = _BASELINE_BYTES
        for judged in reversed(accepted):
            if judged.run.run_id in there:
                result = self._load_earlier(judged.run, judged.card)
                room -= result.examples.size if result.examples is not None else 0
                found.append(result if room >= 0 else replace(result, examples=None))
        return tuple(reversed(found))

    def _load_earlier(self, run: Run, card: DataCard) -> RunResult:
        """Load a run to hold others against: with its metrics alone where its artifacts break what reads them."""
        try:
            return self.run_store.load(run)
        except Exception as error:
            if isinstance(error, RunStoreError) and not isinstance(error, ArtifactsAwayError):
                raise
            log.warning("compared without its artifacts", pipeline=self.name, run=run.name, error=in_short(error))
            return RunResult(run, card)

    def _assess(self, state: SeriesState, result: RunResult, baseline: Baseline) -> tuple[RunResult, Assessment]:
        """Judge a run: by its metrics alone where the examples break the comparison."""
        policies = self.pipeline.policies
        try:
            return result, assess(state, result, baseline, policies)
        except Exception as error:
            if result.examples is None:
                raise
            log.exception("compared without examples", pipeline=self.name, run=result.run.name)
            why = Unread(TABLE_FILE, Trouble.NOT_COMPARED, f"{type(error).__name__}: {in_short(error)}")
            plain = replace(result, examples=None, unread=(*result.unread, why))
            return plain, assess(state, plain, baseline, policies)

    def judge_old(self, old: Sequence[Run]) -> Sequence[JudgedRun]:
        """Judge runs of long before first contact by their metrics alone, in one transaction: nothing is owed."""
        now = self.clock()
        told: list[JudgedRun] = []
        with self.database.begin() as tx:
            for run in old:
                if runs.is_seen(tx, self.name, run.run_id):
                    continue
                series = SeriesKey(self.name, series_of(run, self.pipeline.series_by))
                last_end = runs.last_end(tx, series)
                is_late = last_end is not None and run.ended < last_end
                accepted = runs.recent(tx, series, BASELINE_RUNS, accepted_only=True, before=run.ended)
                state = SeriesState() if is_late else runs.load_state(tx, series)
                baseline = Baseline(tuple(map(_without_artifacts, accepted)))
                assessment = assess(state, RunResult(run), baseline, self.pipeline.policies)
                is_known = is_late or bool(self._standing(tx, series, with_silence=False))
                is_accepted, _ = self._settle(tx, series, assessment, Past(is_late=is_late), is_known=is_known)
                told.append(_judged(RunResult(run), series, assessment, now, is_accepted=is_accepted))
                runs.record(tx, told[-1])
                aside.drop(tx, self.name, run.run_id)
                if not is_late:
                    runs.save_state(tx, series, assessment.state)
            self.on_step("past.recording")
        self.on_step("past.recorded")
        return told

    def _settle(
        self, tx: Connection, series: SeriesKey, assessment: Assessment, past: Past, *, is_known: bool
    ) -> tuple[bool, tuple[str, ...]]:
        """Accept what the past has settled; say whether this run is accepted, and which bad runs still stand."""
        doubtful = () if is_known else runs.doubtful(tx, series)
        settled = settle_past(assessment, doubtful, 0 if past.is_late else self.pipeline.watch.recent)
        runs.accept(tx, self.name, settled.accepted)
        return assessment.accepted or assessment.run_id in settled.accepted, settled.standing

    def _released(self, run: Run) -> RunResult | None:
        """Load the released run, where config names one and *run* may be held against it: later, of its series."""
        release = self.pipeline.pinned
        if release is None:
            return None
        found = self.run_store.released(release)
        if found is None:
            log.warning("no such release", pipeline=self.name, release=str(release))
            return None
        by = self.pipeline.series_by
        is_other = found.run_id != run.run_id and found.ended <= run.ended
        is_held_against = is_other and series_of(found, by) == series_of(run, by)
        return self._load_earlier(found, DataCard()) if is_held_against else None

    def record_failure(self, fire: Fire, run: Run | None, *, log_tail: str) -> Sequence[JudgedRun]:
        """Store the failure of a job like a run that says nothing but that."""
        now = fire.ended_at or self.clock()
        failed = run or stand_in(self.name, fire, now)
        series = SeriesKey(self.name, series_of(failed, self.pipeline.series_by))
        finding = Finding("job", Outcome.FAILED, Reason.RUN_FAILED)
        with self.database.begin() as tx:
            if runs.is_seen(tx, self.name, failed.run_id):
                fires.save(tx, fire)
                return ()
            state = runs.load_state(tx, series)
        assessment = Assessment(failed.run_id, (finding,), state)
        return self._store(
            series, RunResult(failed), assessment, Baseline(), fire, log_tail=log_tail, exit_code=_how_it_ended(fire)
        )

    def _store(
        self,
        series: SeriesKey,
        result: RunResult,
        assessment: Assessment,
        baseline: Baseline,
        fire: Fire | None,
        *,
        past: Past | None = None,
        log_tail: str = "",
        exit_code: str = "",
    ) -> Sequence[JudgedRun]:
        """Store what a run says in one transaction: the run, its series' state, incidents, and the effects owed."""
        now = self.clock()
        with self.database.begin() as tx:
            if runs.is_seen(tx, self.name, result.run_id):
                return ()
            earlier = runs.recent(tx, series, _HISTORY_RUNS)
            ends = {each.run_id: each.ended for each in (*(judged.run for judged in earlier), result.run)}
            standing = self._standing(tx, series, with_silence=past is None)
            if past is None:
                accepted = assessment.accepted
                steps = advance(standing, assessment, series, self.pipeline.incident_policy, now, ends)
            else:
                is_known = past.is_late or bool(standing)  # what stands in a series that is known stays as it is
                accepted, left = self._settle(tx, series, assessment, past, is_known=is_known)
                steps = open_standing(assessment, left, series, now, ends) if past.is_newest and not is_known else ()
            is_told = past is None or any(step.turn is Turn.FILED for step in steps)
            previous = earlier[-1].outcome if earlier else None
            places = self._places(result.run)
            has_page = (
                is_told and places.wiki is not None and wants_page(places.publish, assessment.outcome, previous, steps)
            )
            title = run_views.page_title(self._title_of(result.run), result, self._locale) if has_page else None
            judged = _judged(result, series, assessment, now, is_accepted=accepted, fire=fire, title=title)
            runs.record(tx, judged)
            aside.drop(tx, self.name, result.run_id)
            if past is None or not past.is_late:
                runs.save_state(tx, series, assessment.state)
            for step in steps:
                incidents.save(tx, step.incident)
            if fire is not None:
                fires.save(tx, fire)
            self.on_step("run.recording")
            occasion = self._occasion(result, assessment, (*earlier, judged), steps, now)
            occasion = replace(
                occasion,
                baseline=baseline,
                standing=_still_standing(standing, steps),
                page=places.page(title) if title else None,
                names=_onsets(tx, steps),
                log_tail=log_tail,
                exit_code=exit_code,
            )
            if is_told:
                self._owe(tx, occasion, asked_before=None if past is None else now - _LONG_AGO)
            if any(step.incident.kind is Kind.STALE for step in steps):  # it is over, for every series
                self._owe_sections(tx, occasion, but_not=series if title else None)
            self.on_step("run.owing")
        self.on_step("run.recorded")
        log.info("judged", pipeline=self.name, run=result.run.name, outcome=assessment.outcome.value)
        return (judged,)

    def look_for_silence(self) -> None:
        """File that no run came in time; the run store is asked first, for a run that nobody has judged yet."""
        policy = self.pipeline.silence_policy
        if policy is None:
            return
        now = self.clock()
        with self.database.begin() as tx:
            known = pipelines.know(tx, self.name, now)
            last = runs.latest(tx, self.name)
            set_aside = aside.last_end(tx, self.name)  # runs came, though they could not be judged
        newest = max(filter(None, (last.run.ended if last else None, set_aside)), default=None)
        finding = find_silence(policy, newest, known.known_since, now)
        if finding is None:
            return
        before = last or run_views.nothing_yet(SeriesKey(self.name), known.known_since)
        assessment = Assessment(before.run.run_id, (finding,), SeriesState())
        ends = {before.run.run_id: before.run.ended}
        (step,) = advance((), assessment, SeriesKey(self.name), self.pipeline.incident_policy, now, ends)
        with self.database.begin() as tx:
            is_known = incidents.is_known(tx, step.incident.incident_id)
        if not is_known and not any(self.watch.unseen(self.watch.look(now))):
            self._store_silence(step, assessment, before, now)

    def _store_silence(self, step: Step, assessment: Assessment, last: JudgedRun, now: datetime) -> None:
        """Store the incident of a silence and the effects owed, in one transaction; a run ends it."""
        with self.database.begin() as tx:
            if incidents.is_known(tx, step.incident.incident_id):
                return
            standing = (*incidents.standing(tx, step.incident.series), step.incident)
            incidents.save(tx, step.incident)
            self.on_step("silence.recording")
            occasion = self._occasion(RunResult(last.run), assessment, (last,), (step,), now)
            self._owe(tx, replace(occasion, title=self.title, standing=standing))
            self._owe_sections(tx, occasion, last.series if last.run.run_id else None)
        self.on_step("silence.recorded")
        log.warning("silent", pipeline=self.name, last=last.run.name, always=True)

    def owe_without_run(
        self,
        tx: Connection,
        last: JudgedRun,
        assessment: Assessment,
        steps: Sequence[Step],
        now: datetime,
        *,
        said: str,
    ) -> None:
        """Owe what is told of an incident that no run shows; *last* is the pipeline's latest run."""
        occasion = self._occasion(RunResult(last.run), assessment, (last,), steps, now)
        self._owe(tx, replace(occasion, title=self.title, said=said), assessment.run_id)

    def _owe_sections(
        self, tx: Connection, on: run_views.Occasion, own: SeriesKey | None = None, *, but_not: SeriesKey | None = None
    ) -> None:
        """Let the page of every series say that the pipeline has fallen silent, or no longer is, without a new run.

        The series *own* gets its page now if it had none; *but_not* is told by its own run.
        """
        for last in runs.latest_of_each(tx, self.name):
            page = self._pipeline_page(last.run)
            if page is None or last.series == but_not:
                continue
            history = runs.recent(tx, last.series, _HISTORY_RUNS)
            has_page = page in outbox.known_objects(tx, [page]) or any(judged.page_title for judged in history)
            if has_page or last.series == own:
                self._owe_section(tx, on, history, page)

    def _owe_section(
        self, tx: Connection, on: run_views.Occasion, history: Sequence[JudgedRun], page: ObjectKey
    ) -> None:
        (silence,) = (step for step in on.steps if step.incident.kind is Kind.STALE)
        last = history[-1]
        occasion = self._occasion(RunResult(last.run), on.assessment, history, on.steps, on.now)
        standing = _still_standing(incidents.standing(tx, last.series), (silence,))
        effect = UpdateSection(page, f"{silence.incident.incident_id}/{silence.turn}")
        view = run_views.view_of(effect, replace(occasion, standing=standing))
        outbox.owe(tx, self.name, [(effect, view)], on.now)

    def _pipeline_page(self, run: Run) -> ObjectKey | None:
        places = self._places(run)
        return places.page(places.pipeline_page)

    def _standing(self, tx: Connection, series: SeriesKey, *, with_silence: bool = True) -> Sequence[Incident]:
        """Return the series' incidents that are not over, and the pipeline's silence, which any run ends.

        That nothing could be seen is not among them: a look ends it, whenever the runs it sees had ended.
        """
        own = [each for each in incidents.standing(tx, series) if each.kind is not Kind.BLIND]
        whole = SeriesKey(self.name)
        if series == whole or not with_silence:
            return own
        return (*own, *(each for each in incidents.standing(tx, whole) if each.kind is Kind.STALE))

    def _occasion(
        self,
        result: RunResult,
        assessment: Assessment,
        history: Sequence[JudgedRun],
        steps: Sequence[Step],
        now: datetime,
    ) -> run_views.Occasion:
        return run_views.Occasion(
            title=self._title_of(result.run),
            config=self.pipeline,
            locale=self._locale,
            channel_locale=self.config.locale_of(self.name, self.pipeline.chat, self.pipeline.channel),
            zone=self.config.zone_of(self.name),
            places=self._places(result.run),
            result=result,
            assessment=assessment,
            baseline=Baseline(),
            history=history,
            steps=steps,
            standing=(),
            now=now,
        )

    def _owe(
        self, tx: Connection, on: run_views.Occasion, cause: str = "", *, asked_before: datetime | None = None
    ) -> None:
        """Owe the effects that an occasion calls for; its *cause* is its run, unless no run is behind it."""
        has_chart = run_views.chart_view(on) is not None
        charted = [step.incident.incident_id for step in on.steps if run_views.chart_view(on, step) is not None]
        effects = effects_of(
            cause or on.result.run_id, on.steps, on.places, on.page, has_chart=has_chart, charted=charted
        )
        owed = [(effect, run_views.view_of(effect, on)) for effect in effects]
        outbox.owe(tx, self.name, owed, on.now, asked_before=asked_before)

    def _title_of(self, run: Run) -> str:
        return run_views.series_title(self.title, run, self.pipeline.series_by)

    def _places(self, run: Run) -> Places:
        pipeline, title, instance = self.pipeline, self._title_of(run), self.config.instance
        tracker, chat = self.config.tracker.get(pipeline.tracker or ""), self.config.chat.get(pipeline.chat or "")
        year = run_views.year_of(run, self.config.zone_of(self.name))
        return Places(
            instance=instance,
            pipeline_page=run_views.pipeline_page_title(title, instance, self._locale),
            archive_page=run_views.archive_page_title(title, year, instance, self._locale),
            tracker=pipeline.tracker,
            wiki=pipeline.wiki,
            chat=pipeline.chat,
            channel=pipeline.channel,
            publish=Publish(pipeline.publish),
            replies=chat is not None and chat.capabilities.threads,
            shares_charts=chat is not None and chat.capabilities.charts,
            lists_tickets=tracker is None or tracker.lists_tickets,
        )


def stand_in(pipeline: str, fire: Fire, now: datetime | None = None) -> Run:
    """Return the run that a job should have left."""
    ended = now or fire.ended_at or fire.due_at
    return Run(fire.fire_id, f"{pipeline} #{fire.number}", RunStatus.FAILED, fire.started_at or ended, ended)


def series_of(run: Run, series_by: Sequence[str]) -> str:
    """Name the series a run belongs to by the values of the params and tags that config lists."""
    name = ", ".join(
        f"{key}={value}" for key, value in zip(series_by, run_views.series_values(run, series_by), strict=True)
    )
    if len(name) <= _LONGEST_SERIES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_SERIES - len(digest) - 1]}…{digest}"


def _judged(
    result: RunResult,
    series: SeriesKey,
    assessment: Assessment,
    now: datetime,
    *,
    is_accepted: bool,
    fire: Fire | None = None,
    title: str | None = None,
) -> JudgedRun:
    return JudgedRun(
        result.run,
        series,
        result.card,
        assessment.findings,
        assessment.outcome,
        is_accepted,
        assessment.wants_confirmation,
        now,
        fire.fire_id if fire else None,
        title,
        result.unread,
    )


def _without_artifacts(judged: JudgedRun) -> RunResult:
    return RunResult(judged.run, judged.card)


def _how_it_ended(fire: Fire) -> str:
    """Return the exit code of a job that failed, or the name of what became of it instead."""
    if fire.timed_out:
        return "timeout"
    if fire.state is FireState.LOST:
        return "lost"
    return "start" if fire.exit_code is None else str(fire.exit_code)


def _still_standing(before: Sequence[Incident], steps: Sequence[Step]) -> tuple[Incident, ...]:
    after = {incident.incident_id: incident for incident in before}
    after |= {step.incident.incident_id: step.incident for step in steps}
    return tuple(i for i in after.values() if not i.state.is_over and i.state is IncidentState.OPEN)


def _onsets(tx: Connection, steps: Sequence[Step]) -> dict[str, JudgedRun]:
    found = {i.onset: runs.find(tx, i.series.pipeline, i.onset) for i in (step.incident for step in steps)}
    return {run_id: judged for run_id, judged in found.items() if judged is not None}

"""One pass over a pipeline: fire, job, runs, assessment, incidents, effects."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Connection

from bot import compose
from bot.config import Config, JobSection, PipelineSection, SlackSection
from bot.dispatch import ignore_step
from bot.domain.fires import Fire, FireState
from bot.domain.history import open_standing, settle_past
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, advance
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, assess
from bot.domain.runs import Baseline, Run, RunResult, RunStatus
from bot.domain.silence import find_silence
from bot.domain.telling import Places, Publish, effects_of, wants_page
from bot.errors import JobError
from bot.ports import Executor, Job, JobState, JobStatus, RunStore
from bot.seam import FIRE_TAG
from bot.store import Database, contacts, fires, incidents, leases, outbox, pipelines, runs
from bot.store.runs import JudgedRun
from bot.watch import Sight, Watch

_BASELINE_RUNS = 20
_HISTORY_RUNS = 40
_LEASE = timedelta(minutes=2)
_LOG_LINES = 20
_LONG_AGO = timedelta(hours=1)  # no service takes so long to show what was made
_LONGEST_SERIES = 500  # characters
_RENEW_EVERY = 20  # runs of the past

log = structlog.get_logger(__name__)


def ignore_progress(done: int, total: int) -> None:
    """Take note of how far a long piece of work has come, and do nothing."""


@dataclass(slots=True)
class CycleReport:
    """What a cycle did, run by run."""

    judged: list[JudgedRun] = field(default_factory=list)
    busy: bool = False  # another Herald is at work on this pipeline


@dataclass(frozen=True, slots=True)
class Past:
    """A run that had ended before first contact."""

    is_newest: bool = False  # of its series
    in_window: bool = True  # near enough to the present that its artifacts may matter
    is_late: bool = False  # later runs of its series were judged before it


@dataclass(frozen=True, slots=True)
class Cycle:
    """Runs cycles of one pipeline; what has to be told goes into the outbox."""

    name: str
    config: Config
    database: Database
    run_store: RunStore
    executor: Executor
    owner: str
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    folder: Path  # that relative paths of the config start from
    stopping: Callable[[], bool] = lambda: False
    on_step: Callable[[str], None] = ignore_step
    on_past: Callable[[int, int], None] = ignore_progress  # at first contact: runs read, and how many
    poll_seconds: float = 0.2

    @property
    def pipeline(self) -> PipelineSection:
        return self.config.pipeline[self.name]

    @property
    def title(self) -> str:
        return self.pipeline.title or self.name

    @property
    def _watch(self) -> Watch:
        return Watch(self.name, self.pipeline, self.database, self.run_store)

    def run(self, due_at: datetime, *, by_hand: bool = False) -> CycleReport:
        """Run the job that is due at *due_at*, judge what is new, and confirm what is suspicious.

        What ended before is judged first, so that every run is held against the past alone; then a fire that an earlier
        Herald left is finished. Returns early when asked to stop; jobs live on.
        """
        report = CycleReport()
        with self._lease(report) as held:
            if held:
                self._finish_recorded(report)
                if not self.stopping():
                    self._finish(self._fire(due_at, by_hand=by_hand), report)
                self._finish_cycle(report)
        return report

    def resume(self) -> CycleReport:
        """Do the same for the fires that are recorded and not over, whoever recorded them."""
        report = CycleReport()
        with self._lease(report) as held:
            if held:
                self._finish_recorded(report)
                self._finish_cycle(report)
        return report

    def _finish_cycle(self, report: CycleReport) -> None:
        self._judge_new(report)
        self._confirm(report)
        self._end_looks()
        self.look_for_silence()

    def judge_only(self) -> CycleReport:
        """Judge what is new without starting, finishing or confirming any job: what a dry run does."""
        report = CycleReport()
        self._judge_new(report)
        return report

    def stop_job(self) -> bool:
        """End the job that runs for this pipeline, and record that it was stopped; says whether there was one.

        What another Herald is at work on is left to it.
        """
        stopped = False
        with self._lease(CycleReport()) as held, self.database.begin() as tx:
            recorded = fires.unfinished(tx, self.name) if held else ()
        for fire in recorded:
            if self.pipeline.job is None or fire.started_at is None:
                continue
            job = self._job(fire, self.pipeline.job)
            if self.executor.poll(job).state is JobState.RUNNING:
                self.executor.stop(job)
                with self.database.begin() as tx:
                    fires.save(tx, replace(fire, state=FireState.STOPPED, ended_at=self.clock()))
                stopped = True
        return stopped

    def _finish_recorded(self, report: CycleReport) -> None:
        with self.database.begin() as tx:
            recorded = fires.unfinished(tx, self.name)
        self._judge_new(report, but_not={fire.fire_id for fire in recorded})
        for fire in recorded:
            if not self.stopping():
                self._finish(fire, report)

    def _end_looks(self) -> None:
        """End the fires of a pipeline that only looks: its new runs are judged now."""
        if self.pipeline.job is not None:
            return
        now = self.clock()
        with self.database.begin() as tx:
            for fire in fires.unfinished(tx, self.name):
                fires.save(tx, replace(fire, state=FireState.ENDED, started_at=now, ended_at=now))

    def _fire(self, due_at: datetime, confirms: str | None = None, *, by_hand: bool = False) -> Fire:
        with self.database.begin() as tx:
            fire = fires.record(tx, self.name, due_at, confirms, by_hand=by_hand)
            self.on_step("fire.recording")
        self.on_step("fire.recorded")
        return fire

    def _finish(self, fire: Fire, report: CycleReport) -> None:
        """See a fire's job through, adopting one that already lives, and judge its run."""
        job_config = self.pipeline.job
        if fire.state.is_over or (job_config is None and fire.started_at is None):
            return
        if job_config is None:  # config had a job when it started
            with self.database.begin() as tx:
                fires.save(tx, replace(fire, state=FireState.LOST, ended_at=self.clock()))
            return
        job = self._job(fire, job_config)
        started = replace(fire, started_at=fire.started_at or self.clock())
        with self.database.begin() as tx:
            fires.save(tx, started)
        self.on_step("job.starting")
        try:
            self.executor.start(job)
        except JobError as error:
            failed = replace(started, state=FireState.FAILED, ended_at=self.clock())
            report.judged += self._record_failure(failed, None, log_tail=str(error))
            return
        self.on_step("job.started")
        status = self._wait(job)
        if status is None:
            return
        self.on_step("job.ended")
        self._conclude(started, job, status, report)

    def _wait(self, job: Job) -> JobStatus | None:
        """Wait for the job's end; None where Herald was asked to stop before."""
        renewed = self.clock()
        while True:
            status = self.executor.poll(job)
            if status.state is not JobState.RUNNING:
                return status
            if self.stopping():
                return None
            if self.clock() - renewed > _LEASE / 4:
                self._renew()
                renewed = self.clock()
            self.pause(self.poll_seconds)

    def _conclude(self, fire: Fire, job: Job, status: JobStatus, report: CycleReport) -> None:
        """Record what the job came to: its run judged, or its failure."""
        run = self.run_store.run_of_fire(self.pipeline.experiment, fire.fire_id, fire.started_at or fire.due_at)
        if run is not None:
            self.run_store.attach_log(run.run_id, self.executor.log_path(job))
        fire = replace(fire, run_id=run.run_id if run else None, exit_code=status.exit_code, timed_out=status.timed_out)
        ended = replace(fire, ended_at=self.clock())
        is_lost = status.state is JobState.LOST
        if run is not None and run.status is RunStatus.FINISHED and (is_lost or status.exit_code == 0):
            report.judged += self._judge(run, replace(ended, state=FireState.ENDED))
            return
        failed = replace(ended, state=FireState.LOST if is_lost else FireState.FAILED)
        if is_lost and self.pipeline.job is not None and fire.attempt < self.pipeline.job.retry:
            self._finish(self._try_again(failed), report)
            return
        report.judged += self._record_failure(failed, run, log_tail=_last_lines(self.executor.log_path(job)))

    def _try_again(self, lost: Fire) -> Fire:
        """Record that a fire was lost, and the one that takes its place."""
        with self.database.begin() as tx:
            fires.save(tx, lost)
            again = fires.record(
                tx, self.name, lost.due_at, lost.confirms, by_hand=lost.by_hand, attempt=lost.attempt + 1
            )
            self.on_step("fire.lost")
        log.warning("job lost, tried again", pipeline=self.name, fire=lost.fire_id)
        return again

    def _judge_new(self, report: CycleReport, but_not: Collection[str] = ()) -> None:
        """Judge finished runs that were not judged before, whoever made them: first those of before first contact.

        Runs of the fires *but_not* are left for when their jobs are concluded.
        """
        now = self.clock()
        sights = self._watch.look(now)
        if not self._judge_past(sights, report, but_not):
            return
        for run, is_past in self._watch.unseen(sights):
            if self.stopping():
                return
            if run.tags.get(FIRE_TAG) not in but_not:
                report.judged += self._judge(run, None, Past() if is_past else None)
                self._renew()
        self._watch.move_marks(sights, now)

    def _judge_past(self, sights: Sequence[Sight], report: CycleReport, but_not: Collection[str]) -> bool:
        """Judge what was there at first contact; False where Herald was asked to stop before the end of it."""
        unread = [run for run in self._watch.past(sights) if run.tags.get(FIRE_TAG) not in but_not]
        series = [_series_of(run, self.pipeline.series_by) for run in unread]
        left = Counter(series)
        for done, (run, name) in enumerate(zip(unread, series, strict=True)):
            self.on_past(done, len(unread))
            if self.stopping():
                return False
            if done % _RENEW_EVERY == 0:
                self._renew()
            left[name] -= 1
            in_window = left[name] < _BASELINE_RUNS + self.pipeline.watch.recent
            report.judged += self._judge(run, None, Past(is_newest=not left[name], in_window=in_window))
        return True

    def _confirm(self, report: CycleReport) -> None:
        """Run the confirming reruns that suspicious runs still lack."""
        job_config = self.pipeline.job
        while job_config is not None and not self.stopping():
            with self.database.begin() as tx:
                latest = runs.latest(tx, self.name)
                had = 0 if latest is None else fires.confirmations_of(tx, latest.run.run_id)
            if latest is None or not latest.wants_confirmation or had >= self.pipeline.confirm.reruns:
                return
            self._finish(self._fire(latest.run.ended + timedelta(microseconds=had + 1), latest.run.run_id), report)

    def _judge(self, run: Run, fire: Fire | None, past: Past | None = None) -> Sequence[JudgedRun]:
        """Judge one run, and store in one transaction everything it says."""
        is_whole = past is None or past.in_window
        series = SeriesKey(self.name, _series_of(run, self.pipeline.series_by))
        with self.database.begin() as tx:
            if runs.is_seen(tx, self.name, run.run_id):
                if fire is not None:
                    fires.save(tx, fire)
                return ()
            accepted = runs.recent(tx, series, _BASELINE_RUNS, accepted_only=True, before=run.ended)
            last_end = runs.last_end(tx, series)
            state = runs.load_state(tx, series)
            known = [contact.experiment_id for contact in contacts.of_pipeline(tx, self.name) if contact.experiment_id]
        if past is not None and last_end is not None and run.ended < last_end:
            past, state = replace(past, is_late=True), SeriesState()
        baseline = Baseline(tuple(self._baseline(accepted, known) if is_whole else map(_without_artifacts, accepted)))
        result = self.run_store.load(run) if is_whole else RunResult(run)
        self.on_step("run.loaded")
        assessment = assess(state, result, baseline, self.pipeline.policies)
        return self._store(series, result, assessment, baseline, fire, past=past)

    def _baseline(self, accepted: Sequence[JudgedRun], experiment_ids: Sequence[str]) -> Iterator[RunResult]:
        """Load what a run is held against; what was deleted in MLflow is no baseline while it is."""
        there = self.run_store.present(experiment_ids, [judged.run.run_id for judged in accepted])
        return (self.run_store.load(judged.run) for judged in accepted if judged.run.run_id in there)

    def _record_failure(self, fire: Fire, run: Run | None, *, log_tail: str) -> Sequence[JudgedRun]:
        """Store the failure of a job like a run that says nothing but that."""
        now = fire.ended_at or self.clock()
        stand_in = run or Run(
            fire.fire_id, f"{self.name} #{fire.number}", RunStatus.FAILED, fire.started_at or now, now
        )
        series = SeriesKey(self.name, _series_of(stand_in, self.pipeline.series_by))
        finding = Finding("job", Outcome.FAILED, Reason.RUN_FAILED)
        with self.database.begin() as tx:
            if runs.is_seen(tx, self.name, stand_in.run_id):
                fires.save(tx, fire)
                return ()
            state = runs.load_state(tx, series)
        assessment = Assessment(stand_in.run_id, (finding,), state)
        return self._store(
            series, RunResult(stand_in), assessment, Baseline(), fire, log_tail=log_tail, exit_code=_how_it_ended(fire)
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
            standing = self._standing(tx, series) if past is None else incidents.standing(tx, series)
            if past is None:
                accepted = assessment.accepted
                steps = advance(standing, assessment, series, self.pipeline.incident_policy, now)
            else:
                is_known = past.is_late or bool(standing)  # what stands in a series that is known stays as it is
                doubtful = () if is_known else runs.doubtful(tx, series)
                settled = settle_past(assessment, doubtful, 0 if past.is_late else self.pipeline.watch.recent)
                runs.accept(tx, self.name, settled.accepted)
                accepted = assessment.accepted or result.run_id in settled.accepted
                steps = (
                    open_standing(assessment, settled.standing, series, now) if past.is_newest and not is_known else ()
                )
            is_told = past is None or any(step.turn is Turn.FILED for step in steps)
            previous = earlier[-1].outcome if earlier else None
            places = self._places(result.run)
            has_page = (
                is_told and places.wiki is not None and wants_page(places.publish, assessment.outcome, previous, steps)
            )
            title = compose.page_title(self._title_of(result.run), result) if has_page else None
            judged = JudgedRun(
                result.run,
                series,
                result.card,
                assessment.findings,
                assessment.outcome,
                accepted,
                assessment.wants_confirmation,
                now,
                fire.fire_id if fire else None,
                title,
            )
            runs.record(tx, judged)
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
        finding = find_silence(policy, last.run.ended if last else None, known.known_since, now)
        if finding is None:
            return
        before = last or compose.nothing_yet(SeriesKey(self.name), known.known_since)
        assessment = Assessment(before.run.run_id, (finding,), SeriesState())
        (step,) = advance((), assessment, SeriesKey(self.name), self.pipeline.incident_policy, now)
        with self.database.begin() as tx:
            is_known = incidents.is_known(tx, step.incident.incident_id)
        if not is_known and not any(self._watch.unseen(self._watch.look(now))):
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
        self.on_step("silence.recorded")
        log.warning("silent", pipeline=self.name, last=last.run.name)

    def _standing(self, tx: Connection, series: SeriesKey) -> Sequence[Incident]:
        """Return the series' incidents that are not over, and the pipeline's silence, which any run ends."""
        own = incidents.standing(tx, series)
        whole = SeriesKey(self.name)
        if series == whole:
            return own
        return (*own, *(each for each in incidents.standing(tx, whole) if each.kind is Kind.STALE))

    def _occasion(
        self,
        result: RunResult,
        assessment: Assessment,
        history: Sequence[JudgedRun],
        steps: Sequence[Step],
        now: datetime,
    ) -> compose.Occasion:
        return compose.Occasion(
            title=self._title_of(result.run),
            config=self.pipeline,
            locale=self.pipeline.locale or self.config.locale,
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

    def _owe(self, tx: Connection, on: compose.Occasion, asked_before: datetime | None = None) -> None:
        has_chart = compose.chart_view(on) is not None
        effects = effects_of(on.result.run_id, on.steps, on.places, on.page, has_chart=has_chart)
        owed = [(effect, compose.view_of(effect, on)) for effect in effects]
        outbox.owe(tx, self.name, owed, on.now, asked_before=asked_before)

    def _title_of(self, run: Run) -> str:
        return compose.series_title(self.title, run, self.pipeline.series_by)

    def _places(self, run: Run) -> Places:
        pipeline, title, instance = self.pipeline, self._title_of(run), self.config.instance
        chat = None if pipeline.chat is None else self.config.chat[pipeline.chat]
        return Places(
            instance=instance,
            pipeline_page=compose.pipeline_page_title(title, instance),
            archive_page=compose.archive_page_title(
                title, compose.year_of(run, self.config.zone_of(self.name)), instance
            ),
            tracker=pipeline.tracker,
            wiki=pipeline.wiki,
            chat=pipeline.chat,
            channel=pipeline.channel,
            publish=Publish(pipeline.publish),
            replies=isinstance(chat, SlackSection) and chat.replies,
            shares_charts=isinstance(chat, SlackSection) and chat.charts,
            lists_tickets=pipeline.tracker is None or self.config.tracker[pipeline.tracker].kind == "jira",
        )

    def _job(self, fire: Fire, config: JobSection) -> Job:
        filled = {"{seed}": str(fire.number), "{fire_id}": fire.fire_id}
        return Job(
            fire_id=fire.fire_id,
            command=tuple(_fill(word, filled) for word in config.command),
            folder=self.folder / self.config.jobs_folder / self.name / fire.fire_id,
            cwd=self.folder / config.cwd,
            environment={
                **config.environment,
                "HERALD_FIRE_ID": fire.fire_id,
                "HERALD_SEED": str(fire.number),
                "MLFLOW_TRACKING_URI": self.config.mlflow.tracking_uri,
                "MLFLOW_EXPERIMENT_NAME": self.pipeline.experiment,
            },
            timeout=config.timeout,
            memory=config.memory,
            cpus=config.cpus,
        )

    @contextmanager
    def _lease(self, report: CycleReport) -> Iterator[bool]:
        held = self._renew()
        report.busy = not held
        try:
            yield held
        finally:
            if held:
                with self.database.begin() as tx:
                    leases.give_back(tx, f"pipeline:{self.name}", self.owner)

    def _renew(self) -> bool:
        with self.database.begin() as tx:
            return leases.take(tx, f"pipeline:{self.name}", self.owner, self.clock(), _LEASE)


def _series_of(run: Run, series_by: Sequence[str]) -> str:
    """Name the series a run belongs to by the values of the params and tags that config lists."""
    name = ", ".join(
        f"{key}={value}" for key, value in zip(series_by, compose.series_values(run, series_by), strict=True)
    )
    if len(name) <= _LONGEST_SERIES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_SERIES - len(digest) - 1]}…{digest}"


def _without_artifacts(judged: JudgedRun) -> RunResult:
    return RunResult(judged.run, judged.card)


def _how_it_ended(fire: Fire) -> str:
    """Return the exit code of a job that failed, or the name of what became of it instead."""
    if fire.timed_out:
        return "timeout"
    if fire.state is FireState.LOST:
        return "lost"
    return "start" if fire.exit_code is None else str(fire.exit_code)


def _fill(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _still_standing(before: Sequence[Incident], steps: Sequence[Step]) -> tuple[Incident, ...]:
    after = {incident.incident_id: incident for incident in before}
    after |= {step.incident.incident_id: step.incident for step in steps}
    return tuple(i for i in after.values() if not i.state.is_over and i.state is IncidentState.OPEN)


def _onsets(tx: Connection, steps: Sequence[Step]) -> dict[str, JudgedRun]:
    found = {i.onset: runs.find(tx, i.series.pipeline, i.onset) for i in (step.incident for step in steps)}
    return {run_id: judged for run_id, judged in found.items() if judged is not None}


def _last_lines(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise JobError(f"{path}: the job's log cannot be read: {error}") from error
    return "\n".join(lines[-_LOG_LINES:])

"""A Herald with one pipeline, whose whole world is in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.app import ConfiguredWording, Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.incidents import Incident, IncidentState
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.objects import ObjectKey, channel_of
from bot.domain.runs import Run, RunStatus
from bot.executors.job_logs import log_in
from bot.pipeline.cycle_report import CycleReport
from bot.ports import Job, JobState, JobStatus, Speakers
from bot.render.renderer import Renderer
from bot.services.memory.answers import MemoryThreadAnswers, MemoryTicketAnswers
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import Database, fires, incidents, outbox
from bot.triage.listeners import Listeners, ThreadListener, TicketListener
from tests.memory_runs import MemoryExecutor, MemoryRunStore
from tests.unit.state_samples import MINUTE, NOON, SECOND

RENDERER = Renderer("en")
GOOD = (0.80, 0.81, 0.805)
ENDED = JobStatus(JobState.ENDED, 0)
JOB = {
    "job": {
        "command": ["train", "--seed={seed}", "--fire={fire_id}"],
        "environment": {"A": "1"},
        "timeout": "2h",
        "retry": 0,
    }
}
EAGER = {"tickets": {"comment_every": "0s"}, "recovery": {"runs": 1}, "publish": "all"}


class EnglishWording(ConfiguredWording):
    def renderer(self, pipeline: str, target: ObjectKey) -> Renderer:
        """Return one renderer for all tests: compiling templates takes its time."""
        is_english = self.config.locale_of(pipeline, target.service, channel_of(target)) == "en"
        return RENDERER if is_english else super().renderer(pipeline, target)


@dataclass
class Bench:
    """A Herald with one pipeline, `search`, whose whole world is in memory."""

    folder: Path
    url: str
    pipeline: dict
    now: datetime = NOON
    values: list[float] = field(default_factory=list)  # of the jobs to come
    seeds: list[str] = field(default_factory=list)  # of the jobs that ran
    jobs: list[Job] = field(default_factory=list)
    stopping: bool = False
    steps: Callable[[str], None] = lambda _: None
    locales: dict[str, str] = field(default_factory=dict)  # of channels
    answers: dict = field(default_factory=dict)  # what config says of them
    executors: dict = field(default_factory=dict)  # clusters that run the jobs, instead of memory

    def __post_init__(self) -> None:
        self.store = MemoryRunStore()
        self.store.create("search")
        self.executor = MemoryExecutor(self.carry_out)
        self.tracker, self.wiki = MemoryTracker(clock=self.clock), MemoryWiki()
        self.chat = MemoryChat(clock=self.clock)
        self.tickets, self.threads = MemoryTicketAnswers(self.tracker), MemoryThreadAnswers(self.chat)
        self.database = Database(self.url)
        self.herald = self.make()

    def make(self, **changes) -> Herald:
        address = "http://127.0.0.1:1"
        search = {
            "experiment": "search",
            "tracker": "jira",
            "wiki": "confluence",
            "chat": "slack",
            "channel": "C1",
            "metrics": {"ndcg": {}},
            **self.pipeline,
            **changes,
        }
        config = Config.model_validate(
            {
                "instance": "test",
                "tracker": {"jira": {"url": address, "project": "SR", "token": "x", "answers": self.answers}},
                "wiki": {"confluence": {"url": address, "space": "SR", "token": "x"}},
                "chat": {"slack": {"kind": "slack", "token": "x", "locales": self.locales}},
                "executor": self.executors,
                "pipeline": {"search": search},
            }
        )
        services = Services({"jira": self.tracker}, {"confluence": self.wiki}, {"slack": self.chat})
        around = Surroundings(self.clock, self.pause, lambda: self.stopping, self.step, lambda _tx: self.now)
        listeners = Listeners(
            (TicketListener("jira", self.tickets, config.tracker["jira"].answers),),
            (ThreadListener("slack", self.threads, Speakers()),),
        )
        made = make_herald(
            config,
            self.folder,
            around=around,
            services=services,
            listeners=listeners,
            run_store=self.store,
            database=self.database,
        )
        dispatcher = replace(made.dispatcher, wording=EnglishWording(config, self.folder))
        made = replace(made, dispatcher=dispatcher)
        return made if self.executors else replace(made, executor_of=lambda _: self.executor)

    def clock(self) -> datetime:
        return self.now

    def step(self, name: str) -> None:
        self.steps(name)

    def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # what happens in the world

    def log(self, value: float | None, run_id: str | None = None, **changes) -> Run:
        """Let a run appear that has just ended, as any script logs it."""
        self.now += MINUTE
        run_id = run_id or f"run{len(self.store._runs('search')) + 1}"
        metrics = {} if value is None else {"ndcg": value}
        run = Run(run_id, run_id, RunStatus.FINISHED, self.now - 30 * SECOND, self.now, metrics)
        run = replace(run, **changes)
        self.store.add("search", run)
        return run

    def carry_out(self, job: Job) -> JobStatus:
        """Train: log the next value with the fire's tag."""
        self.jobs.append(job)
        self.seeds.append(job.environment["HERALD_SEED"])
        self.log(self.values.pop(0), f"job{len(self.jobs)}", tags={FIRE_TAG: job.fire_id})
        return ENDED

    def ends_with(self, status: JobStatus, log: str = "", *, run: RunStatus | None = None) -> None:
        """Let the next job end like this, with such a log, and such a run where it left one."""

        def carry_out(job: Job) -> JobStatus:
            self.jobs.append(job)
            log_in(job.folder).write_text(log)
            if run is not None:
                self.log(None, f"job{len(self.jobs)}", tags={FIRE_TAG: job.fire_id}, status=run)
            self.executor._carry_out = self.carry_out
            return status

        self.executor._carry_out = carry_out

    # what Herald does

    def run(self, due: datetime | None = None, *, deliver: bool = True) -> CycleReport:
        self.now += SECOND
        report = self.herald.cycle("search").run(due or self.now)
        if deliver:
            assert self.herald.dispatcher.drain().failures == []
        return report

    def outcomes(self, values: Sequence[float]) -> list[str]:
        """Log values by a plain script, each followed by a cycle; return what was said of each."""
        said = []
        for value in values:
            self.log(value)
            said += [judged.outcome.value for judged in self.run().judged]
        return said

    # what can be seen

    def incidents(self, *states: IncidentState) -> Sequence[Incident]:
        with self.database.begin() as tx:
            return incidents.of_pipeline(tx, "search", *(states or tuple(IncidentState)))

    def fires(self) -> list[str]:
        with self.database.begin() as tx:
            found = [fires.find(tx, job.fire_id) for job in self.jobs]
        return [fire.state.value for fire in found]

    def owed(self) -> list[str]:
        with self.database.begin() as tx:
            return [owed.effect.kind for owed in outbox.outstanding(tx)]

    @property
    def ticket(self):
        (ticket,) = self.tracker.tickets.values()
        return ticket

    @property
    def pages(self) -> list[str]:
        return [page.draft.title for page in self.wiki.pages.values()]

    def snapshot(self) -> str:
        """Write down what was said and what is owed."""
        from sqlalchemy import select

        from bot.store.tables import metadata

        said = {"runs", "series_states", "incidents", "outbox", "objects"}
        tables = [table for table in metadata.sorted_tables if table.name in said]
        with self.database.begin() as tx:
            return "\n".join(str(tx.execute(select(table)).all()) for table in tables)

"""Tells the demo's story from its beginning, or from where it was left, and prints what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot.app import Herald, Surroundings, make_herald
from bot.config.file import load_config
from bot.demo import outcome
from bot.demo.answers import Teammate
from bot.demo.mlflow_pages import mlflow_pages
from bot.demo.workspace import BROKEN, FIRST_RATE, HEALTHY, NEW_RATE, PIPELINE, Workspace
from bot.errors import HeraldError
from bot.sandbox import serve
from bot.store import runs


@dataclass(frozen=True, slots=True)
class Chapter:
    """One due time of the pipeline, and the data that its runs find."""

    snapshot: str
    told: str
    said: tuple[str, ...] = ()  # on the ticket afterwards, by somebody of the team
    rate: float = FIRST_RATE  # of learning


DIAGNOSE = "/herald diagnose"
CHAPTERS = (
    Chapter(HEALTHY, "healthy data, first seed"),
    Chapter(HEALTHY, "healthy data, second seed"),
    Chapter(HEALTHY, "healthy data, third seed: the baseline stands"),
    Chapter(
        BROKEN,
        "a feed bug has blanked the product type of GROCERY, and somebody has tuned the learning rate; a rerun follows",
        ("/herald why", DIAGNOSE),
        NEW_RATE,
    ),
    Chapter(BROKEN, "still broken", ("/herald fixed the feed has its product types again",), NEW_RATE),
    Chapter(HEALTHY, "repaired, as somebody said: this run confirms it", rate=NEW_RATE),
)
_RUNS = len(CHAPTERS)  # and reruns, which are of no series
_PATIENCE = timedelta(seconds=60)
_REFRESH_SECONDS = 0.5


def tell(folder: Path, show: Callable[[outcome.StoryOutcome], None], *, wait: bool) -> None:
    """Tell the story in *folder* and *show* what came of it; with *wait*, leave its pages up until Ctrl-C."""
    began = time.monotonic()
    workspace = Workspace(folder.resolve())
    story = workspace.open()
    console = Console(stderr=True)
    with serve(workspace.folder / "sandbox.db", port=story.sandbox_port) as sandbox:
        workspace.write_config(sandbox, story)
        console.print(f"Sandbox: [link={sandbox.url}]{sandbox.url}[/link]  Workspace: {workspace.folder}")
        console.print(workspace.prepare_data().strip(), style="dim", highlight=False)
        console.print(
            "Each run fine-tunes the two upper layers of MiniLM-L6, and learns to weigh what a household repeats."
        )
        config = load_config(workspace.config_path, workspace.secrets_dir)
        with _screen(console, workspace.folder / config.jobs_folder) as screen:
            herald = make_herald(config, workspace.folder, around=Surroundings(pause=screen.pause))
            for number, chapter in enumerate(CHAPTERS):
                _tell_chapter(herald, workspace, screen, chapter, story.began + timedelta(seconds=number))
                for words in chapter.said:
                    Teammate(herald, sandbox, screen.pause).say(words)
                    _deliver(herald)
                    if words == DIAGNOSE:
                        _find_out(herald, screen)
        show(outcome.gather(herald, sandbox, seconds=time.monotonic() - began))
        if wait:
            with mlflow_pages(workspace.folder, story.mlflow_port):
                console.print("\nThe pages stay up until Ctrl-C.")
                threading.Event().wait()


def _tell_chapter(herald: Herald, workspace: Workspace, screen: _Screen, chapter: Chapter, due: datetime) -> None:
    screen.say(chapter.told)
    workspace.feed(chapter.snapshot, chapter.rate)
    report = herald.cycle(PIPELINE).run(due)
    if report.busy:
        raise HeraldError(f"--workspace {workspace.folder}: another demo is at work in it")
    with herald.database.begin() as tx:
        screen.have(runs.count(tx, PIPELINE))
    _deliver(herald)


def _find_out(herald: Herald, screen: _Screen) -> None:
    screen.say("which change did it? reruns on a fifth of the households find out")
    herald.cycle(PIPELINE).diagnose()
    _deliver(herald)


def _deliver(herald: Herald) -> None:
    drained = herald.dispatcher.drain(_PATIENCE)
    if drained.failures:
        raise HeraldError("; ".join(drained.failures))


@dataclass(slots=True)
class _Screen:
    """A progress bar over all runs, with the last line that the running job wrote."""

    progress: Progress
    task: TaskID
    jobs: Path
    chapter: str = ""
    shown_at: float = 0.0

    def say(self, told: str) -> None:
        self.chapter = told
        self.progress.update(self.task, description=told)
        if not self.progress.console.is_terminal:
            self.progress.console.print(told, highlight=False)

    def have(self, count: int) -> None:
        self.progress.update(self.task, completed=count)

    def pause(self, seconds: float) -> None:
        """Sleep, and show how far the job is."""
        time.sleep(seconds)
        if time.monotonic() - self.shown_at > _REFRESH_SECONDS:
            self.shown_at = time.monotonic()
            self.progress.update(self.task, job=_last_line(self.jobs))


@contextmanager
def _screen(console: Console, jobs: Path) -> Iterator[_Screen]:
    columns = (
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        TextColumn("[dim]{task.fields[job]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=_RUNS, job="")
        yield _Screen(progress, task, jobs)


def _last_line(jobs: Path) -> str:
    """Return the last line of the newest job's log."""
    logs = sorted(jobs.glob("*/*/log"), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_text(encoding="utf-8", errors="replace").splitlines() if logs else []
    return lines[-1] if lines else ""

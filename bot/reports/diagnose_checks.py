"""What the doctor says of diagnoses: whether all that config says how to set could be set as in the newest good run."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection

from bot.config.diagnose import DiagnoseSection
from bot.config.pipeline import JobSection, PipelineSection
from bot.domain.checks import Check
from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.manifest import ComponentKind, manifest_of
from bot.domain.recipes import Recipe
from bot.domain.runs import DataCard, Run
from bot.errors import JobError
from bot.executors.checkouts import root_of
from bot.judging.obstacles import trouble_with
from bot.reports.rerun_troubles import say_trouble
from bot.store import runs

_TAGS = "docs/job-protocol.md says which tags a job sets."
_NAMES = {kind: kind.value for kind in ComponentKind} | {ComponentKind.PARAM: "params"}


def check_diagnose(
    tx: Connection | None, name: str, section: PipelineSection, folder: Path, *, runs_here: bool = True
) -> Iterator[Check]:
    """Look at what `[pipeline.NAME.diagnose]` leans on; *folder* is what relative paths of the config start from."""
    diagnose, what = section.diagnose, f"diagnose of {name}"
    if diagnose is None or section.job is None:  # which config refuses
        return
    checks = [*_check_places(what, diagnose, section.job, folder)] if runs_here else []
    good = None if tx is None else _newest_good(tx, name)
    if good is not None:
        checks += _check_run(what, diagnose, good[0], good[1], folder if runs_here else None, _astray(diagnose, folder))
    yield from checks
    if not checks:
        names = ", ".join(_NAMES[kind] for kind in ComponentKind if kind in diagnose.settable)
        of = "whether they can be set, the first good run will tell" if good is None else f"as in {good[0].name}"
        yield Check(what, ok=True, said=f"sets {names}: {of}")


def _newest_good(tx: Connection, name: str) -> tuple[Run, DataCard] | None:
    found = [
        run for each in runs.latest_of_each(tx, name) for run in runs.recent(tx, each.series, 1, accepted_only=True)
    ]
    newest = max(found, key=lambda each: each.run.place, default=None)
    return None if newest is None else (newest.run, newest.card)


def _check_places(what: str, diagnose: DiagnoseSection, job: JobSection, folder: Path) -> Iterator[Check]:
    """Look at the repositories, and at the tools that make environments."""
    code, environment = diagnose.code, diagnose.environment
    for key, git in (("code", code.git if code else ""), ("environment", environment.git if environment else "")):
        if not git:
            continue
        try:
            root = root_of(folder / git)
        except JobError as error:
            remedy = f"Let {key}.git name a folder of the repository, and install git on this machine."
            yield Check(what, ok=False, said=f'{key}.git = "{git}": {error.said}', remedy=remedy)
            continue
        if key == "code" and not (folder / job.cwd).resolve().is_relative_to(root):
            said = f'code.git = "{git}": the job works in {folder / job.cwd}, which is not in {root}'
            yield Check(what, ok=False, said=said, remedy="Let job.cwd be a folder of that repository.")
    if environment is not None and environment.lock:
        path = job.environment.get("PATH")
        for key, command in (("make", environment.make), ("install", environment.install)):
            if "{" not in command[0] and shutil.which(command[0], path=path) is None:
                said = f"environment.{key}: there is no program {command[0]!r} on the PATH of the job"
                yield Check(what, ok=False, said=said, remedy="Install it, or name it by its path.")


def _astray(diagnose: DiagnoseSection, folder: Path) -> frozenset[ComponentKind]:
    """Return the components whose repository is none, which is one mistake and said once."""
    sections = {ComponentKind.CODE: diagnose.code, ComponentKind.ENVIRONMENT: diagnose.environment}
    found = set()
    for kind, section in sections.items():
        if section is not None and section.git:
            try:
                root_of(folder / section.git)
            except JobError:
                found.add(kind)
    return frozenset(found)


def _check_run(
    what: str,
    diagnose: DiagnoseSection,
    run: Run,
    card: DataCard,
    folder: Path | None,
    astray: Collection[ComponentKind],
) -> Iterator[Check]:
    """Say what cannot be set as it was in a good run; of what is *astray* that was said before."""
    on_record = {component.kind for component in manifest_of(run, card)}
    for kind, recipe in _recipes(diagnose, run).items():
        name, lacking = _NAMES[kind], diagnose.lacking(kind, run)
        if kind not in on_record:
            said = f"{name}: {run.name} does not say which it had, so that no change of it is ever seen"
            yield Check(what, ok=True, said=said, remedy=_TAGS)
        if lacking:
            said = f"{name}: the newest good run, {run.name}, has no {lacking}: it cannot be set as it was there"
            remedy = f"Let the job log {lacking}, or set {name} by something else that its runs have."
            yield Check(what, ok=False, said=said, remedy=remedy)
        elif (
            recipe is not None
            and kind not in astray
            and (trouble := trouble_with(diagnose, recipe, folder)) is not None
        ):
            said = f"{name}: it cannot be set as in the newest good run, {run.name}: {say_trouble(trouble)}"
            yield Check(what, ok=False, said=said, remedy="Bring it back, or let config say where it is now.")
    named = {owned.partition(".")[2] for owned in diagnose.owners if owned.startswith("params.")}
    for name in sorted(named - run.params.keys()):
        said = f"owners: {run.name} has no parameter {name!r}"
        yield Check(what, ok=True, said=said, remedy="Name a parameter that runs log, or take it out.")


def _recipes(diagnose: DiagnoseSection, run: Run) -> Mapping[ComponentKind, Recipe | None]:
    """Return how each component is set to what it is in a run; nothing where the run lacks something for it."""
    found: dict[ComponentKind, Recipe | None] = {}
    if diagnose.data is not None:
        found[ComponentKind.DATA] = diagnose.data.set_to(run, diagnose.data.parts_of(run))
    if diagnose.code is not None:
        commit = run.tags.get(COMMIT_TAG, "")
        found[ComponentKind.CODE] = diagnose.code.set_to(run, commit) if commit else None
    for kind in (ComponentKind.TEST_SET, ComponentKind.ENVIRONMENT, ComponentKind.MACHINE):
        section = diagnose.recipe(kind)
        if section is not None:
            filled = section.recipe.of(run)
            found[kind] = None if isinstance(filled, str) else filled
    return found

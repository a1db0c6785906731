"""From a fire to the job that is started for it: its command, folder and environment, and what these need first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.config.pipeline import JobSection
from bot.domain.fires import Fire
from bot.domain.rerun_troubles import TroubleKind
from bot.errors import JobError
from bot.executors.checkouts import check_out, root_of
from bot.judging.context import JudgingContext
from bot.judging.obstacles import not_on_a_cluster
from bot.pipeline.environments import EnvironmentMaker
from bot.ports import Job
from bot.store import fires
from bot.text.toml_keys import key_path


@dataclass(frozen=True, slots=True)
class JobMaker:
    """Makes the jobs of one pipeline's fires."""

    context: JudgingContext
    folder: Path  # that relative paths of the config start from

    @property
    def environments(self) -> EnvironmentMaker:
        return EnvironmentMaker(self.context, self.folder)

    @property
    def checkouts(self) -> Path:
        return self.folder / self.context.config.jobs_folder / self.context.name / "checkouts"

    def jobs_of(self, fire: Fire, config: JobSection) -> Iterator[Job]:
        """Yield a fire's job, and before it that which makes its environment."""
        environment = self.environments.of(fire)
        if environment is not None:
            yield self.environments.job_that_makes(environment, fire, config)
        yield self.job(fire, config)

    def job(self, fire: Fire, config: JobSection) -> Job:
        """Return a fire's job.

        Raises:
            JobError: where what its rerun is set to cannot be had.
        """
        with self.context.database.begin() as tx:
            seed = str(fires.seed_of(tx, fire))
        filled = {"{seed}": seed, "{fire_id}": fire.fire_id}
        recipe = fire.recipe.for_job(seed, fire.fire_id)
        section = self.context.config.executor_section(fire.executor or config.executor)
        is_here = section is None or section.is_local
        if not is_here and (trouble := not_on_a_cluster(recipe)) is not None:
            raise JobError(trouble.said, trouble.kind)
        environment = self.environments.of(fire)
        return Job(
            fire_id=fire.fire_id,
            command=(*(_fill(word, filled) for word in config.command), *recipe.arguments),
            folder=self.folder / self.context.config.jobs_folder / self.context.name / fire.fire_id,
            cwd=self._cwd(recipe.commit, recipe.cwd or config.cwd) if is_here else Path(recipe.cwd or config.cwd),
            environment={
                **config.environment,
                **recipe.environment,
                **({} if environment is None else environment.variables(config.environment)),
                "HERALD_FIRE_ID": fire.fire_id,
                "HERALD_SEED": seed,
                "MLFLOW_TRACKING_URI": self.context.config.tracking_uri_for(section),
                "MLFLOW_EXPERIMENT_NAME": self.context.section.experiment,
            },
            timeout=config.timeout,
            memory=config.memory,
            cpus=config.cpus,
            log_limit=config.log_limit,
            gpus=config.gpus,
            owner=f"{self.context.config.instance}/{self.context.name}",
        )

    def check_out(self, commit: str) -> None:
        """Check out the commit that a rerun is set to, if it is set to one."""
        if not commit:
            return
        try:
            check_out(self._repository(commit), commit, self.checkouts)
        except JobError as error:
            raise error.of(TroubleKind.NO_COMMIT) from error

    def _cwd(self, commit: str, cwd: str) -> Path:
        """Return the folder that a job works in: of a commit the same folder of its tree."""
        here = self.folder / cwd
        if not commit:
            return here
        try:
            repository = root_of(self._repository(commit))
        except JobError as error:
            raise error.of(TroubleKind.NO_COMMIT) from error
        if not here.resolve().is_relative_to(repository):
            raise JobError(f"commit {commit} cannot be worked in: the job's folder {here} is not in {repository}")
        return self.checkouts / commit / here.resolve().relative_to(repository)

    def _repository(self, commit: str) -> Path:
        section = self.context.section.diagnose
        code = None if section is None else section.code
        if code is None or not code.git:
            said = f"[{key_path('pipeline', self.context.name, 'diagnose', 'code')}] has no git"
            raise JobError(f"commit {commit} cannot be checked out: {said}", TroubleKind.NO_COMMIT, said=said)
        return self.folder / code.git


def _fill(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word

"""What decides a run's numbers beside its parameters, as MLflow is told it: for whoever asks which change did it."""

from trainer.data.card import DataCard
from trainer.environment import git_commit, hash_installed, tell_machine, tell_versions
from trainer.jobs.schema import Job
from trainer.task import Command
from trainer.tracking.mlflow import DataUsed


def manifest_tags(job: Job, card: DataCard, command: Command) -> dict[str, str]:
    """Give the run's tags: what it did, on which data, with which code and packages, and where."""
    commit = git_commit()
    return {
        "herald.task": job.task,
        "herald.command": command,
        "herald.data_hash": card.hash,
        "herald.test_hash": _test_hash(card),
        "herald.lock_hash": hash_installed(),
        "herald.environment": tell_versions(),
        "herald.machine": tell_machine(),
        "mlflow.source.name": f"python -m trainer {command}",
        **({"mlflow.source.git.commit": commit} if commit else {}),
    }


def data_used(card: DataCard, command: Command) -> list[DataUsed]:
    """Give what the run learned from, where it did, and what it is scored on."""
    scored = DataUsed("testing", card.source, _test_hash(card))
    return [DataUsed("training", card.source, card.hash), scored] if command == "fit" else [scored]


def _test_hash(card: DataCard) -> str:
    assert card.test_hash is not None  # every task notes it as it loads
    return card.test_hash

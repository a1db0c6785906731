"""Fetches models from the hub by their names; the only module that imports its client."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import ModelError

FETCHED = ("*.safetensors", "*.json", "vocab.txt")
# Subfolders hold the same weights once more, for other programs; such as 1_Pooling say how vectors are made.
LEFT_OUT = ("[!0-9]*/*", "*/*.safetensors", "*/tokenizer*", "*/vocab*")
PATIENCE = 10.0  # seconds without an answer; the client itself would wait for ever


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the hub's client keeps a model, and which commit it is."""

    folder: Path  # in the hub's own cache
    commit: str


def fetch_from_hub(name: str, revision: str | None) -> Fetched:
    """Fetch what the trainer reads of a model, or find it in the cache; raise ModelError.

    A commit that is in the cache is not asked for again. Where the hub is away, what it last gave is taken.
    """
    from huggingface_hub import snapshot_download

    _limit_patience()
    try:
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=list(FETCHED), ignore_patterns=list(LEFT_OUT))
        )
    except Exception as error:  # noqa: BLE001 - the hub's client raises a dozen kinds for a name it cannot fetch
        raise ModelError(_explain(error, name, revision)) from None
    return Fetched(folder, folder.name)


def _limit_patience() -> None:
    from huggingface_hub import get_session

    session = get_session()
    hooks = session.event_hooks
    if _cut_short not in hooks["request"]:
        session.event_hooks = {**hooks, "request": [*hooks["request"], _cut_short]}


def _cut_short(request: Any) -> None:
    request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), PATIENCE)


def _explain(error: Exception, name: str, revision: str | None) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub = constants.ENDPOINT
    match error:
        case RevisionNotFoundError():
            return f"model.revision: {revision!r} is no commit, tag or branch of {name!r} at {hub}"
        case GatedRepoError():
            reason = "its owner grants access one by one; HF_TOKEN says who asks"
        case RepositoryNotFoundError():
            reason = "there is no such model, or none that may be seen without HF_TOKEN"
        case LocalEntryNotFoundError():
            cause = error.__cause__ or error
            reason = f"it cannot be reached, and no whole copy was kept ({type(cause).__name__}: {_first_line(cause)})"
        case _:
            reason = _first_line(error)
    return f"model.name: {name!r} cannot be fetched from {hub}: {reason}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Fetches what a run keeps beside its metrics; what is broken there, or away, is told apart."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bot.domain.job_protocol import CARD_FILE, EXPLANATIONS_FILE, TABLE_FILE
from bot.domain.runs import DataCard, ExampleTable, ExampleTexts, ExplainedExample, Run, RunResult, Trouble, Unread
from bot.errors import ArtifactsAwayError, in_short
from bot.services.mlflow.data_cards import MOST_BYTES as CARD_BYTES
from bot.services.mlflow.data_cards import read_card
from bot.services.mlflow.example_tables import BOUND, Columns, join, read_table
from bot.services.mlflow.example_texts import read_texts
from bot.services.mlflow.explanations import MOST_BYTES as EXPLANATIONS_BYTES
from bot.services.mlflow.explanations import read_explanations
from bot.services.mlflow.unreadable import UnreadableError

if TYPE_CHECKING:
    from requests import Response

_T = TypeVar("_T")
_ALL = "artifacts"  # where not even their names can be had
_AWAY_STATUS = {408, 425, 429, 500, 502, 503, 504}
# What storage libraries say of a service that does not answer, or answers what is none; each has errors of its own.
_AWAY_WORDS = re.compile(
    r"Max retries exceeded|[Tt]imed? ?out|Connection (?:refused|reset|aborted|error)|Could not connect|"
    r"Temporary failure|Name or service not known|Remote end closed|EndpointConnectionError|valid JSON format|"
    r"\b(?:408|425|429|500|502|503|504)\b(?:\) when|[^/]{0,20}(?:Error|Unavailable|Gateway|Timeout|Too Many|!=))"
)


class _Listed(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def is_dir(self) -> bool: ...
    @property
    def file_size(self) -> int | None: ...


class Artifacts(Protocol):
    """What one run keeps."""

    def list_artifacts(self) -> Sequence[Any]: ...

    def download(self, path: str, folder: str) -> Path: ...


def fetch(
    kept: Artifacts,
    run: Run,
    columns: Columns | None,
    most: int,
    check_there: Callable[[], None],
    card: DataCard | None = None,
) -> RunResult:
    """Return the run with what its artifacts say, and with what could not be read of them.

    A *card* that is known is not fetched. A table may have at most so many bytes. *check_there* raises where the run
    itself cannot be read: then it is not its artifacts that are amiss.

    :raises ArtifactsAwayError: where they cannot be had just now.
    """
    fetched = _Fetch(kept, run, check_there)
    listed = fetched.attempt(_ALL, lambda: {each.path: each for each in kept.list_artifacts()}) or {}
    with tempfile.TemporaryDirectory() as folder:

        def read_the_card() -> DataCard:
            card, left_out = read_card(fetched.download(listed[CARD_FILE], CARD_BYTES, folder))
            fetched.leave_out(CARD_FILE, left_out)
            return card

        def read_the_table() -> ExampleTable:
            table, left_out = read_table(fetched.download(listed[TABLE_FILE], most, folder, BOUND), columns, most)
            fetched.leave_out(TABLE_FILE, join(left_out))
            return table

        if card is None and CARD_FILE in listed:
            card = fetched.attempt(CARD_FILE, read_the_card)
        table = fetched.attempt(TABLE_FILE, read_the_table) if TABLE_FILE in listed else None
    return RunResult(run, card or DataCard(), table, tuple(fetched.unread))


def fetch_texts(
    kept: Artifacts,
    run: Run,
    columns: Sequence[str],
    ids: Collection[str],
    most: int,
    check_there: Callable[[], None],
) -> ExampleTexts:
    """Return texts of some examples of the run, why its worst were answered so, and what could not be read of either.

    A table has *most* bytes at most.

    :raises ArtifactsAwayError: where they cannot be had just now.
    """
    fetched = _Fetch(kept, run, check_there)
    listed = fetched.attempt(_ALL, lambda: {each.path: each for each in kept.list_artifacts()}) or {}
    if TABLE_FILE not in listed:
        return ExampleTexts({}, tuple(fetched.unread))
    with tempfile.TemporaryDirectory() as folder:

        def read_the_texts() -> dict[str, tuple[str, ...]]:
            path = fetched.download(listed[TABLE_FILE], most, folder, BOUND)
            found, left_out = read_texts(path, columns, ids, most)
            fetched.leave_out(TABLE_FILE, join(left_out))
            return found

        def read_why() -> tuple[ExplainedExample, ...]:
            path = fetched.download(listed[EXPLANATIONS_FILE], EXPLANATIONS_BYTES, folder)
            found, left_out = read_explanations(path)
            fetched.leave_out(EXPLANATIONS_FILE, left_out)
            return found

        texts = fetched.attempt(TABLE_FILE, read_the_texts) or {}
        explained = fetched.attempt(EXPLANATIONS_FILE, read_why) if EXPLANATIONS_FILE in listed else None
    return ExampleTexts(texts, tuple(fetched.unread), explained or ())


class _Fetch:
    """Goes for one artifact after the other, and notes what could not be read."""

    def __init__(self, kept: Artifacts, run: Run, check_there: Callable[[], None]) -> None:
        self.unread: list[Unread] = []
        self._check_there = check_there
        self._kept = kept
        self._run = run

    def attempt(self, artifact: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except UnreadableError as error:
            self.unread.append(error.of(artifact))
        except Exception as error:  # every storage has a library of its own, or lacks it
            self._check_there()
            if is_away(error):
                words = f"run {self._run.run_id}: {artifact} cannot be had just now: {_in_words(error)}"
                raise ArtifactsAwayError(words) from error
            self.unread.append(Unread(artifact, Trouble.NOT_HAD, _in_words(error)))
        return None

    def download(self, listed: _Listed, most: int, folder: str, by: str = "") -> Path:
        if listed.is_dir:
            raise UnreadableError(Trouble.FOLDER, "")
        if listed.file_size is not None and listed.file_size > most:
            raise UnreadableError(Trouble.TOO_LARGE, f"{listed.file_size:,} bytes; at most {most:,} are read{by}")
        return self._kept.download(listed.path, folder)

    def leave_out(self, artifact: str, words: str) -> None:
        if words:
            self.unread.append(Unread(artifact, Trouble.IN_PART, words))


def is_away(error: BaseException) -> bool:
    """Say whether an error tells that something does not answer just now, rather than what it answers."""
    import requests

    away = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        json.JSONDecodeError,
        ConnectionError,
        TimeoutError,
    )
    if (answer := _answer_in(error)) is not None:
        return answer.status_code in _AWAY_STATUS
    if any(isinstance(each, away) for each in _chain(error)):
        return True
    return any(_AWAY_WORDS.search(str(each)) for each in _chain(error))


def _in_words(error: BaseException) -> str:
    """Say what went wrong: of an answer its status and what MLflow says with it, not its address nor a page."""
    answer = _answer_in(error)
    if answer is None:
        return in_short(error)
    told = f"the server answers {answer.status_code}{f' ({answer.reason})' if answer.reason else ''}"
    try:
        said = str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return told
    return f"{told}: {in_short(RuntimeError(said))}"


def _answer_in(error: BaseException) -> Response | None:
    import requests

    found = (each.response for each in _chain(error) if isinstance(each, requests.HTTPError))
    return next((each for each in found if each is not None), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__

"""The connection to an MLflow: one client that only reads, one that writes, and what goes wrong in our words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bot.errors import RefusedError, RunStoreError, in_short
from bot.runtime.deadline import ending_at
from bot.runtime.shown_addresses import shown, strike_out_secrets_of
from bot.services.mlflow.advice import advice_on, is_forbidden
from bot.services.mlflow.answers import OddAnswerError
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.importing import load
from bot.services.mlflow.opening import Opening, look, unfilled

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_REFUSALS = {"PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST"}
_BAD_TERMS = "INVALID_PARAMETER_VALUE"
_TIME_FOR_ALL = 900.0  # seconds, of what one question takes in requests: redirects, pages, files
_OPENING = threading.Lock()


class MlflowConnection:
    """An MLflow tracking server or database; nothing is asked before it is needed."""

    def __init__(self, config: MlflowSection) -> None:
        self._config = config
        self._opening: Opening | None = None
        self._reader_once: MlflowClient | None = None
        self._writer_once: MlflowClient | None = None

    def opened(self) -> Opening:
        """Look at the address once, before anything is read there."""
        if self._opening is None:
            address = self._config.tracking_uri
            load(address)
            with _OPENING:
                self._opening = self._opening or look(address, shown(address))
        return self._opening

    @property
    def reader(self) -> MlflowClient:
        """Return what everything is read through; where the store is a database, it cannot write."""
        if self._reader_once is None:
            reading = self.opened().reading
            with _OPENING, unfilled(reading):  # MLflow keeps an engine an address; two threads would make two of it
                from mlflow.tracking import MlflowClient

                self._reader_once = self._reader_once or MlflowClient(tracking_uri=reading)
        return self._reader_once

    @property
    def writer(self) -> MlflowClient:
        """Return what the few things are written through that jobs need: a tag, an end, a log."""
        if self._writer_once is None:
            self.opened()
            with _OPENING, unfilled(self._config.tracking_uri):
                from mlflow.tracking import MlflowClient

                self._writer_once = self._writer_once or MlflowClient(tracking_uri=self._config.tracking_uri)
        return self._writer_once

    @contextmanager
    def translated(self, terms: str = "", of: str = "what was asked for", needs: str = "READ") -> Iterator[None]:
        """Turn whatever MLflow and the storage below it raise into our error, in one sentence.

        *terms* is the part of a search that is not ours: where MLflow cannot read it, the sentence says so. *of* is
        what is asked for, and *needs* the permission that it takes, for where the account has it not.
        """
        load(self._config.tracking_uri)
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        address = self._config.tracking_uri
        try:
            with ending_at(time.monotonic() + _TIME_FOR_ALL):
                yield
        except RunStoreError:
            raise
        except Exception as error:  # of an answer that is not MLflow's, its client makes whatever it happens to
            said = strike_out_secrets_of(address, in_short(error))
            if isinstance(error, ModuleNotFoundError):
                said = f"it needs {error.name}, which is not installed beside Herald; or name a server (http)"
            elif not isinstance(error, MlflowException | SQLAlchemyError | requests.RequestException | OSError):
                said = f"what answers there is not MLflow, or answers oddly: {said}"
            if terms and getattr(error, "error_code", "") == _BAD_TERMS:
                raise RunStoreError(f"watch.filter: {terms!r} is not a filter that MLflow reads: {said}") from error
            begin = f"mlflow.tracking_uri: {shown(address)}"
            if is_forbidden(str(error)):
                words = f"{begin} does not let Herald's account at {of}: ask its owner for the permission {needs} there"
                raise RefusedError(words, advises=True) from error
            advice = advice_on(str(error), address)
            refuses = RefusedError if _is_of_what_was_asked(error, advice) else RunStoreError
            raise refuses(f"{begin} cannot be used: {advice or said}", advises=bool(advice)) from error


def _is_of_what_was_asked(error: Exception, advice: str) -> bool:
    """Say whether MLflow may answer something else: it refuses this, or one run that it tells of is odd."""
    return not advice and (getattr(error, "error_code", "") in _REFUSALS or isinstance(error, OddAnswerError))

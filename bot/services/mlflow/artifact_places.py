"""Lists and fetches what runs keep in their artifact stores, in as few requests as that takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bot.domain.runs import Trouble
from bot.services.mlflow.connection import MlflowConnection
from bot.services.mlflow.unreadable import UnreadableError

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.tracking import MlflowClient

_MOST = 2000  # runs of which it is remembered where their artifacts lie
_SERVED = "mlflow-artifacts:"
_SWITCHED_OFF = "disabled due to the mlflow server running with"  # what --no-serve-artifacts answers, with 503
_TOLD = "MLflow's server is told to give none (it runs with --no-serve-artifacts)"
_SECONDS = 600.0  # for which a server that serves none is not asked for the next run's


class ArtifactPlaces:
    """Where runs keep their artifacts; a search tells it of each run that it finds.

    `MlflowClient.download_artifacts` asks for each file where the run keeps it, whether it is a folder and which models
    the run has, six requests in all; and of whatever fails it says that there is no such path.
    """

    def __init__(self, mlflow: MlflowConnection) -> None:
        self._mlflow = mlflow
        self._known: dict[str, str] = {}  # addresses by run, the longest known first
        self._noting = threading.Lock()
        self._off_until = float("-inf")  # as time.monotonic() tells it

    def note(self, run_id: str, address: str) -> None:
        """Remember where a run keeps its artifacts, as MLflow has said with the run."""
        with self._noting:
            self._known.pop(run_id, None)
            self._known[run_id] = address
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]

    def of(self, run_id: str) -> RunArtifacts:
        """Return what a run keeps; raises where there is no MLflow to ask, and asks nothing of the run yet."""
        return RunArtifacts(self, self._mlflow.reader, run_id)

    def open(self, reader: MlflowClient, run_id: str) -> ArtifactRepository:
        """Return what lists and gives a run's artifacts; asks MLflow where no search has told of the run."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

        with self._noting:
            address = self._known.get(run_id)
        if address is None:
            address = reader.get_run(run_id).info.artifact_uri or ""
            self.note(run_id, address)
        if address.startswith(_SERVED) and time.monotonic() < self._off_until:
            raise UnreadableError(Trouble.NOT_HAD, _TOLD)
        tracking = reader.tracking_uri
        whole: Any = add_databricks_profile_info_to_artifact_uri(address, tracking)  # type: ignore[no-untyped-call]
        return get_artifact_repository(whole, tracking_uri=tracking)

    def switch_off(self) -> UnreadableError:
        """Ask for nothing that the server would serve for a while; each answer of it has been waited for."""
        self._off_until = time.monotonic() + _SECONDS
        return UnreadableError(Trouble.NOT_HAD, _TOLD)


class RunArtifacts:
    """What one run keeps."""

    def __init__(self, places: ArtifactPlaces, reader: MlflowClient, run_id: str) -> None:
        self._places = places
        self._reader = reader
        self.run_id = run_id
        self._opened: ArtifactRepository | None = None

    def list_artifacts(self) -> Sequence[Any]:
        try:
            found: Sequence[Any] = self._open().list_artifacts()
        except Exception as error:
            if _SWITCHED_OFF in str(error):
                raise self._places.switch_off() from error
            raise
        return found

    def download(self, path: str, folder: str) -> Path:
        """Fetch a file that was listed as one, by what every storage of MLflow's has for it: no look whether it is."""
        target = Path(folder, PurePosixPath(path).name)
        self._open()._download_file(path, str(target))  # type: ignore[no-untyped-call]  # noqa: SLF001
        return target

    def _open(self) -> ArtifactRepository:
        if self._opened is None:
            self._opened = self._places.open(self._reader, self.run_id)
        return self._opened

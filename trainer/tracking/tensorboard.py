"""TensorBoard's event files; the only module that writes them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from trainer.errors import JobError


class Events(Protocol):
    def add(self, values: Mapping[str, float], step: int) -> None: ...


class NoEvents:
    def add(self, values: Mapping[str, float], step: int) -> None:
        pass


class TensorBoardEvents:
    """Scalars by step, readable while the job runs."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def add(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def check_installed() -> None:
    """Raise JobError where event files were asked for and cannot be written."""
    from importlib.util import find_spec

    if find_spec("tensorboard") is None:
        raise JobError("tensorboard: true needs the package tensorboard, which is not installed")


@contextmanager
def writing_events(folder: Path | None) -> Iterator[Events]:
    """Give where to add scalars; nowhere when *folder* is None."""
    if folder is None:
        yield NoEvents()
        return
    events = TensorBoardEvents(folder)
    try:
        yield events
    finally:
        events.close()

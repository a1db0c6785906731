"""The pages of a Herald that is at work: those of the configuration that it has now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bot.config.models import Config
from bot.connections import make_step_reader
from bot.reports.reader import Reader, open_reader
from bot.web.app import Ailing, Guarded, Leads, make_app
from bot.web.curves import StepCurves
from bot.web.doorway import Doorway


@dataclass(slots=True)
class OwnPages:
    """Shows the pages, and after a reload others in their place."""

    doorway: Doorway
    ailing: Ailing
    lacking: Ailing
    leads: Leads
    is_ready: Callable[[], bool]  # before that MLflow's libraries are being imported
    _reader: Reader | None = None
    _app: Guarded | None = None

    def show(self, config: Config, folder: Path) -> None:
        """Let the pages be those of a configuration.

        Raises ConfigError where it asks for a token and none is set; then they are what they were.
        """
        reader = self._reader or open_reader(config, folder, config.web.timeout)
        reader = replace(reader, config=config, overrides=folder / config.templates if config.templates else None)
        curves = StepCurves(make_step_reader(config), self.is_ready)
        app = make_app(reader, self.ailing, curves, self.lacking, self.leads)
        self._reader, self._app, self.doorway.app = reader, app, app

    def prepare(self) -> None:
        """Make what the first reader would else wait for."""
        if self._app is not None:
            self._app.prepare()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.database.close()

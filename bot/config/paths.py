"""Where the relative paths of a configuration start: at its own folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from bot.config.models import Config


def with_absolute_paths(config: Config, folder: Path) -> Config:
    """Let SQLite files of state and MLflow lie beside the configuration, wherever Herald is started."""
    store = config.store.model_copy(update={"url": SecretStr(absolute(config.store.url.get_secret_value(), folder))})
    mlflow = config.mlflow.model_copy(update={"tracking_uri": absolute(config.mlflow.tracking_uri, folder)})
    return config.model_copy(update={"store": store, "mlflow": mlflow})


def absolute(address: str, folder: Path) -> str:
    """Let the file of a SQLite address lie below *folder*, unless it says where it lies."""
    if not address.startswith("sqlite:"):
        return address
    url = make_url(address)
    if not url.database or url.database == ":memory:":
        return address
    return url.set(database=str((folder / url.database).resolve())).render_as_string(hide_password=False)

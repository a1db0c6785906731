"""Where secrets come from: the environment and a folder, less those of services that the file does not name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
)

from bot.config.services import NAMED, SECRETS


class _Environment(PydanticBaseSettingsSource):
    """The environment's variables, less the secrets of services that the file does not name."""

    def __init__(self, source: PydanticBaseSettingsSource, written: Mapping[str, Any]) -> None:
        super().__init__(source.settings_cls)
        self._source = source
        self._written = written

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        return _without_strangers(self._source(), self._written)


class _SecretsFolder(NestedSecretsSettingsSource):
    """The files of a secrets folder, less those of services that the file does not name."""

    def __init__(self, source: PydanticBaseSettingsSource, written: Mapping[str, Any]) -> None:
        super().__init__(source)
        self._written = written

    def __call__(self) -> dict[str, Any]:
        return _without_strangers(super().__call__(), self._written)


def _without_strangers(given: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out services of which nothing but secrets is known: they may be another Herald's on this machine."""
    return {
        key: _named(value, written.get(key)) if key in NAMED and isinstance(value, dict) else value
        for key, value in given.items()
    }


def _named(services: Mapping[str, Any], written: object) -> dict[str, Any]:
    names = written if isinstance(written, dict) else {}
    return {
        name: service
        for name, service in services.items()
        if name in names or not isinstance(service, dict) or not service.keys() <= SECRETS
    }

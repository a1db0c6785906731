"""Frozen dataclasses to JSON text and back; numbers that are not finite survive the journey."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter

T = TypeVar("T")


_adapters: dict[type[Any], TypeAdapter[list[Any]]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[list[Any]]:
    if kind not in _adapters:
        # The list carries the setting: pydantic takes none for a bare dataclass.
        _adapters[kind] = TypeAdapter(list[kind], config=ConfigDict(ser_json_inf_nan="strings"))  # type: ignore[valid-type]
    return _adapters[kind]


def dump(value: Any) -> str:
    return _adapter(type(value)).dump_json([value]).decode()


def load(kind: type[T], text: str) -> T:
    return cast("T", _adapter(kind).validate_json(text)[0])

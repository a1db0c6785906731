"""What every section of the configuration is made of: the strict model, and the types of its values."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    UrlConstraints,
    ValidationInfo,
)

from bot.text.locales import Locale, read_locale

_SIZES = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MOST_BYTES = 10**18
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def read_duration(value: object) -> timedelta:
    """Read `90s`, `15m`, `2h`, `1d` or `1w`; raise ValueError that says what would be right."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("should be a number with its unit, such as 90s, 15m, 2h, 1d or 1w")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise ValueError("is longer than any calendar") from None


def write_duration(length: timedelta) -> str:
    """Write a length of time as config has it, in the largest unit that it is a whole number of."""
    seconds = int(length.total_seconds())
    unit, size = next((unit, size) for unit, size in reversed(_UNITS.items()) if seconds % size == 0)
    return f"{seconds // size}{unit}"


def read_size(value: object) -> object:
    """Read `500 kB`, `512 MB` or `8 GB` as bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT])B\s*", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("should be a number with its unit, such as 512 MB or 8 GB")
    size = float(found[1]) * _SIZES[found[2]]
    if size > _MOST_BYTES:
        raise ValueError("is larger than any disk")
    return int(size)


def _without_credentials(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password:
        raise ValueError("should hold no user or password: links in tickets are made of it")
    if url.query or url.fragment:
        raise ValueError("should end before ? and #: the paths that are asked for are put behind it")
    return url


def _read_secret(secret: SecretStr, info: ValidationInfo) -> SecretStr:
    """Take the end of its line off a secret, and refuse what could not be sent, without showing it."""
    text = secret.get_secret_value().strip("\r\n")
    if not text.isprintable():
        raise ValueError("should be one line without control characters: is it two lines of a file, or a copy of more?")
    if info.field_name == "token":  # it is sent in a header
        text = text.strip()
        if not text.isascii():
            raise ValueError("is sent in a header: it should be printable ASCII")
    return SecretStr(text)


Secret = Annotated[SecretStr, AfterValidator(_read_secret)]
Url = Annotated[AnyHttpUrl, UrlConstraints(allowed_schemes=["http", "https"]), AfterValidator(_without_credentials)]
Duration = Annotated[timedelta, BeforeValidator(read_duration)]
Size = Annotated[int, BeforeValidator(read_size), Field(gt=0)]  # bytes
Language = Annotated[Locale, BeforeValidator(read_locale)]


class Section(BaseModel):
    """A part of the configuration: frozen, and every key known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServiceSection(Section):
    """What every service over HTTP has."""

    url: Url
    timeout: Duration = timedelta(seconds=20)  # of one request
    ca_file: str | None = None  # a private certificate authority, PEM

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return str(self.url).rstrip("/")

    @property
    def api(self) -> str:
        """The address below which everything is asked for."""
        return self.base

"""What config says of the pages that `herald serve --http` shows: where people open them, and who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from bot.sections import Duration, Secret, Section, Url


class WebSection(Section):
    """The pages, for whoever reads them in a browser."""

    address: Url | None = None  # where people open them: tickets, reports and messages then lead there
    access: Literal["open", "token", "proxy"] = "open"  # to all who reach it, who know a token, whom a proxy has let in
    token: Secret | None = None  # shared by all readers
    timeout: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=10)  # of all looks of a page
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] = "X-Forwarded-User"  # a proxy sets it

    @field_validator("token")
    @classmethod
    def _can_be_sent(cls, token: SecretStr | None) -> SecretStr | None:
        """A header bears no other characters, nor any space at its ends."""
        text = "" if token is None else token.get_secret_value()
        if text.isascii() and text.isprintable() and text == text.strip():
            return token
        raise ValueError("a machine sends it in a header: it should be printable ASCII, without a space at either end")

    @property
    def base(self) -> str:
        """The address without a slash at its end; empty where config has none."""
        return "" if self.address is None else str(self.address).rstrip("/")

    @property
    def prefix(self) -> str:
        """The path below which people open the pages, `/herald`; empty where they have a host of their own."""
        return "" if self.address is None else (self.address.path or "").rstrip("/")

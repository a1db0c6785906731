"""The section of a mail server in the configuration."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.sections import Duration, Language, Secret, Section

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class MailSection(Section):
    kind: Literal["mail"] = "mail"
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, gt=0, lt=65536)  # by default the one of its security
    security: Literal["starttls", "tls", "none"] = "starttls"  # none: for a relay on this machine or network
    sender: str  # `Herald <herald@example.com>`
    user: str = ""  # empty: the server asks for none
    password: Secret = SecretStr("")
    locales: dict[str, Language] = {}  # languages of single channels, which are addresses
    charts: bool = True  # whether the history chart goes with a message
    timeout: Duration = timedelta(seconds=30)  # of one step of the exchange
    ca_file: str | None = None

    text_form: ClassVar[TextForm] = TextForm("mail", dialect="markdown", folder="chat", limit=50_000)

    @property
    def capabilities(self) -> ChatCapabilities:
        return ChatCapabilities(charts=self.charts, attaches=True)

    @property
    def at_port(self) -> int:
        return self.port or _PORTS[self.security]

    @field_validator("sender")
    @classmethod
    def _check_sender(cls, sender: str) -> str:
        _, address = parseaddr(sender)
        local, _, domain = address.rpartition("@")
        if not local or not domain or any(mark in sender for mark in "\r\n"):
            raise ValueError("should be an address, such as Herald <herald@example.com>")
        return sender

    @model_validator(mode="after")
    def _keep_password_safe(self) -> Self:
        if self.user and self.security == "none":
            raise ValueError("should have security: without it, user and password go over the network as they are")
        return self

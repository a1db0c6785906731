"""A webhook: an address that is all there is to name and to ask, and a secret from its path on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, MissingError, PermanentError, RetryableError
from bot.services.http import JSON_IN_UTF8, Wire, in_utf8, make_session
from bot.services.refusals import Answer, Service

_NOT_THERE = (404, 410)
_SHORTEST_SECRET = 8  # characters; shorter parts of the address are words like `hooks` or `services`


class Hook:
    """Sends to one webhook, each message once; errors say *who* it is, and nothing of its address but the host."""

    def __init__(
        self,
        who: str,
        webhook_url: SecretStr,
        *,
        timeout: timedelta,
        ca_file: str | None,
        advice: Mapping[int, str],
        secrets: tuple[SecretStr, ...] = (),
    ) -> None:
        self._url, self._seconds = webhook_url, timeout.total_seconds()
        host = f"https://{urlsplit(webhook_url.get_secret_value()).hostname}"
        hidden = (*secrets, *_secrets_in(webhook_url))
        self.service = Service(who, host, self._seconds, advice=advice, secrets=hidden)
        self._wire, self._session = Wire(self.service), make_session(ca_file)
        self._rests_until: float | None = None  # as time.monotonic() tells it

    @property
    def allowance(self) -> Allowance | None:
        """Tell of the webhook's rest, too, where it has said how long it takes nothing."""
        left = 0.0 if self._rests_until is None else self._rests_until - time.monotonic()
        return Allowance(0, left) if left > 0 else self._wire.allowance

    def send(
        self, body: Mapping[str, Any], check_taken: Callable[[Answer], None], signed: Mapping[str, str] | None = None
    ) -> None:
        """Send one message; *signed* goes into the address. *check_taken* lets the answer prove that it was taken."""
        try:
            self._wire.read(
                "post",
                lambda: self._session.post(
                    self._url.get_secret_value(),
                    data=in_utf8(body),
                    headers=JSON_IN_UTF8,
                    params=signed,
                    timeout=self._seconds,
                    verify=self._session.verify,
                ),
                check_taken,
                write=True,
            )
        except RetryableError as error:
            if not isinstance(error, AccountError):
                self._rests_until = time.monotonic() + (error.retry_after or 0.0)
                raise
            raise _refused(error)(str(error), doubtful=error.doubtful, status=error.status) from None
        except PermanentError as error:
            if not error.about_access:
                raise
            raise _refused(error)(str(error), status=error.status) from None  # there is but the one thing to refuse


def host_of(webhook_url: SecretStr) -> str | None:
    """Return what of a webhook's address is no secret; None where it is no address of the web."""
    try:
        parts = urlsplit(webhook_url.get_secret_value())
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


def _secrets_in(webhook_url: SecretStr) -> tuple[SecretStr, ...]:
    """Take out the parts of the address that let one post."""
    parts = urlsplit(webhook_url.get_secret_value())
    values = (*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query)))
    return (webhook_url, *(SecretStr(part) for part in values if len(part) >= _SHORTEST_SECRET))


def _refused(error: AccountError | PermanentError) -> type[AccountError]:
    """Tell an address behind which nothing is any more from one that does not take us."""
    return MissingError if isinstance(error, MissingError) or error.status in _NOT_THERE else AccountError

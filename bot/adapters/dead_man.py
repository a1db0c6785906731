"""Tells a dead man's switch, such as Healthchecks, that Herald is well."""

from __future__ import annotations

import ssl

from bot.config import DeadManSection
from bot.errors import PermanentError, RetryableError

_SERVER_ERROR = 500


class HttpDeadMan:
    """Asks for the configured address; the address is a secret, so errors do not name it."""

    def __init__(self, config: DeadManSection) -> None:
        import httpcore  # noqa: F401  here, before there are threads
        import httpx  # noqa: F401

        self._config = config

    def signal(self) -> None:
        import httpx

        verify = ssl.create_default_context(cafile=self._config.ca_file) if self._config.ca_file else True
        try:
            answer = httpx.get(
                self._config.url.get_secret_value(),
                timeout=self._config.timeout.total_seconds(),
                verify=verify,
                headers={"User-Agent": "herald"},
            )
        except httpx.InvalidURL:
            raise PermanentError("dead_man.url: is not an address") from None
        except httpx.UnsupportedProtocol:
            raise PermanentError("dead_man.url: should begin with https:// or http://") from None
        except httpx.HTTPError as error:
            raise RetryableError(f"dead_man.url: cannot be reached: {type(error).__name__}", doubtful=False) from None
        if answer.status_code >= _SERVER_ERROR:
            raise RetryableError(f"dead_man.url: answered {answer.status_code}", doubtful=False)
        if not answer.is_success:
            raise PermanentError(f"dead_man.url: answered {answer.status_code}", status=answer.status_code)

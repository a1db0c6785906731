"""Tells a dead man's switch, such as Healthchecks, that Herald is well."""

from __future__ import annotations

import requests

from bot.errors import PermanentError, RetryableError
from bot.services.healthchecks.config import DeadManSection
from bot.services.http import make_session
from bot.services.refusals import is_page

_SERVER_ERROR = 500


class HttpDeadMan:
    """Asks for the configured address; the address is a secret, so errors do not name it."""

    def __init__(self, config: DeadManSection) -> None:
        self._config = config
        self._session = make_session(config.ca_file)

    def signal(self) -> None:
        answer = self._ask()
        if answer.status_code >= _SERVER_ERROR:
            raise RetryableError(f"dead_man.url: answered {answer.status_code}", doubtful=False)
        if answer.status_code // 100 != 2:  # noqa: PLR2004
            raise PermanentError(f"dead_man.url: answered {answer.status_code}", status=answer.status_code)
        if is_page(answer):
            raise RetryableError(
                "dead_man.url: answered with a page for people: who stands in between?", doubtful=False
            )

    def _ask(self) -> requests.Response:
        try:
            return self._session.get(
                self._config.url.get_secret_value(),
                timeout=self._config.timeout.total_seconds(),
                verify=self._session.verify,
                headers={"User-Agent": "herald"},
                allow_redirects=False,
            )
        except (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise PermanentError("dead_man.url: should begin with https:// or http://") from None
        except (requests.exceptions.InvalidURL, UnicodeError):
            raise PermanentError("dead_man.url: is not an address") from None
        except (requests.RequestException, OSError) as error:
            raise RetryableError(f"dead_man.url: cannot be reached: {type(error).__name__}", doubtful=False) from None

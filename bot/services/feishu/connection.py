"""The connection to Feishu's open platform: an app's token, and answers that say by a number how it went."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from bot.domain.rate_limits import Allowance
from bot.services.app_tokens import AppToken, SpokenFor
from bot.services.coded_refusals import refusal_by_code
from bot.services.evidence import json_in, number_in, text_in
from bot.services.feishu.config import FeishuSection
from bot.services.feishu.refusals import CODES, NO_TOKEN
from bot.services.http import JSON_IN_UTF8, Wire, in_utf8, make_session
from bot.services.refusals import Answer, Service

T = TypeVar("T")

_OURS = range(400, 500)
_TOO_MANY = 429


class FeishuConnection:
    """The connection to one tenant, which the chat and the doctor use."""

    def __init__(self, config: FeishuSection) -> None:
        self._config = config
        self._seconds = config.timeout.total_seconds()
        self._service = Service("Feishu", config.base, self._seconds, secrets=(config.app_secret,))
        self._wire, self._session = Wire(self._service), make_session(config.ca_file)
        self._token = AppToken(self._ask_token)

    @property
    def allowance(self) -> Allowance | None:
        return self._wire.allowance

    def call(
        self,
        doing: str,
        method: str,
        path: str,
        parse: Callable[[Mapping[str, Any]], T],
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        write: bool = False,
    ) -> T:
        """Call one address as the app; its answer is read only where its number is 0."""
        token = self._token.get()
        return self._send(doing, method, path, parse, body, params, {"Authorization": f"Bearer {token}"}, write=write)

    def _ask_token(self) -> tuple[str, float]:
        who = {"app_id": self._config.app_id, "app_secret": self._config.app_secret.get_secret_value()}
        path = "auth/v3/tenant_access_token/internal"

        def parse(said: Mapping[str, Any]) -> tuple[str, float]:
            return text_in(said, "tenant_access_token"), float(number_in(said, "expire"))

        return self._send("say who we are", "POST", path, parse, who, None, {}, write=False)

    def _send(
        self,
        doing: str,
        method: str,
        path: str,
        parse: Callable[[Mapping[str, Any]], T],
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        *,
        write: bool,
    ) -> T:
        def send() -> Answer:
            return _by_its_number(
                self._session.request(
                    method,
                    f"{self._config.base}/open-apis/{path}",
                    data=None if body is None else in_utf8(body),
                    params=params,
                    headers={**JSON_IN_UTF8, **headers},
                    timeout=self._seconds,
                    verify=self._session.verify,
                )
            )

        def read(answer: Answer) -> T:
            said = json_in(answer)
            code = number_in(said, "code")
            if code in NO_TOKEN:
                self._token.forget()
            if code:
                raise refusal_by_code(self._service, doing, code, str(said.get("msg")), CODES, write=write)
            return parse(said)

        return self._wire.read(doing, send, read, write=write)


def _by_its_number(answer: requests.Response) -> Answer:
    """Let a refusal in Feishu's own words be read as such: it comes with a status of 400 or so."""
    if answer.status_code not in _OURS or answer.status_code == _TOO_MANY:
        return answer
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        return answer
    has_number = isinstance(said, dict) and isinstance(said.get("code"), int) and said["code"] != 0
    return SpokenFor(answer.headers, answer.content) if has_number else answer

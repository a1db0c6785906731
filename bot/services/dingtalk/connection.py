"""The connection to DingTalk's open platform: an app's token, and refusals in words of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from bot.domain.rate_limits import Allowance
from bot.services.app_tokens import AppToken, SpokenFor
from bot.services.coded_refusals import refusal_by_code
from bot.services.dingtalk.config import DingtalkSection
from bot.services.dingtalk.refusals import APP_CODES, NO_TOKEN
from bot.services.evidence import json_in, number_in, text_in
from bot.services.http import JSON_IN_UTF8, Wire, in_utf8, make_session
from bot.services.refusals import Answer, Service

T = TypeVar("T")

_REFUSED, _TOO_MANY = 400, 429


class DingtalkConnection:
    """The connection as one app, which the chat and the doctor use."""

    def __init__(self, config: DingtalkSection) -> None:
        self._config = config
        self._seconds = config.timeout.total_seconds()
        self._service = Service("DingTalk", config.base, self._seconds, secrets=(config.app_secret,))
        self._wire, self._session = Wire(self._service), make_session(config.ca_file)
        self._token = AppToken(self._ask_token)

    @property
    def allowance(self) -> Allowance | None:
        return self._wire.allowance

    def say_who_we_are(self) -> None:
        """Ask for a token anew; raises what keeps us from one."""
        self._token.forget()
        self._token.get()

    def call(
        self, doing: str, method: str, path: str, parse: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any]
    ) -> T:
        """Write to one address as the app."""
        headers = {"x-acs-dingtalk-access-token": self._token.get()}
        return self._send(doing, method, path, parse, body, headers, write=True)

    def _ask_token(self) -> tuple[str, float]:
        who = {"appKey": self._config.app_key, "appSecret": self._config.app_secret.get_secret_value()}

        def parse(said: Mapping[str, Any]) -> tuple[str, float]:
            return text_in(said, "accessToken"), float(number_in(said, "expireIn"))

        return self._send("say who we are", "POST", "oauth2/accessToken", parse, who, {}, write=False)

    def _send(
        self,
        doing: str,
        method: str,
        path: str,
        parse: Callable[[Mapping[str, Any]], T],
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        write: bool,
    ) -> T:
        def send() -> Answer:
            return _by_its_word(
                self._session.request(
                    method,
                    f"{self._config.base}/v1.0/{path}",
                    data=in_utf8(body),
                    headers={**JSON_IN_UTF8, **headers},
                    timeout=self._seconds,
                    verify=self._session.verify,
                )
            )

        def read(answer: Answer) -> T:
            said = json_in(answer)
            word = said.get("code") if isinstance(said, Mapping) else None
            if word in NO_TOKEN:
                self._token.forget()
            if isinstance(word, str):
                raise refusal_by_code(self._service, doing, word, str(said.get("message")), APP_CODES, write=write)
            return parse(said)

        return self._wire.read(doing, send, read, write=write)


def _by_its_word(answer: requests.Response) -> Answer:
    """Let a refusal in DingTalk's own words be read as such: it comes with a status of 400 or so."""
    if answer.status_code < _REFUSED or answer.status_code == _TOO_MANY:
        return answer
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        return answer
    is_known = isinstance(said, dict) and (answer.status_code < 500 or said.get("code") in APP_CODES)  # noqa: PLR2004
    return SpokenFor(answer.headers, answer.content) if is_known and isinstance(said.get("code"), str) else answer

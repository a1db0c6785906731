"""The connection to a Slack workspace: the Web API through slack_sdk's client, over a session of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from bot.domain.rate_limits import Allowance
from bot.ports import Attachment
from bot.services.evidence import json_in
from bot.services.http import Wire, make_session
from bot.services.refusals import Service
from bot.services.slack.answers import check_upload
from bot.services.slack.config import SlackSection
from bot.services.slack.refusals import accepted

T = TypeVar("T")

_QUIET = logging.Logger("slack_sdk", level=logging.CRITICAL)  # noqa: LOG001 - what fails is told once, by our error


class _Client(WebClient):
    """The SDK's client over a session of ours: its own transport takes the token along to wherever it is redirected.

    Good for one call; *answer* is what came of it.
    """

    def __init__(self, config: SlackSection, session: requests.Session) -> None:
        super().__init__(config.token.get_secret_value(), base_url=config.base, retry_handlers=[], logger=_QUIET)
        self.answer: requests.Response | None = None
        self._session = session
        self._seconds = config.timeout.total_seconds()

    def api_call(
        self,
        api_method: str,
        *,
        http_verb: str = "POST",
        files: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        auth: dict[str, Any] | None = None,
    ) -> SlackResponse:
        """Send one call, through which go all the SDK's own; its answer is read by others."""
        del files, auth  # of calls that are never made here
        url = f"{self.base_url}{api_method}"
        self.answer = self._session.post(
            url,
            json=json,
            data=None if json else _form({**(params or {}), **(data or {})}),
            headers={**self.headers, **(headers or {}), "Authorization": f"Bearer {self.token}"},
            timeout=self._seconds,
            verify=self._session.verify,
        )
        return SlackResponse(
            client=self,
            http_verb=http_verb,
            api_url=url,
            req_args={},
            data={},
            headers=dict(self.answer.headers),
            status_code=self.answer.status_code,
        )


def _form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write fields as Slack takes them in a form: truth as 1 or 0, and without those that are not given."""
    return {
        name: int(value) if isinstance(value, bool) else value for name, value in fields.items() if value is not None
    }


class SlackConnection:
    """The connection to a workspace, which the chat and the doctor use."""

    def __init__(self, config: SlackSection) -> None:
        self._config = config
        self._wire = Wire(Service("Slack", config.base, config.timeout.total_seconds(), secrets=(config.token,)))
        self._session = make_session(config.ca_file)

    @property
    def allowance(self) -> Allowance | None:
        return self._wire.allowance

    def call(
        self,
        doing: str,
        call: Callable[[WebClient], SlackResponse],
        parse: Callable[[Mapping[str, Any]], T],
        *,
        write: bool = False,
    ) -> T:
        """Call one method; its answer is read only where Slack says `ok`."""
        return self.call_whole(doing, call, lambda answer, _: parse(answer), write=write)

    def call_whole(
        self,
        doing: str,
        call: Callable[[WebClient], SlackResponse],
        parse: Callable[[Mapping[str, Any], Mapping[str, str]], T],
        *,
        write: bool = False,
    ) -> T:
        """Call one method, as :meth:`call` does, and parse its answer with its headers."""

        def send() -> requests.Response:
            client = _Client(self._config, self._session)
            call(client)
            assert client.answer is not None
            return client.answer

        return self._wire.read(
            doing,
            send,
            lambda answer: parse(accepted(doing, json_in(answer), write=write), answer.headers),
            write=write,
        )

    def upload(self, address: str, attachment: Attachment) -> None:
        """Send a file to the address that Slack gave for it, which takes no token."""
        self._wire.read(
            f"take the file {attachment.filename}",
            lambda: self._session.post(
                address,
                data=attachment.content,
                headers={"Content-Type": attachment.media_type},
                timeout=self._config.timeout.total_seconds(),
                verify=self._session.verify,
            ),
            check_upload,
        )

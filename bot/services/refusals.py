"""What a refusal says: whether the thing asked for is at fault, or our account, or that the service is busy."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses as reasons
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr

from bot.errors import AccountError, IntegrationError, MissingError, PermanentError, Reach, RetryableError, abridge
from bot.runtime.secret_forms import forms_of
from bot.runtime.shown_addresses import shown

T = TypeVar("T")

_STOPS = (".", "!", "?", "…", "。")
_WORDS = 600  # characters of a service's own words that an error repeats
_LOOKED_AT = 20_000  # bytes of an answer in which they are looked for
_CONFLICT, _TOO_EARLY, _LOCKED, _TOO_MANY = 409, 425, 423, 429
_NOT_CARRIED_OUT = {_CONFLICT, _TOO_EARLY, _LOCKED, _TOO_MANY}
_SEE_OTHER = 303  # what was sent may have been carried out, and the answer is elsewhere
_UNAUTHORIZED, _PAYMENT, _FORBIDDEN, _NOT_FOUND, _NO_METHOD, _PROXY, _GONE, _LAW = (
    401,
    402,
    403,
    404,
    405,
    407,
    410,
    451,
)
_ABOUT_ACCESS = {_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND}
_NO_SUCH_QUESTION = {_NO_METHOD, _GONE}
_ABOUT_US = {_PAYMENT, _NO_METHOD, _PROXY, _GONE, _LAW}  # never a verdict on the one thing
_OF_WHAT_CONTAINS_IT = {"project", "spaceId", "idBoard"}  # which may only be hidden from us
_SHUT_OUT = {"AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED", "AUTHORISATION_FAILED", "AUTHORIZATION_FAILED"}
# What services say, without naming a field, of licences, suspensions, moves, and tokens that hold too few scopes.
_OF_ALL = re.compile(
    r"\banonymous\b|licen[cs]e\b.*\b(expired|exceeded|invalid|missing)|\b(expired|invalid|no valid) licen[cs]e"
    r"|read[- ]only mode|\bmaintenance\b|captcha|\bsite\b.*\b(moved|suspended|unavailable|deactivated)"
    r"|scope does not match|insufficient[_ ]scope|\b(invalid|expired) (key|token)\b",
    re.IGNORECASE,
)


class Answer(Protocol):
    """What is looked at of an answer."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Service:
    """Whom an adapter speaks to, in the words its errors use."""

    name: str  # `Jira`
    base: str  # its address; holds no credentials
    timeout: float  # seconds
    advice: Mapping[int, str] = field(default_factory=dict)  # what to check, by status
    secrets: tuple[SecretStr, ...] = ()
    refuses_things_by_401: bool = False  # Trello does, where we may not change the one card

    def mask(self, text: str) -> str:
        """Take our credentials out of what a service repeats to us."""
        for secret in self.secrets:
            for form in sorted(forms_of(secret.get_secret_value()), key=len, reverse=True):
                text = text.replace(form, "<secret>")
        return text


def with_advice(message: str, advice: str) -> str:
    """Put an advice after what a service said, which often ends without a stop."""
    if not advice:
        return message
    return f"{message}{'' if message.endswith(_STOPS) else '.'} {advice}"


def refusal_of(
    service: Service, doing: str, response: Answer, *, write: bool, wait: float | None = None
) -> IntegrationError:
    """Build the error that a refusal means; *wait* is how many seconds it asks for."""
    status = response.status_code
    said, fields = complaint_of(response)
    said = service.mask(said)
    advice = service.advice.get(status, "")
    message = with_advice(f"{service.name} did not {doing} ({status}): {said}", advice)
    if is_shut_out(response):
        return _shut_out(service, doing, response, write=write)
    if status in _NOT_CARRIED_OUT or status == requests.codes.request_timeout or status >= 500:  # noqa: PLR2004
        doubtful = write and status not in _NOT_CARRIED_OUT
        return RetryableError(message, doubtful=doubtful, retry_after=wait, status=status)
    fields = {name: service.mask(text) for name, text in fields.items()}
    if _is_about_us(service, response, said, fields):
        doubtful = write and status == _SEE_OTHER
        return AccountError(message, reach=Reach.KIND, doubtful=doubtful, status=status, fields=fields)
    about_access = status in _ABOUT_ACCESS or not _OF_WHAT_CONTAINS_IT.isdisjoint(fields)
    page = is_page(response)
    return PermanentError(message, status=status, fields=fields, about_access=about_access, from_gateway=page)


@contextmanager
def about_us(*, unless_silent: bool = False, what_config_names: bool = False) -> Iterator[None]:
    """Let whatever is refused within be refused to our account: what is asked here is who we are and what we see.

    With *unless_silent* only words about the account count, and a server that does not know the question says nothing.
    With *what_config_names* that is asked for by its id or key, and not found means that it is gone, or hidden from us.
    """
    try:
        yield
    except AccountError as error:
        if unless_silent and (lacks_scope(error) or error.status in _NO_SUCH_QUESTION):
            return
        raise AccountError(str(error), status=error.status, fields=error.fields) from None
    except PermanentError as error:
        if unless_silent and error.status is not None:
            return
        is_missing = what_config_names and error.status == _NOT_FOUND
        refusal = MissingError if is_missing else AccountError
        raise refusal(str(error), status=error.status, fields=error.fields) from None


def unless_gone(show: Callable[[], T], confirm_access: Callable[[], None]) -> T | None:
    """Show something, or return None where it is gone: not found twice, while what it lies in is shown to us."""
    for _ in range(2):
        try:
            return show()
        except PermanentError as error:
            if error.status != _NOT_FOUND:
                raise
        confirm_access()  # services answer the same of what they hide from us, which may just have ended
    return None


def lacks_scope(error: IntegrationError) -> bool:
    """Say whether a token is good, only not for this question."""
    return "scope" in str(error)


def _is_about_us(service: Service, response: Answer, said: str, fields: Mapping[str, str]) -> bool:
    """Say whether a refusal cannot be a verdict on the one thing asked for; how far it goes is not known yet."""
    status = response.status_code
    if points_elsewhere(response) or status in _ABOUT_US:
        return True
    if status == _UNAUTHORIZED and not service.refuses_things_by_401:
        return True
    if status in _ABOUT_ACCESS and is_page(response):  # a gateway's: the services themselves answer in data
        return True
    return not fields and _OF_ALL.search(said) is not None


def is_shut_out(response: Answer) -> bool:
    """Say whether Jira or Confluence took us for nobody, which a header may tell of an answer that looks fine."""
    reason = response.headers.get("X-Seraph-LoginReason", "")
    return (
        not _SHUT_OUT.isdisjoint(re.split(r"[,\s]+", reason.upper()))
        or "X-Authentication-Denied-Reason" in response.headers
        or response.headers.get("X-AUSERNAME", "").lower() == "anonymous"
    )


def _shut_out(service: Service, doing: str, response: Answer, *, write: bool) -> AccountError:
    """Build the error for an answer to nobody; what is fine by its status may have been carried out."""
    status = response.status_code
    advice = service.advice.get(_UNAUTHORIZED, "")
    said = "" if status < 400 else f" {service.mask(complaint_of(response)[0])}"  # noqa: PLR2004
    message = f"{service.name} did not {doing} for our account ({status}): it takes us for nobody.{said} {advice}"
    doubtful = write and status < 300  # noqa: PLR2004
    return AccountError(message.rstrip(), doubtful=doubtful, status=status)


def points_elsewhere(response: Answer) -> bool:
    return response.status_code in requests.models.REDIRECT_STATI and "Location" in response.headers


def is_page(response: Answer) -> bool:
    """Say whether an answer is a page for people rather than data."""
    return _head_of(response.content).lstrip("\ufeff \t\r\n").startswith("<")


def complaint_of(response: Answer) -> tuple[str, dict[str, str]]:
    """Read what a service complains of, whichever of its shapes it uses: its words, and those about single fields."""
    if points_elsewhere(response):
        target = urlsplit(response.headers.get("Location", ""))
        towards = shown(f"{target.scheme}://{target.netloc}") if target.netloc else "another page of its own"
        return f"it points to {towards}, where nothing was sent; should url be that?", {}
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    words, fields = _words_of(answer) if isinstance(answer, dict) else ([], {})
    for header in ("X-Authentication-Denied-Reason", "RateLimit-Reason"):
        if header in response.headers:
            words.append(response.headers[header])
    if not words and not fields:
        words = [readable(response.content) or reasons.get(response.status_code, "no reason given")]
    said = "; ".join(dict.fromkeys([*words, *(f"{name}: {text}" for name, text in fields.items())]))
    return abridge(said, _WORDS).rstrip(".") + ".", fields


def _words_of(answer: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Read Jira's {errorMessages, errors}, Confluence's {errors: [...]} and {message, data}, and plain {error}."""
    messages = answer.get("errorMessages")
    words = [str(each) for each in messages] if isinstance(messages, list) else []
    words += [str(answer[key]) for key in ("message", "errorMessage", "error") if answer.get(key)]
    fields: dict[str, str] = {}
    match answer.get("errors"):
        case dict() as errors:
            fields = {str(name): str(text) for name, text in errors.items()}
        case list() as errors:
            words += [_item_words(each) for each in errors]
    match answer.get("data"):
        case {"errors": list() as errors}:
            words += [_item_words(each) for each in errors]
    return [word for word in words if word], fields


def _item_words(item: object) -> str:
    match item:
        case {"message": {"translation": str() as text}} | {"message": {"key": str() as text}}:
            return text
        case dict():
            parts = [str(item[key]) for key in ("title", "detail", "message") if item.get(key)]
            return ": ".join(parts) or str(item.get("code", ""))
        case _:
            return str(item)


def readable(content: bytes) -> str:
    """Take the words out of what may be a page of HTML."""
    text = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", _head_of(content))
    return abridge(" ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split()), _WORDS)


def _head_of(content: bytes) -> str:
    return content[:_LOOKED_AT].decode("utf-8", "replace")

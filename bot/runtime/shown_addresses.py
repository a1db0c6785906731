"""Addresses as they may be shown: what somebody signs in with never is, wherever in an address it stands.

A database or a proxy takes a password before the host or behind a question mark, and people forget to escape it; so an
address is cut where it may begin, and where that cannot be told nothing but its protocol is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

_CUT = "…"
_BEGIN = re.compile(r"[A-Za-z][\w+.-]*://")
# Keys whose values nobody is shown.
_KEYS = r"[\w-]*(?:pass(?!file)|pwd|secret|token|credential|signature)[\w-]*|(?:api|access|auth)?[_-]?key|sig|auth"
_SIGNS_IN = re.compile(_KEYS, re.IGNORECASE)
_FEWEST = 4  # characters; what is shorter stands in ordinary words
# In the words of others: a user and password before a host, and keys with what they are set to.
_IN_TEXT = (
    (re.compile(r"(?<=://)[^/\s:@'\"]*:[^/\s'\"]+(?=@)"), _CUT),
    (re.compile(rf"(?i)([?&](?:{_KEYS})=)(?!<secret>)[^\s&'\"]+"), rf"\g<1>{_CUT}"),
    (re.compile(r"(?i)\b(password|sslpassword|passfile|passwd|pwd)( ?= ?)('[^']*'|[^\s&'\"]+)"), rf"\g<1>\g<2>{_CUT}"),
)


def shown(address: str) -> str:
    """Return an address without user, password, and what stands behind its question mark."""
    begin = _BEGIN.match(address)
    if begin is None:
        return address
    protocol, rest = begin[0], address[begin.end() :]
    if rest.startswith("/"):  # a file, or a socket's database: nobody signs in before it
        path, asked, _ = rest.partition("?")
        return f"{protocol}{path}{asked and f'?{_CUT}'}"
    place, asked = _parted(rest)
    if "@" in asked:  # in a password that was not escaped, or in a value: nobody knows where the host is
        return f"{protocol}{_CUT}"
    user, at, host = place.rpartition("@")
    return f"{protocol}{_CUT if user else ''}{at}{host}{asked and asked[0] + _CUT}"


def without_user(address: str) -> str:
    """Return an address as it can still be used, without the user and password in it."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else address


def as_base(address: str) -> str:
    """Return an address as the beginning of others: without who signs in, and without what it asks for."""
    parts = urlsplit(without_user(address))
    return urlunsplit(parts._replace(query="", fragment="")).rstrip("/")


def why_misread(address: str) -> str:
    """Say why a user or password in an address is not read as it was meant; empty where it is."""
    begin = _BEGIN.match(address)
    if begin is None:
        return ""
    place, asked = _parted(address[begin.end() :])
    before = (place if "@" in place else asked).rpartition("@")[0]
    return "an @ in a user or password has to be written as %40" if "@" in before else ""


def secrets_in(address: str) -> Iterator[str]:
    """Yield what may be secret of an address, as it stands and as it is meant, and its pieces where it is misread."""
    begin = _BEGIN.match(address)
    if begin is None:
        return
    rest = address[begin.end() :]
    before, at, _ = rest.rpartition("@")
    whole = before.partition(":")[2]
    for written in (whole, *re.split(r"[@/?#]", whole), *_values(rest)) if at else _values(rest):
        yield from {written, unquote(written), unquote_plus(written)} - {""}


def holds_secret(address: str) -> bool:
    """Say whether there is a password in an address, before its host or as a key behind its question mark."""
    return any(True for _ in secrets_in(address))


def strike_out_secrets_of(address: str, text: str) -> str:
    """Take out of the words of who was given an address what it holds of secrets, and what looks like one."""
    for secret in sorted(secrets_in(address), key=len, reverse=True):
        if len(secret) >= _FEWEST:
            text = text.replace(secret, _CUT)
    return strike_out_addresses(text)


def strike_out_addresses(text: str) -> str:
    """Take out of somebody's words what is signed in with, where it can be told by its place in an address."""
    for pattern, instead in _IN_TEXT:
        text = pattern.sub(instead, text)
    return text


def _parted(rest: str) -> tuple[str, str]:
    """Part what is asked for at a place from it, with the sign between."""
    found = re.search(r"[?#]", rest)
    return (rest, "") if found is None else (rest[: found.start()], rest[found.start() :])


def _values(rest: str) -> Iterator[str]:
    for pair in _parted(rest)[1][1:].split("&"):
        key, _, value = pair.partition("=")
        if value and _SIGNS_IN.fullmatch(unquote_plus(key)):
            yield value

"""Whether anything listens at an address that answers nothing but a message."""

from __future__ import annotations

import socket
from datetime import timedelta
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from bot.domain.checks import Check

_PORTS = {"http": 80, "https": 443}
_LONGEST = 5.0  # seconds that a look may wait
_REMEDY = "Check the host in webhook_url, and that this machine may reach it; a proxy is set by HTTPS_PROXY."


def look_for_webhook(url: str, told: str, timeout: timedelta) -> Check:
    """Connect to the host of a webhook, and send nothing; by way of a proxy nothing can be known so."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    untried = "posting was not tried: herald chat test does"
    if select_proxy(url, get_environ_proxies(url)):
        return Check("address", ok=True, said=f"{host}, for {told}, by way of a proxy; {untried}")
    try:
        socket.create_connection((host, port), min(timeout.total_seconds(), _LONGEST)).close()
    except OSError as error:
        said = f"{host}:{port} cannot be reached: {error.strerror or error}"
        return Check("address", ok=False, said=said, remedy=_REMEDY)
    return Check("address", ok=True, said=f"{host} can be reached, for {told}; {untried}")

"""Which service an address belongs to, by the names that config gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.config.models import Config
from bot.runtime.request_counts import beginning
from bot.sections import Section, ServiceSection


def addresses_of(config: Config) -> Mapping[str, str]:
    """Return the names of all services by the beginnings of their addresses; of an address that some share, all."""
    names: dict[str, set[str]] = {}
    for start, name in _each(config):
        names.setdefault(start, set()).add(name)
    return {start: "+".join(sorted(found)) for start, found in names.items()}


def _each(config: Config) -> Iterator[tuple[str, str]]:
    if urlsplit(config.mlflow.tracking_uri).scheme in {"http", "https"}:
        yield beginning(config.mlflow.tracking_uri), "mlflow"
    if config.dead_man is not None:
        yield _host(config.dead_man.url), "dead_man"
    for services in (config.tracker, config.wiki, config.chat):
        for name, section in services.items():
            yield from ((start, name) for start in _beginnings(section))


def _beginnings(section: Section) -> Iterator[str]:
    if isinstance(section, ServiceSection):
        yield beginning(section.api)
    hook = getattr(section, "webhook_url", None)
    if isinstance(hook, SecretStr):
        yield _host(hook)


def _host(address: SecretStr) -> str:
    """Return the host alone: the rest of such an address is the secret."""
    return beginning(address.get_secret_value()).partition("/")[0]

"""Views in which every text is hostile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bot.domain.objects import ObjectKey
from bot.preview import samples
from bot.text.escape import clean_address
from bot.text.locales import Locale
from tests.unit.golden_files import LOCALES
from tests.unit.hostile_texts import hostile_text


def poisoned(value: Any, text: Callable[[], str]) -> Any:
    """Replace every string in a view, however deep."""
    if isinstance(value, Enum | ObjectKey) or value is None:
        return value
    if isinstance(value, str):
        return text()
    if isinstance(value, tuple):
        return tuple(poisoned(item, text) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: poisoned(getattr(value, f.name), text) for f in fields(value) if f.name != "links"}
        return replace(value, **changed)
    return value


def addresses(value: Any) -> set[str]:
    """Collect the addresses that the view itself carries."""
    found: set[str] = set()
    if isinstance(value, tuple):
        for item in value:
            found |= addresses(item)
    elif is_dataclass(value):
        for field in fields(value):
            inner = getattr(value, field.name)
            found |= {clean_address(inner)} if field.name == "url" else addresses(inner)
    return found - {""}


ADDRESSES = [
    "javascript:alert(1)",
    "https://evil.example/a|b]{code}",
    "http://x.example/<!channel>|y",
    MLFLOW := samples.MLFLOW,
]
hostile = st.one_of(hostile_text, st.sampled_from(ADDRESSES))


@st.composite
def hostile_views(draw: st.DrawFn, make: Callable[[samples.Words], Any]) -> tuple[Locale, Any, dict[str, Any]]:
    locale = draw(st.sampled_from(LOCALES))
    texts = draw(st.lists(hostile, min_size=1, max_size=6))
    turn = iter(range(10**9))
    next_text = lambda: texts[next(turn) % len(texts)]  # noqa: E731
    bound = draw(st.sampled_from([{}, {name: poisoned(each, next_text) for name, each in samples.BOUND.items()}]))
    return locale, poisoned(make(samples.WORDS[locale]), next_text), bound


HOSTILE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

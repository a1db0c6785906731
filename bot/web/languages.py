"""The language of a reader: the one that they chose, or the first that their browser asks for and we have."""

from __future__ import annotations

from collections.abc import Mapping

from bot.text.locales import Locale, known_locales

COOKIE = ASKED = "lang"
_MOST = 20  # languages that a browser may name


def locale_of(chosen: str, accepted: str, default: Locale) -> Locale:
    """Choose by a reader's own word, else by what the browser accepts, `zh-CN,zh;q=0.9,en;q=0.8`."""
    known: Mapping[str, Locale] = {str(each): each for each in known_locales()}
    if chosen in known:
        return known[chosen]
    weighed = [_weighed(part) for part in accepted.split(",")[:_MOST]]
    for name, weight in sorted(weighed, key=lambda each: -each[1]):
        if weight > 0 and name in known:
            return known[name]
    return default


def _weighed(part: str) -> tuple[str, float]:
    name, _, quality = part.strip().partition(";")
    try:
        weight = float(quality.strip().removeprefix("q=") or 1)
    except ValueError:
        weight = 0.0
    return name.split("-")[0].lower(), weight

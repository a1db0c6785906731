"""What all renderers share: escaping, links that may be followed, and colours as classes."""

from __future__ import annotations

import colorsys
import html
import re

_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_NAMED = {
    "good": "green",
    "warning": "yellow",
    "danger": "red",
    "orange": "orange",
    "gray": "grey",
    "black": "grey",
    "navy": "blue",
    "lime": "green",
    "maroon": "red",
    "violet": "purple",
    "pink": "purple",
    "sky": "teal",
}
HUES = ("grey", "red", "orange", "yellow", "green", "teal", "blue", "purple")
# Upper ends of the hues in degrees.
_CIRCLE = ((16, "red"), (35, "orange"), (65, "yellow"), (160, "green"), (195, "teal"), (255, "blue"), (325, "purple"))
_DULL = 0.2  # less saturated is grey


def escape(text: str) -> str:
    return html.escape(text, quote=True)


def is_web_address(address: str) -> bool:
    return re.match(r"(?:https?://|mailto:)[^\s\"'<>\\]+$", address) is not None


def link(address: str, inner: str) -> str:
    """Link *inner*, which is HTML already, to an address that `is_web_address`."""
    return f'<a href="{escape(address)}" rel="noreferrer">{inner}</a>'


def hue(colour: str) -> str:
    """Name the hue of a colour, because the pages' policy allows classes and no inline styles."""
    name = colour.strip().lower()
    if name in HUES:
        return name
    if name in _NAMED:
        return _NAMED[name]
    match = _HEX.fullmatch(name)
    if not match:
        return "grey"
    digits = match[1] if len(match[1]) == 6 else "".join(one * 2 for one in match[1])  # noqa: PLR2004
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    turn, saturation, _ = colorsys.rgb_to_hsv(red, green, blue)
    if saturation < _DULL or re.fullmatch("#?6b778c", name):
        return "grey"
    return next((one for end, one in _CIRCLE if turn * 360 <= end), "red")

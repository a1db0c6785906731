"""Addresses as they may be written down: without who signs in there, and with what."""

import re

SIGNS_IN = (
    re.compile(r"(?<=://)[^/\s'\"]*@"),  # a user and password before a host
    re.compile(r"(?i)(?<=[?&])[\w-]*(?:pass|pwd|secret|token)[\w-]*=[^&\s'\"]+&?"),  # as databases take them, too
)


def without_user(text: str) -> str:
    """Give an address, or words that quote one, without what is signed in with."""
    for pattern in SIGNS_IN:
        text = pattern.sub("", text)
    return text

"""Tells the encoding of a text that is not UTF-8 by the letters it would have: a table holds too few for statistics."""

import re
from itertools import pairwise

from charset_normalizer import from_bytes

FEWEST, FEW = 8, 3  # other letters: with less than eight statistics are chance, and a word has three
RUSSIAN = "[\u043e\u0430\u0435\u0438\u043d\u0442\u0440\u0441\u043b]"  # the letters that most of a text is made of
WESTERN = (
    "[\u00c0-\u00cf\u00d1-\u00dc\u00df-\u00ef\u00f1-\u00fc\u00ff]"  # without the Icelandic, which are Turkish elsewhere
)
WITHIN_WORDS = f"(?<=[A-Za-z]){WESTERN}|{WESTERN}(?=[A-Za-z])"
# Signs among plain letters, each alone: quotes, dashes, degrees, fractions, pounds; and a word, à.
ALONE = (
    "(?<![^\x00-\x7f])(?:[\u00a0\u00a7\u00a9\u00ab\u00ae\u00b0\u00b1\u00b7\u00bb\u00d7\u2013-\u201d\u2022\u2026\u20ac\u2122]"
    "|\u00a3(?=[0-9])|(?<![A-Za-z])[\u00bc-\u00be](?![A-Za-z])|(?<![A-Za-z])[\u00c0\u00e0](?![A-Za-z]))(?![^\x00-\x7f])"
)
# What most letters beside plain ones have to be, in the order of asking: each is rare in what is another encoding.
EXPECTED = (
    ("cp1252", WITHIN_WORDS, 0.6),
    ("cp932", "[\u3040-\u30ff]", 0.25),  # kana
    ("euc_jp", "[\u3040-\u30ff]", 0.25),
    ("cp1252", f"{WITHIN_WORDS}|{ALONE}", 0.8),
    ("cp949", "[\uac00-\ud7a3]", 0.9),  # Hangul: Chinese would give many ideographs
    ("gb18030", "", 0.8),
    ("big5", "", 0.8),
    ("cp1251", RUSSIAN, 0.45),
    ("koi8_r", RUSSIAN, 0.45),
)
# Lead bytes of the commonest ideographs, which nearly all of a Chinese text is made of, and the lowest second byte.
COMMON = {"gb18030": (range(0xB0, 0xD8), 0xA1), "big5": (range(0xA4, 0xC7), 0x40)}
SIGNS = range(0xA1, 0xB0)  # leads of punctuation and full-width forms
PAIRS = re.compile(rb"[\x81-\xfe][\x40-\xfe]")
HIGH = re.compile(rb"[\x80-\xff]+")
PLAIN = re.compile("[\x00-\x7f]+")
OTHER_WORDS = re.compile(r"[^\s,;|:]*[^\x00-\x7f][^\s,;|:]*")
ALPHABETS = {"Latin": "[A-Za-z\u00c0-\u024f]", "Greek": "[\u0370-\u03ff]", "Cyrillic": "[\u0400-\u052f]"}
# Signs that may follow a letter at once.
CLOSING = "\u00a9\u00ae\u00b0\u00b7\u00bb\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u2122"
WORDS, ODD = 2000, 0.1  # looked at, and the share of them that may be odd
NEVER = (
    "utf_16",
    "utf_16_be",
    "utf_16_le",
    "utf_32",
    "utf_32_be",
    "utf_32_le",
    "utf_7",
    "utf_8",
    "cp037",
    "cp1026",
    # Nearly the same as others, and hardly used: what reads well in one of them is more often of another.
    "iso8859_3",
    "iso8859_4",
    "iso8859_10",
    "iso8859_13",
    "iso8859_14",
    "iso8859_16",
    "hp_roman8",
    "mac_greek",
    "mac_iceland",
    "mac_latin2",
    "mac_turkish",
)


def tell_encoding(sample: bytes) -> str | None:
    """Give the encoding that the sample is of, None where that is not sure enough."""
    if b"\x00" in sample:
        return None
    for name, letters, share in EXPECTED:
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        if name in COMMON and _is_chinese(sample, name, share):
            return name
        other = len(PLAIN.sub("", text))
        if letters and other >= (1 if name == "cp1252" else FEW) and len(re.findall(letters, text)) >= share * other:
            return name
    if sum(map(len, HIGH.findall(sample))) < FEWEST:
        return None
    told = from_bytes(sample, cp_exclusion=list(NEVER))
    return next((str(one.encoding) for one in told if one.encoding != "ascii" and _reads_well(str(one))), None)


def _reads_well(text: str) -> bool:
    """Say whether the words that have other letters look like words: of another encoding's bytes many do not."""
    words = sorted(set(OTHER_WORDS.findall(text)))[:WORDS]
    return sum(map(_is_odd, words)) <= ODD * len(words)


def _is_odd(word: str) -> bool:
    """Say whether a word mixes alphabets, has a capital after a small letter, or a sign among its letters."""
    alphabets = {one for one, letters in ALPHABETS.items() if re.search(letters, word)}
    inside = any(
        (first.islower() and second.isupper() and not second.isascii())
        or (first.isalpha() and not second.isascii() and not second.isalnum() and second not in CLOSING)
        or (not second.isalpha() and second.isalnum() and not second.isascii() and first.isalpha())
        for first, second in pairwise(word)
    )
    return len(alphabets) > 1 or inside


def _is_chinese(sample: bytes, name: str, share: float) -> bool:
    """Say whether other letters are pairs of bytes, and ideographs mostly the common ones."""
    leads, lowest = COMMON[name]
    pairs = PAIRS.findall(sample)
    alone = PAIRS.sub(b"", sample)
    ideographs = [pair for pair in pairs if pair[0] not in SIGNS or pair[0] in leads]
    common = [pair for pair in ideographs if pair[0] in leads and pair[1] >= lowest]
    return bool(ideographs) and not HIGH.search(alone) and len(common) >= share * len(ideographs)

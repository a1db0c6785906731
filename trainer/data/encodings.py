"""Tells the encoding of a text that is not UTF-8 by the letters it would have: a table holds too few for statistics."""

import re

from charset_normalizer import from_bytes

FEWEST, FEW = 8, 3  # other letters: with less than eight statistics are chance, and a word has three
RUSSIAN = "[\u043e\u0430\u0435\u0438\u043d\u0442\u0440\u0441\u043b]"  # the letters that most of a text is made of
WESTERN = (
    "[\u00c0-\u00cf\u00d1-\u00dc\u00df-\u00ef\u00f1-\u00fc\u00ff]"  # without the Icelandic, which are Turkish elsewhere
)
# What most letters beside plain ones have to be, in the order of asking: each is rare in what is another encoding.
EXPECTED = (
    ("cp1252", f"(?<=[A-Za-z]){WESTERN}|{WESTERN}(?=[A-Za-z])", 0.6),  # within words of plain letters
    ("cp932", "[\u3040-\u30ff]", 0.25),  # kana
    ("euc_jp", "[\u3040-\u30ff]", 0.25),
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
NOT_BYTES = (
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
    best = from_bytes(sample, cp_exclusion=list(NOT_BYTES)).best()
    return None if best is None or best.encoding == "ascii" else str(best.encoding)


def _is_chinese(sample: bytes, name: str, share: float) -> bool:
    """Say whether other letters are pairs of bytes, and ideographs mostly the common ones."""
    leads, lowest = COMMON[name]
    pairs = PAIRS.findall(sample)
    alone = PAIRS.sub(b"", sample)
    ideographs = [pair for pair in pairs if pair[0] not in SIGNS or pair[0] in leads]
    common = [pair for pair in ideographs if pair[0] in leads and pair[1] >= lowest]
    return bool(ideographs) and not HIGH.search(alone) and len(common) >= share * len(ideographs)

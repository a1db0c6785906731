"""Makes texts of shops and forums comparable: HTML, full-width forms, control characters, spaces."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from trainer.errors import DataError

HTML, FULL_WIDTH, CONTROL, SPACES = "HTML", "full-width forms", "control characters", "spaces"

ENTITY = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
TAGS = (
    "a abbr article b big blockquote body br center code dd del div dl dt em font footer h1 h2 h3 h4 h5 h6 head header"
    " hr html i iframe img input ins label li link main mark meta nav ol option p pre q s section select small span"
    " strike strong sub sup table tbody td tfoot th thead title tr tt u ul video"
)
TAG = re.compile(rf"</?(?:{'|'.join(TAGS.split())})(?:\s[^<>]*)?/?>", re.IGNORECASE)
HIDDEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)|<!--.*?(?:-->|$)", re.IGNORECASE | re.DOTALL)
# The block of full-width and half-width forms alone: all of NFKC would make "1⁄2" of a half and "TM" of a trade mark.
FORMS = re.compile("[！-￮]+")
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")
BLANKS = re.compile(r"\s+")

ODD_SHARE = 0.01  # of the letters; a file that is no text has far more of what no text holds
SAMPLE = 10_000  # texts looked at before a column is believed to be text


@dataclass(frozen=True, slots=True)
class Normalised:
    """Texts in one form, and what was wrong with them."""

    texts: tuple[str, ...]
    changed: dict[str, int]  # what was wrong -> how many texts had it


def normalise(text: str) -> str:
    """Give the text in one form; what is already in that form stays as it is."""
    return _apply(text, None)


def normalise_all(texts: Iterable[str]) -> Normalised:
    """Normalise texts and count what was wrong with them."""
    counts: Counter[str] = Counter()
    clean = tuple(_apply(text, counts) for text in texts)
    return Normalised(clean, {name: counts[name] for name in (HTML, FULL_WIDTH, CONTROL, SPACES) if counts[name]})


def _apply(text: str, counts: Counter[str] | None) -> str:
    if _is_plain(text):
        return text
    for name, step in STEPS:
        before, text = text, step(text)
        if counts is not None and text != before:
            counts[name] += 1
    return text


def _is_plain(text: str) -> bool:
    """Say whether no step would find anything, as in most texts of most shops: much sooner than by the steps."""
    if not (text.isascii() and text.isprintable()):
        return False
    return not ("&" in text or "<" in text or "  " in text or text[:1] == " " or text[-1:] == " ")


def _strip_html(text: str) -> str:
    """Resolve entities, twice where they were escaped twice, and replace known tags by spaces: "a < b" is none."""
    if "&" in text:
        for _ in range(2):
            text = ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "<" in text:
        text = TAG.sub(" ", HIDDEN.sub(" ", text))
    return text


def _narrow(text: str) -> str:
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text).replace("\u3000", " ")
    return FORMS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), composed)


def _drop_controls(text: str) -> str:
    return CONTROLS.sub("", text)


def _join_blanks(text: str) -> str:
    return BLANKS.sub(" ", text).strip()


STEPS = ((HTML, _strip_html), (FULL_WIDTH, _narrow), (CONTROL, _drop_controls), (SPACES, _join_blanks))


def read_as(text: str) -> str:
    """Give a text as models read it: case, accents, forms and the width of blanks make no difference to them."""
    if text.isascii():
        return " ".join(text.lower().split())
    parted = unicodedata.normalize("NFKD", normalise(text)).casefold()
    return _join_blanks("".join(letter for letter in parted if not unicodedata.combining(letter)))


def check_words(where: str, texts: Iterable[str]) -> None:
    """Raise DataError for a column that holds no text a person would read: numbers alone, or bytes of another file."""
    letters = odd = total = 0
    for text, _ in zip(texts, range(SAMPLE), strict=False):
        total += len(text)
        letters += any(letter.isalpha() for letter in text)
        odd += sum(letter in "\x00\ufffd" for letter in text)
    if not total:
        raise DataError(f"{where} holds no text")
    if odd > ODD_SHARE * total:
        raise DataError(f"{where} is not text: {odd} of {total} characters are no letters of any alphabet")
    if not letters:
        raise DataError(f"{where} is not text: no value has a letter")

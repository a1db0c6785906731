"""Explanations for people: lines for a terminal, a page that needs no other file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined

from trainer.data.told_names import printable, shortened
from trainer.explaining.explanation import Explanation, Side, WeighedPart
from trainer.explaining.words import WORD

TOWARDS, AGAINST, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"
LEAST, MOST = 0.08, 0.6  # of a shade: more, and dark letters could not be read on it
HEADINGS = {Side.QUERY: "query", Side.PRODUCT: "product", Side.PURCHASE: "bought before"}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Why: {{ shown[0].one.asked }}</title>
<style>
:root { color-scheme: light dark; --towards: 0 150 80; --against: 220 80 0 }
@media (prefers-color-scheme: dark) { :root { --towards: 40 200 120; --against: 255 130 50 } }
body { font: 1rem/1.7 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-bottom: 0 }
dt { font-weight: 600 }
dd { margin: 0 0 .6rem }
small { opacity: .8 }
.w { padding: .1rem .25rem; border-radius: .2rem }
.t { background: rgb(var(--towards) / var(--a)) }
.a { background: rgb(var(--against) / var(--a)); border-bottom: 1px dashed }
.n { font-weight: 700; text-decoration: underline }
.u { opacity: .6; font-style: italic }
</style>
<h1>Why the model gave its answer</h1>
<p>Legend: <span class="w t" style="--a: .5">raises the score</span>
<span class="w a" style="--a: .5">lowers it</span> the deeper the more;
<span class="n">named</span> words carried the answer; <span class="u">not read</span> ones were cut off.
A word's weight is told where the pointer rests on it, and in the table.</p>
{% for each in shown %}
<section>
<h2 dir="auto">{{ each.one.asked }}</h2>
<p>{{ each.one.answer }}, score {{ each.score }} ({{ each.one.unit }})</p>
<dl>
{% if not each.one.parts %}<dt>product</dt><dd dir="auto">{{ each.one.product }}</dd>{% endif %}
{% for heading, words in each.sides %}
<dt>{{ heading }}</dt>
<dd dir="auto">{% for word in words %}<span class="{{ word.kind }}"{% if word.shade %} style="--a: {{ word.shade }}"{% endif %} title="{{ word.weight }}{{ word.nearest }}">{{ word.text }}</span>{{ word.behind }}{% endfor %}</dd>
{% endfor %}
</dl>
{% if each.one.parts %}
<details><summary>weights</summary><table>
{% for word in each.heaviest %}<tr><td>{{ word.weight }}</td><td dir="auto">{{ word.text }}</td></tr>
{% endfor %}</table></details>
{% endif %}
<p><small>{{ each.told }}</small></p>
</section>
{% endfor %}
</html>
"""  # noqa: E501 - no blank may stand between a word and its punctuation


@dataclass(frozen=True, slots=True)
class ShownWord:
    text: str
    kind: str  # of its style
    shade: str
    weight: str
    nearest: str
    behind: str  # a blank, but between Chinese characters


@dataclass(frozen=True, slots=True)
class Shown:
    one: Explanation
    score: str
    sides: Sequence[tuple[str, Sequence[ShownWord]]]
    heaviest: Sequence[ShownWord]
    told: str


def page_of(explained: Sequence[Explanation]) -> str:
    """Give a page of its own; whatever a text holds, it is text there."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(PAGE).render(shown=[_shown(one) for one in explained])


def lines_of(one: Explanation, *, coloured: bool) -> Iterator[str]:
    """Give what a terminal shows of an explanation, the heaviest words first."""
    yield f"{shortened(one.asked)} | {shortened(one.product)}"
    yield f"  {printable(one.answer)}, score {one.score:+.4f} ({one.unit})"
    for part in _heaviest(one):
        weight = part.weight or 0.0
        mark = "*" if part.is_named else " "
        number = f"{weight:+9.4f}"
        if coloured:
            number = f"{TOWARDS if weight >= 0 else AGAINST}{number}{PLAIN}"
        near = f"  (nearest: {printable(part.nearest)})" if part.nearest else ""
        yield f"  {number} {mark} {printable(part.text)}  [{HEADINGS[part.side]}]{near}"
    unread = [part.text for part in one.parts if part.weight is None]
    if unread:
        yield f"  not read, the texts being cut: {shortened(' '.join(unread))}"
    yield f"  {tell(one)}"


def tell(one: Explanation) -> str:
    """Say by what method, and how it holds; where nothing is shown, why."""
    found = one.deletion
    moved = (
        f"without them the score moves by {found.named:.4f}, without as many others by {found.by_chance:.4f}"
        if found is not None
        else ""
    )
    if one.method is None:
        return f"no words are shown: {one.unfit}" + (f" ({moved})" if moved else "")
    assert found is not None  # what holds was held against something
    many = sum(part.is_named for part in one.parts)
    return f"by {one.method.value}; * carried the answer: {moved} (deletion score; {many} taken out)"


def _heaviest(one: Explanation) -> list[WeighedPart]:
    known = [part for part in one.parts if part.weight is not None]
    return sorted(known, key=lambda part: -abs(part.weight or 0.0))


def _shown(one: Explanation) -> Shown:
    most = max((abs(part.weight or 0.0) for part in one.parts), default=0.0)
    sides = [
        (HEADINGS[side], [_word(part, most) for part in one.parts if part.side is side])
        for side in Side
        if any(part.side is side for part in one.parts)
    ]
    return Shown(one, f"{one.score:+.4f}", sides, [_word(part, most) for part in _heaviest(one)], tell(one))


def _word(part: WeighedPart, most: float) -> ShownWord:
    unparted = part.side is not Side.PURCHASE and len(part.text) == 1 and not part.text.isascii()
    behind = "" if unparted and WORD.fullmatch(part.text) else " · " if part.side is Side.PURCHASE else " "
    near = f", nearest: {part.nearest}" if part.nearest else ""
    if part.weight is None:
        return ShownWord(part.text, "w u", "", "not read", near, behind)
    kind = ("w t" if part.weight >= 0 else "w a") + (" n" if part.is_named else "")
    shade = LEAST + (MOST - LEAST) * abs(part.weight) / most if most else LEAST
    return ShownWord(part.text, kind, f"{shade:.2f}", f"{part.weight:+.4f}", near, behind)

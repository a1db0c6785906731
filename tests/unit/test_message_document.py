"""A message document is read once: what a team's template is checked by is what is sent."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.message import MessageDocument, Paragraph, Part, fit
from bot.domain.views import Tone
from bot.errors import TemplateError
from bot.preview import samples
from bot.render.renderer import Renderer
from bot.services.block_kit import build_message
from bot.text.escape import JOINER, to_markdown
from bot.text.pieces import Piece, plain, read_pieces
from tests.unit.text_forms import SLACK


def test_a_headline_sections_context_and_dividers_are_read():
    document = MessageDocument.read("Hello\n\nWorld\n---\n> small\n>\n> print\n")
    section, divider, context = Paragraph(Part.SECTION, "World"), Paragraph(Part.DIVIDER), "small\n\nprint"
    assert document == MessageDocument(None, "Hello", (section, divider, Paragraph(Part.CONTEXT, context)))


@pytest.mark.parametrize("first", ["tone: bad", "tone:bad", "tone:\tbad  ", "\n tone: bad"])
def test_a_tone_is_read_with_and_without_spaces(first: str):
    assert MessageDocument.read(f"{first}\nHello") == MessageDocument(Tone.BAD, "Hello")


@pytest.mark.parametrize("first", ["tone: red", "Tone: bad", "tone: bad news", "tone bad"])
def test_what_is_no_tone_is_a_headline(first: str):
    assert MessageDocument.read(first) == MessageDocument(None, first)


@pytest.mark.parametrize(
    "text", ["Hello\n\n---\n\nWorld", "Hello\n---\nWorld", "Hello\r\n--- \r\nWorld\n---\n", "---\nHello\n---\nWorld"]
)
def test_a_divider_is_a_line_whatever_stands_around_it_and_none_begins_or_ends_a_message(text: str):
    body = (Paragraph(Part.DIVIDER), Paragraph(Part.SECTION, "World"))
    assert MessageDocument.read(text) == MessageDocument(None, "Hello", body)


def test_paragraphs_fall_away_in_their_order_then_from_the_end_and_a_note_says_how_many():
    text = "Head\n\nfalls: 2\nlater\n\nfalls: 1\nfirst\n\nstays\n\nstays too"
    document = replace(MessageDocument.read(text), note="{n} left out")
    assert str(document) == "Head\n\nlater\n\nfirst\n\nstays\n\nstays too"

    def left(most: int) -> list[str]:
        fitted = fit(document, lambda one: len(one.body) <= most)
        return [each.text for each in fitted.body]

    assert left(4) == ["later", "first", "stays", "stays too"]
    assert left(3) == ["stays", "stays too", "2 left out"]
    assert left(2) == ["stays", "3 left out"]
    assert left(1) == ["4 left out"]


def test_a_headline_that_alone_is_too_long_is_cut():
    fitted = fit(MessageDocument.read("x" * 9000 + "\n\nmore"), lambda one: len(str(one)) < 500)
    assert len(fitted.headline) < 500
    assert fitted.headline.endswith("…")


@given(st.text(alphabet="falsto ne:19>-#*_[]()`.", max_size=60))
def test_what_others_wrote_declares_nothing_and_comes_back_as_it_was(text: str):
    written = to_markdown(text)
    read = MessageDocument.read(f"Head\n\n{written}")
    assert read.tone is None
    assert all(each.falls is None for each in read.body)
    assert plain(written).replace(JOINER, "").split() == text.split()


@pytest.mark.parametrize("empty", ["", " \n\n ", "tone: bad\n", "---\n", "> ", ">\n\n>  \n---"])
def test_a_text_without_a_word_has_no_headline(empty: str):
    assert MessageDocument.read(empty).headline == ""
    assert MessageDocument.read(empty).body == ()


@pytest.mark.parametrize("text", ["Hello", "tone: good\nHello\n\nWorld\n\n---\n\n> small\n> print"])
def test_a_document_is_written_as_it_was_read(text: str):
    assert str(MessageDocument.read(text)) == text


def of_a_team(folder: Path, template: str) -> tuple[Renderer, list[TemplateError]]:
    heard: list[TemplateError] = []
    (folder / "slack").mkdir()
    (folder / "slack" / "message.mrkdwn.j2").write_text(template)
    return Renderer("en", folder, heard.append), heard


@pytest.mark.parametrize("tone", ["tone:bad", "tone: bad"])
def test_a_teams_tone_colours_the_bar_however_it_is_spaced(tmp_path: Path, tone: str):
    renderer, heard = of_a_team(tmp_path, f"{tone}\nHead\n---\nMore")
    document = renderer.render_message(SLACK, samples.message(samples.WORDS["en"]), {})
    message = build_message(document)
    assert heard == []
    assert (document.tone, document.headline, message.text) == (Tone.BAD, "Head", "Head")
    assert [block["type"] for block in message.attachments[0]["blocks"]] == ["divider", "section"]


@pytest.mark.parametrize("template", ["tone:bad\n", "---", "tone: good\n---\n> "])
def test_a_teams_template_that_would_send_nothing_is_not_used(tmp_path: Path, template: str):
    renderer, heard = of_a_team(tmp_path, template)
    sent = renderer.render_message(SLACK, samples.message(samples.WORDS["en"]), {})
    assert sent == Renderer("en").render_message(SLACK, samples.message(samples.WORDS["en"]), {})
    assert "puts out nothing" in str(heard[0])


def test_a_line_of_markdown_is_read_in_pieces():
    line = r"**Ranking\_v2** fell: `a*b`, [run \[1\]](https://mlflow/x) 5\*3"
    assert read_pieces(line) == (
        Piece("Ranking_v2", is_strong=True),
        Piece(" fell: "),
        Piece("a*b", is_code=True),
        Piece(", "),
        Piece("run [1]", address="https://mlflow/x"),
        Piece(" 5*3"),
    )

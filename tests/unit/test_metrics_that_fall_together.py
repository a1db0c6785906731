"""Twenty metrics that fall together are one problem: people read one sentence of one of them, and how many others fell."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from bot.domain.incidents import IncidentState
from bot.reports.digest import compose_digest, preview
from tests.unit.cycle_bench import EAGER, Bench

MANY = 20
NAMES = [f"recall{place + 1}" for place in range(MANY)]
FALL = 0.2  # of the level


@pytest.fixture(scope="module")
def fallen(migrated_sqlite, tmp_path_factory):
    """A pipeline, only looked at from here on, whose twenty metrics, correlated by .9, have just fallen together and then a little further."""
    metrics = {name: {"name": {"zh": f"召回率 {place + 1}"}} for place, name in enumerate(NAMES)}
    folder = tmp_path_factory.mktemp("together")
    shutil.copyfile(migrated_sqlite, folder / "state.db")
    bench = Bench(folder, f"sqlite:///{folder / 'state.db'}", {**EAGER, "metrics": metrics})
    bench.locales = {"C1": "zh"}
    bench.herald = bench.make()
    bench.run()
    random = np.random.default_rng(3)
    shared, own = random.standard_normal((13, 1)), random.standard_normal((13, MANY))
    values = 0.5 * (1 + 0.01 * (0.9**0.5 * shared + 0.1**0.5 * own))
    values[10:] *= 1 - FALL
    values[12] *= 0.9
    for row in values.tolist():
        bench.log(None, metrics=dict(zip(NAMES, row, strict=True)))
        bench.run()
    yield bench
    bench.database.close()


def test_they_are_one_incident_one_ticket_and_one_message(fallen):
    (incident,) = fallen.incidents(IncidentState.OPEN)
    assert set(incident.whole) == set(NAMES)
    assert len(fallen.tracker.tickets) == len(fallen.chat.messages) == 1


def test_a_ticket_says_one_sentence_and_how_many_others_fell(fallen):
    title, body = fallen.ticket.draft.title, fallen.ticket.draft.body
    assert re.fullmatch(r"search: recall\d+ fell by \d+\.\d %", title)
    sentences = body.split("\n")[0]
    assert sentences.count(" fell by ") == 1
    assert re.search(r"recall\d+, recall\d+, recall\d+ and 16 others got worse with it\.", sentences)
    assert len(re.findall(r"recall\d+", sentences)) == 4
    assert all(f"| {name} |" in body for name in NAMES), "each has its row in the table"


def test_a_comment_does_not_say_of_each_that_it_is_at_its_worst(fallen):
    (_, said) = fallen.ticket.comments[-1]
    sentences = said.split("\n")[0]
    assert sentences.count("its worst so far") == 1
    assert "and 16 others are at their worst too." in sentences


def test_a_message_says_it_in_chinese_with_a_few_rows(fallen):
    (message,) = fallen.chat.messages
    first = message.text.split("\n")[1]
    assert first.count("下降") == 1
    assert "等 19 项同时变差。" in first
    assert message.text.count("• ") == 4


@pytest.mark.parametrize(
    ("locale", "others"), [("en", "and 16 others got worse with it."), ("zh", "等 19 项同时变差。")]
)
def test_a_digest_has_one_line_of_them(fallen, locale, others):
    lines = [line for line in preview(fallen.herald, compose_digest(fallen.herald, locale=locale)).split("\n") if line]
    told = [line for line in lines if "recall" in line or "召回率" in line]
    assert len(told) == 1
    assert others in told[0]

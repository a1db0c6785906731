"""One record, many faces: every telling of an incident and of a digest has the same numbers, in both languages."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from bot.domain.snapshots import DigestBody, IncidentBody
from bot.domain.views import DigestView, MetricRow
from bot.store import Database, snapshots
from bot.store.tables import snapshots as table
from tests.web.page_links import CHINESE


def plain(text: str) -> str:
    """Leave what a person reads: no markup, no joiners, one kind of minus and of space."""
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", text, flags=re.DOTALL)
    return re.sub(r"[\u2060*{}\\]", "", text).replace("−", "-").replace("\N{NO-BREAK SPACE}", " ").replace("&#39;", "'")


def numbers(*texts: str) -> list[str]:
    return [each for text in texts for each in re.findall(r"-?\d[\d,]*\.\d+", plain(text))]


def told_of(row: MetricRow) -> list[str]:
    """Return the numbers that a sentence about a metric has."""
    return [each.lstrip("-") for each in numbers(row.relative, row.baseline, row.now or row.value)]


@pytest.fixture
def body(house) -> IncidentBody:
    database = Database.for_reading(f"sqlite:///{house.file}")
    with database.begin() as tx:
        found = snapshots.of_incident(tx, house.incident)
    database.close()
    assert all(each.is_whole for each in found)
    assert [each.body.turn for each in found] == ["filed", "repeated"]
    return found[0].body


def test_the_record_has_the_same_numbers_in_both_languages(body):
    english, chinese = body.faces["en"], body.faces["zh"]
    for part in ("rows", "slices"):
        for one, other in zip(getattr(english, part), getattr(chinese, part), strict=True):
            shown = [
                (r.value, r.baseline, r.change, r.relative, r.interval, r.spread, r.share_of_loss) for r in (one, other)
            ]
            assert numbers(*shown[0]) == numbers(*shown[1])
    assert numbers(body.sentences["en"]) == numbers(body.sentences["zh"]) != []
    assert english.verdict.headline is not None


def test_every_telling_of_an_incident_has_the_numbers_of_its_record(pages, house, body):
    row = body.faces["en"].verdict.headline
    told = told_of(row)
    assert len(told) == 3
    in_all = {
        "ticket": house.ticket,
        "page, English": pages.get(f"/incidents/{house.incident}").text,
        "page, Chinese": pages.get(f"/incidents/{house.incident}", headers=CHINESE).text,
    }
    for place, text in in_all.items():
        assert set(told) <= {each.lstrip("-") for each in numbers(text)}, place
    for row in body.faces["en"].rows:
        assert set(numbers(row.baseline, row.interval)) <= set(numbers(house.ticket)), row.metric
    for one, other in zip(body.faces["en"].slices[:5], body.faces["zh"].slices[:5], strict=True):
        assert set(numbers(one.baseline, one.value, one.relative)) <= set(numbers(house.ticket)), one.part
        assert one.part == other.part


def test_the_message_and_the_report_have_the_numbers_of_the_newest_record(house, pages):
    database = Database.for_reading(f"sqlite:///{house.file}")
    with database.begin() as tx:
        newest = snapshots.of_incident(tx, house.incident)[-1].body
    database.close()
    row = newest.faces["zh"].verdict.headline
    assert set(told_of(row)) <= {each.lstrip("-") for each in numbers(house.message)}
    assert set(told_of(row)) <= {each.lstrip("-") for each in numbers(house.report)}
    for each in newest.faces["en"].rows:
        assert set(numbers(each.baseline, each.interval, each.change)) <= set(numbers(house.report))


def test_every_telling_of_a_digest_has_the_numbers_of_its_record(house, pages):
    database = Database.for_reading(f"sqlite:///{house.file}")
    with database.begin() as tx:
        (found,) = snapshots.digests(tx, 5)
    database.close()
    assert isinstance(found.body, DigestBody)
    faces: dict[str, DigestView] = dict(found.body.faces)
    per_language = [
        [
            numbers(line.row.relative, line.row.baseline, line.row.value)
            for part in face.parts
            for line in part.lines
            if line.row
        ]
        for face in faces.values()
    ]
    assert per_language[0] == per_language[1] != []
    path = f"/digests/{house.digest}"
    texts = {
        "page in the wiki": house.told_report,
        "message": house.told_message,
        "page": pages.get(path).text,
        "page, Chinese": pages.get(path, headers=CHINESE).text,
    }
    wanted = {each for part in faces["en"].parts for line in part.lines if line.row for each in told_of(line.row)}
    for place, text in texts.items():
        assert wanted <= {each.lstrip("-") for each in numbers(text)}, place


def test_a_record_is_never_changed_and_one_that_was_is_told_so(house, tmp_path):
    file = tmp_path / "state.db"
    file.write_bytes(house.file.read_bytes())
    database = Database(f"sqlite:///{file}")
    with database.begin() as tx:
        first, *_ = snapshots.of_incident(tx, house.incident)
        snapshots.keep(tx, first.__class__(first.snapshot_id, house.now, "other", first.body))
        assert snapshots.find(tx, first.snapshot_id) == first
        mine = table.c.snapshot_id == first.snapshot_id
        text = tx.scalar(table.select().with_only_columns(table.c.body).where(mine))
        tx.execute(update(table).where(mine).values(body=text.replace("Ranking quality", "Something else")))
        assert snapshots.find(tx, first.snapshot_id).is_whole is False
    database.close()

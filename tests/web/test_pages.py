"""Each page says what it should, in both languages, within its size, and makes nothing of hostile names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from posixpath import dirname, join, normpath

import pytest

from bot.domain.judge.findings import Outcome
from bot.domain.page_charts import HeatMap, HeatRow, HistoryPicture, RunPoint, Sparkline
from bot.domain.page_paths import live_page, named, slug
from bot.judging.titles import digest_title
from bot.preview.from_state import cases_from
from bot.preview.stage import Stage, readers_in
from bot.render.dialects import HTML
from bot.render.lookup import Lookup
from bot.render.page_pictures import draw_picture
from bot.render.renderer import Renderer
from bot.render.templates import our_templates
from bot.web.folder import PageFolder
from bot.web.languages import locale_of
from bot.web.site import Site
from bot.web.ways import Ways
from tests.web.page_links import CHINESE, links_of
from tests.web.story import FELL_IN, HOSTILE

MOST_BYTES = 150_000


def run_id(day: int, pipeline: str = "sear") -> str:
    return f"{pipeline}{day:028d}"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&#39;", "'").replace("&#34;", '"')


@pytest.fixture(params=[{}, CHINESE], ids=["en", "zh"])
def headers(request):
    return request.param


@pytest.fixture
def paths(house) -> list[str]:
    return [
        "/",
        "/pipelines/search-relevance",
        "/pipelines/cold-start",
        f"/incidents/{house.incident}",
        f"/runs/search-relevance/{run_id(7)}",
        f"/runs/search-relevance/{run_id(0)}",
        f"/compare/search-relevance/{run_id(3)}...{run_id(7)}",
        "/slices/search-relevance/ndcg_at_10",
        "/digests",
        f"/digests/{house.digest}",
    ]


def test_every_page_is_there_is_small_and_leads_nowhere_else(pages, paths, headers):
    for path in paths:
        page = pages.get(path, headers=headers)
        assert page.status_code == 200, path
        assert len(page.content) < MOST_BYTES
        assert "None" not in text_of(page.text)
        assert page.text.count("<h1>") == 1
        for link in links_of(page):
            led = normpath(join(dirname(path), link.split("?")[0])) if "://" not in link else "/"
            if link.startswith(("data:", "#")):
                continue
            assert led == "/" or re.match(r"/(pipelines|incidents|runs|compare|slices|digests|assets)", led), link


def test_a_hostile_name_is_text_wherever_it_is_shown(pages, paths):
    shown = 0
    for path in paths:
        text = pages.get(path).text
        assert "<script>alert(1)" not in text
        shown += HOSTILE in text_of(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert shown >= 2  # on the page of the run, and beside another


def test_a_pipeline_shows_the_history_of_each_metric_with_its_band_incident_and_other_data(pages):
    text = pages.get("/pipelines/search-relevance").text
    assert text.count('<svg class="history"') == 3
    assert text.count('class="band" d="M') - text.count('class="band" d="M0 2') == 3  # and one in the key
    assert text.count('class="span" d="M') - text.count('class="span" d="M0 0') == 2  # of the two metrics that fell
    assert text.count('<g class="event data"><path d=') == 3
    assert "nightly 8" in text
    assert '"p":["negatives = 8"' in text.replace("\\u0022", '"')
    wider = pages.get("/pipelines/search-relevance", params={"runs": "30"}).text
    assert re.search(r'aria-current="true">30<', wider)


def test_an_incident_tells_its_life_and_where_it_fell(pages, house):
    text = text_of(pages.get(f"/incidents/{house.incident}").text)
    assert f"All of it is in {FELL_IN}" in text
    for wanted in ("Looks worse: nightly 6", "Told ( confluence, jira, slack )", "Got worse: nightly 7", "negatives"):
        assert wanted.replace("( ", "(").replace(" )", ")") in re.sub(r" ?: ?", ": ", text), wanted


def test_a_run_explains_only_the_columns_that_it_has(pages):
    text = text_of(pages.get(f"/runs/search-relevance/{run_id(7)}").text)
    assert ("the accepted runs before this one" in text, "Smallest visible change" in text) == (True, False)


def test_the_bar_of_a_part_is_as_long_as_the_number_beside_it_says(pages, house, headers):
    text = pages.get(f"/incidents/{house.incident}", headers=headers).text
    bars = re.findall(r'class="bad" d="M0 0h([\d.]+)v8[^%]*?<small>(\N{MINUS SIGN}?[\d.]+)', text)
    assert bars
    assert [float(width) for width, _ in bars] == [
        min(max(float(s.replace("\N{MINUS SIGN}", "-")), 0), 100) for _, s in bars
    ]
    assert ("told as of" in text) != ("通知的内容" in text)  # which of it was told, and when


def test_two_runs_stand_beside_one_another(pages):
    answer = pages.get("/compare/search-relevance", params={"before": run_id(3), "after": run_id(7)})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"../compare/search-relevance/{run_id(3)}...{run_id(7)}",
    )
    text = pages.get(f"/compare/search-relevance/{run_id(3)}...{run_id(7)}").text
    assert '<td class="n bad">' in text
    assert re.search(r'class="changed"><th scope="row">negatives</th><td>16</td><td>8</td>', text)
    assert re.search(r'class="changed"><th scope="row">git commit</th><td>4b7d0aa0+</td><td>9f3c2e10+</td>', text)
    assert FELL_IN in text


def test_the_heat_map_darkens_where_and_since_when_it_fell(pages):
    text = pages.get("/slices/search-relevance/ndcg_at_10").text
    (dark,) = re.findall(r'<path class="hdown4" d="([^"]+)"', re.sub(r"<ul.*?</ul>", "", text, flags=re.DOTALL))
    assert dark.count("M") == 3  # of one part, the newest runs


def test_a_digest_leads_to_how_its_incidents_stand(pages, house):
    (item,) = [link for link in links_of(pages.get("/digests")) if house.digest in link]
    page = pages.get(f"/{item}")
    assert f"../incidents/{house.incident}" in links_of(page)


def test_what_is_told_leads_to_the_live_page(house):
    live = f"https://herald.example.com/incidents/{house.incident}"
    assert f"[live page|{live}]" in house.ticket
    assert f"<{live}|实时页面>" in house.message
    assert "https://herald.example.com/runs/search-relevance/" in house.report
    assert f"https://herald.example.com/digests/{house.digest}" in house.told_report
    assert f"https://herald.example.com/digests/{house.digest}" in house.told_message


def test_where_config_names_no_address_nothing_leads_there():
    assert live_page("", "incidents/1") is None


def test_the_same_pages_lie_in_a_folder_with_ways_that_lead_somewhere(house, tmp_path):
    reader = house.reader()
    written = PageFolder(reader, tmp_path, "zh").write()
    reader.database.close()
    files = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.html")}
    assert (len(files), written.failed) == (written.count, ())
    assert {"index.html", "off-track.html", "owner-1-at-risk.html", "pipelines/search-relevance.html"} <= files
    missing = set(_dangling(tmp_path, files))
    assert missing == set()
    assert "偏离计划" in (tmp_path / "index.html").read_text("utf-8")


def test_a_page_whose_template_fails_says_so_and_keeps_no_other_from_being_written(house, tmp_path, monkeypatch):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "incident.html.j2").write_text("{{ mentioned }}")
    renderer = Renderer("en")
    monkeypatch.setattr(renderer, "_ours", Lookup("en", (tmp_path, our_templates())))
    monkeypatch.setattr("bot.web.site.shared", lambda _locale: renderer)
    with house.pages() as client:
        answer = client.get(f"/incidents/{house.incident}")
        assert (answer.status_code, client.get("/").status_code) == (500, 200)
    assert "A template of this page is broken" in answer.text
    reader = house.reader()
    written = PageFolder(reader, tmp_path / "pages", "en").write()
    reader.database.close()
    assert written.count > 5
    assert all(re.match(r"incidents/.+\.html: .*web/incident\.html\.j2, line 1", each) for each in written.failed)
    assert any(house.incident in each for each in written.failed)


def _dangling(folder, files: set[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(files)[::7]:
        for way in re.findall(r'href="([^":#]+)"', (folder / name).read_text("utf-8")):
            led = normpath(join(dirname(name), way))
            if not (folder / led).exists():
                yield name, led


# ---- pieces


def test_a_name_that_is_no_step_of_a_path_stands_as_one():
    names = ["ndcg@10/all", "ndcg_at_10", "a...b", "命中率", ""]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", slug(name)) for name in names)
    assert [named(slug(name), names) for name in names] == names
    assert named("nothing", names) is None


@pytest.mark.parametrize(
    ("own", "to", "suffix", "way"),
    [
        ("", "", "", "./"),
        ("digests", "", "", "./"),
        ("runs/a/b", "", "", "../../"),
        ("runs/a/b", "pipelines/a", "", "../../pipelines/a"),
        ("runs/a/b", "", ".html", "../../index.html"),
        ("", "digests", ".html", "digests.html"),
    ],
)
def test_ways_are_relative(own, to, suffix, way):
    assert Ways(own, suffix).to(to) == way


@pytest.mark.parametrize(
    ("chosen", "accepted", "said"),
    [
        ("zh", "en", "zh"),
        ("", "zh-TW,en;q=0.5", "zh"),
        ("", "de,fr;q=0.9", "en"),
        ("", "en;q=0,zh;q=0.1", "zh"),
        ("xx", "zh;q=broken", "en"),
        ("", "", "en"),
    ],
)
def test_the_language_is_the_readers(chosen, accepted, said):
    assert locale_of(chosen, accepted, "en") == said


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("department = GROCERY", "department = GROCERY"),
        ("n" * 23, "n" * 21 + "…"),
        ("中" * 11, "中" * 11),
        ("中" * 12, "中" * 10 + "…"),
    ],
)
def test_a_part_beside_a_heat_map_is_cut_by_the_room_that_its_letters_take(part, shown):
    heat = draw_picture(HeatMap("m", (HeatRow(part, (-0.5,), ("",)),), ("a",), 0.5))
    assert re.findall(r">([^<]+)<title>", heat) == [shown]


@pytest.mark.parametrize(("day", "most"), [("28 Nov", 5), ("11月28日", 5), ("28 November 2026, 12:00", 2)])
@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 9, 30])
def test_no_day_below_a_chart_runs_into_the_next(day, most, count):
    points = tuple(RunPoint(float(n), Outcome.OK, "", None, None, "") for n in range(count))
    drawn = draw_picture(HistoryPicture("m", "", points, (day,) * count))
    days = re.findall(r'class="day (\w+)" x="([\d.]+)"', drawn)
    wide = 10 * sum(2 if letter > "z" else 1 for letter in day)
    lefts = sorted(float(x) - wide * {"start": 0, "mid": 0.5, "end": 1}[anchor] for anchor, x in days)
    assert 1 <= len(days) <= most
    assert all(after - before >= wide for before, after in pairwise(lefts))


def test_charts_bear_values_that_are_none_and_names_that_are_hostile():
    nan, bad = float("nan"), float("inf")
    points = tuple(RunPoint(v, Outcome.REGRESSED, HOSTILE, 1.0, 2.0, HOSTILE) for v in (1.0, nan, bad, 2.0))
    drawn = draw_picture(HistoryPicture("m", HOSTILE, points, (HOSTILE,) * 4))
    assert "<script" not in drawn
    assert "nan" not in drawn
    assert draw_picture(Sparkline((nan, bad), (None, None))) == ""
    heat = draw_picture(HeatMap(HOSTILE, (HeatRow(HOSTILE, (None, -0.5), ("", HOSTILE)),), ("a", "b"), 0.5))
    assert "<script" not in heat
    assert 'class="h-none"' in heat


def test_no_line_breaks_a_tickets_key():
    assert HTML.constructs["link"]("SR-5", "https://jira/SR-5") == '<a class="key" href="https://jira/SR-5">SR-5</a>'
    assert "class" not in HTML.constructs["link"]("a run-5", "https://mlflow/5")


@pytest.mark.parametrize(("instance", "shown"), [("herald", "· herald<"), ("lab", "· Herald lab<")])
def test_a_herald_called_herald_is_named_once(house, instance, shown):
    reader = house.reader()
    config = reader.config.model_copy(update={"instance": instance})
    text = Site(replace(reader, config=config)).simple("", "en", "missing")
    reader.database.close()
    assert shown in text
    assert digest_title("noon", instance, "en") == {"herald": "Digest noon (Herald)"}.get(
        instance, "Digest noon (Herald lab)"
    )


def test_the_preview_of_an_incident_has_its_page_as_it_stands(house):
    reader = house.reader()
    stage = Stage(partial(cases_from, reader, house.incident), readers_in(reader.config))
    shown = stage.compose("web/incident", "en")
    reader.database.close()
    assert '<ol class="timeline">' in shown
    assert "What happened when" in shown
    assert 'class="skip"' not in shown, "nor what stands around every page"

"""The examples that lost most: found where it fell, masked, shown in every markup, attached once as a harmless CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.app import Surroundings, make_herald, make_services
from bot.config.models import Config
from bot.config.slices import ExamplesSection
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.policy import MetricPolicy, Policies
from bot.domain.runs import Baseline, ExampleTable, ExplainedExample, Run, RunResult, RunStatus, Slice, Trouble, Where
from bot.domain.views import ExampleRow
from bot.domain.worst_examples import find_worst
from bot.errors import RunStoreError
from bot.sandbox import RunningSandbox
from bot.services.mlflow.example_texts import LONGEST_TEXT, read_texts
from bot.services.mlflow.unreadable import UnreadableError
from bot.store import Database
from bot.text.masking import STRUCK_OUT, read_mask, strike_out
from bot.text.spreadsheet import to_cell, write_csv
from tests.memory_runs import MemoryRunStore
from tests.unit.examples_views import EXAMPLES, rendered
from tests.unit.hostile_texts import JIRA as HOSTILE
from tests.unit.judge.judged_runs import START, make_run

MEAT = Slice("department", "MEAT")


def make_table(values, departments=None, ids=None) -> ExampleTable:
    count = len(values)
    return ExampleTable(
        np.array(ids if ids is not None else [f"user{i:03d}" for i in range(count)]),
        np.ones(count),
        {"hr": np.asarray(values, dtype=float)},
        {"department": np.array(departments if departments is not None else ["MEAT"] * count)},
    )


def worst_of(now: ExampleTable, before: ExampleTable, finding: Finding, most: int = 100):
    said = Assessment("run1", (finding,), SeriesState())
    baseline = Baseline((make_run(0, {"hr": 0.5}, examples=before),))
    return find_worst(
        make_run(1, {"hr": 0.4}, examples=now), baseline, said, [finding], Policies((MetricPolicy("hr"),)), most
    )


FELL = Finding("hr", Outcome.REGRESSED, Reason.CONFIRMED, value=0.4, baseline=0.5, change=-0.1, n_examples=8)


# ---- which


def test_the_worst_are_those_that_lost_most_in_the_set_that_explains_the_fall():
    departments = ["MEAT"] * 5 + ["DELI"] * 3
    before = make_table([0.9] * 8, departments)
    now = make_table([0.9, 0.5, 0.1, 0.8, 1.0, 0.0, 0.0, 0.0], departments)
    found = worst_of(now, before, replace(FELL, where=Where((MEAT,), 0.9)))["hr"]
    assert [row.example_id for row in found.rows] == ["user002", "user001", "user003"]
    assert (found.lost, found.of, found.parts) == (3, 5, (MEAT,))
    everywhere = worst_of(now, before, FELL, most=2)["hr"]
    assert [row.example_id for row in everywhere.rows] == ["user005", "user006"]
    assert (everywhere.lost, everywhere.of) == (6, 8)


def test_an_example_in_several_rows_is_listed_once_with_the_mean_of_its_parts():
    before = make_table([1.0] * 7, ids=["a", "a", "b", "c", "d", "e", "f"])
    now = make_table([0.0, 0.5, 0.9, 1.0, 1.0, 1.0, 1.0], ids=["a", "a", "b", "c", "d", "e", "f"])
    found = worst_of(now, before, FELL)["hr"]
    assert [(row.example_id, row.now) for row in found.rows] == [("a", 0.25), ("b", 0.9)]


def test_a_run_whose_examples_are_all_others_has_no_worst():
    before, now = make_table([0.9] * 8), make_table([0.1] * 8, ids=[f"new{i}" for i in range(8)])
    assert worst_of(now, before, FELL) == {}


# ---- the file


@given(st.text(max_size=30) | st.sampled_from(["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", 'a";=cmd|x', "＝1"]))
@settings(max_examples=300, deadline=None)
def test_no_cell_of_the_file_is_a_formula_whatever_separator_it_is_read_with(text: str):
    content = write_csv(["example_id", "change", "query"], [[text, -0.5, text]])
    for delimiter in ",;\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            for row in csv.reader(io.StringIO(content), delimiter=delimiter, quoting=quoting):
                cells = [cell.strip(' "\u2060') for cell in row]
                formulas = [c for c in cells if re.match(r"[=@\uff1d\uff0b\uff0d\uff20]|[+-](?![\d.])", c)]
                assert formulas == [], (delimiter, row)


def test_a_formula_gets_an_apostrophe_and_a_number_stays_one():
    assert to_cell("=HYPERLINK(A1)") == "'=HYPERLINK(A1)"
    assert to_cell(" @x") == "' @x"
    assert [to_cell(text) for text in ("-12.5", "+3", "1e-3", "-")] == ["-12.5", "+3", "1e-3", "'-"]
    (row,) = list(csv.reader(io.StringIO(write_csv(["a"], [["x\n=1", -0.25]]))))[1:]
    assert row[1] == "-0.25"
    assert "\n" not in row[0]
    assert list(csv.reader(io.StringIO(write_csv(["a"], [[float("nan")]]))))[1] == [""]


# ---- what is struck out


def test_addresses_and_long_numbers_are_struck_out_unless_config_says_otherwise():
    masks = ExamplesSection().mask
    said = strike_out("mail jo.do@example.co.uk or call +49 (30) 123-4567, order 12345", masks)
    assert said == f"mail {STRUCK_OUT} or call {STRUCK_OUT}, order 12345"
    own = ExamplesSection(mask=(r"order \d+",)).mask
    assert strike_out("order 12345 of a@b.de", own) == f"{STRUCK_OUT} of a@b.de"


@pytest.mark.parametrize("pattern", ["(", "x*", "emial("])
def test_a_mask_that_is_no_pattern_or_matches_everything_is_refused(pattern):
    with pytest.raises(ValueError, match=r"neither one of|matches an empty text"):
        read_mask(pattern)


# ---- reading their texts


def write(folder: Path, **columns) -> Path:
    path = folder / "per_example.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_texts_are_read_of_those_examples_alone_and_only_their_beginnings(tmp_path):
    path = write(
        tmp_path,
        example_id=pa.array([1, 2, None, 3, 2]),
        query=pa.array(["short", "x" * 1_000_000, "nobody's", None, "second row"]),
        rank=pa.array([1, 2, 3, 4, 5]),
    )
    found, left_out = read_texts(path, ["query", "rank", "gone"], {"2", "3"})
    assert found["2"] == ("x" * LONGEST_TEXT + "…", "2", "")
    assert found["3"] == ("", "4", "")
    assert (len(found), left_out) == (2, ("gone is not there",))


def test_a_text_that_stands_in_very_many_rows_takes_no_memory_of_them_all(tmp_path):
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["y" * 1_000_000]))
    path = write(tmp_path, example_id=pa.array([f"u{i}" for i in range(200_000)]), query=long)
    found, _ = read_texts(path, ["query"], {"u199999"})
    assert found["u199999"][0].startswith("yyy")


def test_texts_of_another_kind_are_left_out_and_a_broken_table_is_said_to_be_broken(tmp_path):
    path = write(tmp_path, example_id=pa.array(["a"]), tags=pa.array([["x"]]))
    assert read_texts(path, ["tags"], {"a"}) == ({}, (f"tags holds {pq.read_schema(path).field(1).type}, no text",))
    path.write_bytes(b"PAR1 nothing of that kind")
    with pytest.raises(UnreadableError) as refused:
        read_texts(path, ["query"], {"a"})
    assert refused.value.trouble is Trouble.BROKEN


# ---- how they read


def test_the_worst_are_shown_with_their_texts_and_a_link_to_the_whole_list():
    english, chinese = rendered(EXAMPLES, "en"), rendered(EXAMPLES, "zh")
    said = "Of the 4,000 examples in PRODUCE / berries, 312 lost something. These lost most:"
    assert all(said in text for text in english.values())
    assert all("PRODUCE / berries 中的 4,000 个样本里，有 312 个变差" in text for text in chinese.values())
    assert "All of them: [^worst-examples-0a1b2c3d.csv]" in english["jira"]
    assert "`worst-examples-0a1b2c3d.csv`" in english["trello"]
    assert '<ri:attachment ri:filename="worst-examples-0a1b2c3d.csv" />' in chinese["storage"]
    every = replace(EXAMPLES, lost="4,000")
    assert all("All 4,000 examples in PRODUCE / berries lost something." in t for t in rendered(every, "en").values())
    assert all("4,000 个样本全部变差" in text for text in rendered(every, "zh").values())
    part = replace(EXAMPLES, listed="100")
    assert all("The 100 that lost most: " in text for text in rendered(part, "en").values())
    assert all("csv" not in text for text in rendered(replace(EXAMPLES, file=""), "en").values())


@pytest.mark.parametrize(
    "text", [each[1] for each in HOSTILE] + ["<script>", "\u202egnp.exe", "שלום", "</td><b>", "]]>"]
)
def test_what_an_example_says_is_shown_letter_for_letter_and_is_no_markup(text):
    plain = rendered(replace(EXAMPLES, rows=(ExampleRow("ID", "1", "0", "−1", ("harmless",)),)), "en")
    hostile = rendered(replace(EXAMPLES, rows=(ExampleRow(text, "1", "0", "−1", (text,)),)), "en")
    assert hostile["storage"].count("<") == plain["storage"].count("<")
    assert "\u202e" not in "".join(hostile.values())
    assert hostile["jira"].count("{") - hostile["jira"].count(r"\{") == plain["jira"].count("{")
    assert len(hostile["jira"].splitlines()) == len(plain["jira"].splitlines())


# ---- told once, over HTTP

TEXTS = {"query": "=cmd() *fresh* strawberries, mail jo@example.com"}


class Shop:
    """Runs of a pipeline whose examples of one department fall, on a sandbox's Jira and Confluence."""

    def __init__(self, box: RunningSandbox, folder: Path, url: str, **examples) -> None:
        self.store = MemoryRunStore()
        self.store.create("search")
        self.folder, self.now = folder, START
        account = {"email": box.email, "token": box.api_token}
        section = {
            "experiment": "search",
            "tracker": "jira",
            "wiki": "confluence",
            "metrics": {"hr": {"min_effect": "1 %"}},
            "judge": {"slices": {"columns": ["department"]}},
            "tickets": {"umbrella_above": 0},
            **({"examples": examples} if examples else {}),
        }
        self.config = Config.model_validate(
            {
                "instance": f"examples{len(examples)}",
                "tracker": {"jira": {"url": box.jira_cloud_url, "project": box.project_key, **account}},
                "wiki": {"confluence": {"url": box.confluence_cloud_url, "space": box.space_key, **account}},
                "pipeline": {"search": section},
            }
        )
        self.database = Database(url)
        self.herald = make_herald(
            self.config,
            folder,
            around=Surroundings(clock=lambda: self.now, pause=lambda _: None),
            services=make_services(self.config),
            run_store=self.store,
            database=self.database,
        )
        self.random = np.random.default_rng(5)
        self.level = self.random.beta(4, 8, 400)
        self.departments = np.repeat(["MEAT", "DELI", "PRODUCE", "DAIRY"], 100)

    def log(self, number: int, loss: float = 0.0) -> None:
        usual = self.level * np.where(self.departments == "MEAT", 1 - loss, 1.0)
        values = np.clip(usual + self.random.normal(0, 0.02, 400), 0, 1)
        self.now += timedelta(minutes=5)
        run = Run(f"run{number}", f"run{number}", RunStatus.FINISHED, self.now, self.now, {"hr": float(values.mean())})
        table = make_table(values, self.departments)
        why = ExplainedExample("x", "*berries* jo@example.com", "jam", ("berries",), "leave one out", 1.0, 0.25)
        self.store.explained[run.run_id] = (why,) * 4
        self.store.example_texts[run.run_id] = {str(name): TEXTS for name in table.example_ids}
        self.store.add("search", RunResult(run, examples=table))

    def cycle(self) -> None:
        self.now += timedelta(minutes=1)
        self.herald.cycle("search").run(self.now)

    def deliver(self) -> None:
        assert self.herald.dispatcher.drain().failures == []

    def fall(self) -> None:
        self.cycle()
        self.judge(0.0, range(6))
        self.judge(0.7, (6, 7))

    def judge(self, loss: float, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.log(number, loss)
            self.cycle()


@pytest.fixture
def make_shop(box, tmp_path, sqlite_url):
    made = []

    def make_shop(**examples) -> Shop:
        made.append(Shop(box, tmp_path, sqlite_url, **examples))
        return made[-1]

    yield make_shop
    for shop in made:
        shop.database.close()


def ticket_of(box: RunningSandbox, shop: Shop) -> dict:
    label = f"herald-{shop.config.instance}"
    with httpx.Client(auth=(box.email, box.api_token)) as client:
        jql = {"jql": f'labels = "{label}"', "fields": "*all"}
        (found,) = client.get(f"{box.jira_cloud_url}/rest/api/2/search/jql", params=jql).json()["issues"]
        return client.get(f"{box.jira_cloud_url}/rest/api/2/issue/{found['key']}").json()["fields"]


def test_ticket_and_page_show_the_worst_and_carry_the_whole_list_once(make_shop, box):
    shop = make_shop(text_columns=["query"], shown=3, attached=40)
    shop.fall()
    shop.deliver()
    shop.deliver()
    fields = ticket_of(box, shop)
    body = fields["description"]
    assert "100 examples in MEAT" in body
    assert r"=cmd\(\) \*fresh\* strawberries, mail" in body
    assert "jo@" not in body
    assert STRUCK_OUT in body
    assert body.count("berries (leave one out; without them the score moves by 1.00") == 3
    lists = [each for each in fields["attachment"] if each["filename"].endswith(".csv")]
    assert len(lists) == 1
    assert f"[^{lists[0]['filename']}]" in body
    content = httpx.get(lists[0]["content"], auth=(box.email, box.api_token), follow_redirects=True).content
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert header == ["example_id", "before", "now", "change", "query"]
    assert len(rows) == 40
    changes = [float(row[3]) for row in rows]
    assert changes == sorted(changes)
    assert all(row[4].startswith("'=cmd()") and "jo@" not in row[4] for row in rows)
    page = make_services(shop.config).wikis["confluence"].find("search: run7 (run7)")
    with httpx.Client(auth=(box.email, box.api_token)) as client:
        at = f"{box.confluence_cloud_url}/wiki/api/v2/pages/{page.page_id}"
        storage = client.get(at, params={"body-format": "storage"}).json()["body"]["storage"]["value"]
        listed = client.get(f"{at}/attachments").json()
    assert f'<ri:attachment ri:filename="{lists[0]["filename"]}"' in storage
    assert [each["title"] for each in listed["results"]].count(lists[0]["filename"]) == 1


def test_what_is_back_is_told_with_the_examples_that_it_is_now(make_shop, box):
    shop = make_shop(text_columns=["query"], shown=2)
    shop.fall()
    shop.judge(0.0, (8, 9, 10))
    shop.judge(0.7, (11, 12, 13))
    shop.deliver()
    fields = ticket_of(box, shop)
    said = [each["body"] for each in fields["comment"]["comments"] if "worst-examples-" in each["body"]]
    assert len(said) == 1
    lists = {each["filename"] for each in fields["attachment"] if each["filename"].endswith(".csv")}
    assert len(lists) == 2
    assert all(f"[^{name}]" in fields["description"] + said[0] for name in lists)


def test_what_fell_before_first_contact_is_told_without_a_list_that_nobody_would_attach(make_shop, box):
    shop = make_shop(text_columns=["query"], mask=["number"], shown=1, attached=7)
    for number, loss in enumerate([0.0] * 8 + [0.7] * 3):
        shop.log(number, loss)
    shop.cycle()
    shop.deliver()
    fields = ticket_of(box, shop)
    assert "hr" in fields["description"]
    assert "worst-examples-" not in fields["description"]


def test_nothing_of_any_example_is_told_unless_config_asks_for_it(make_shop, box):
    shop = make_shop()
    shop.fall()
    shop.deliver()
    fields = ticket_of(box, shop)
    assert "user" not in fields["description"]
    assert [each["filename"] for each in fields["attachment"] if each["filename"].endswith(".csv")] == []


def test_texts_that_cannot_be_had_leave_the_examples_without_them_and_the_page_says_so(make_shop, box, monkeypatch):
    shop = make_shop(text_columns=["query"])

    def away(*_):
        raise RunStoreError("MLflow does not answer.")

    monkeypatch.setattr(shop.store, "texts", away)
    shop.fall()
    shop.deliver()
    body = ticket_of(box, shop)["description"]
    assert "100 examples in MEAT" in body
    assert "strawberries" not in body

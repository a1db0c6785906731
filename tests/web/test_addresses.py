"""What is asked over HTTP is answered: pages in the reader's language, health, metrics; to whom config lets in."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import replace
from html import unescape

import httpx
import pytest

from bot.config.file import load_config
from bot.errors import ConfigError, StateError
from bot.store import Database
from bot.web.app import make_app
from bot.web.server import listen, read_place, serving
from tests.unit.simulation import World, configured, make_server
from tests.unit.state_samples import NOON
from tests.web.page_links import CHINESE, links_of


def test_health_is_told_to_machines(pages):
    assert pages.get("/healthz").text == "ok"
    assert pages.get("/readyz").text == "ok"


def test_what_keeps_herald_from_its_work_is_said_in_a_sentence(house):
    reader = house.reader()
    with (
        serving(make_app(reader, lacking=lambda: ("due times cannot be kept: the disk is full",)), "127.0.0.1:0") as at,
        httpx.Client(base_url=at) as client,
    ):
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "due times cannot be kept: the disk is full")
        assert client.get("/healthz").status_code == 200
    reader.database.close()


def test_a_state_that_is_written_to_all_the_time_is_ready(house, tmp_path):
    copied = tmp_path / "state.db"
    shutil.copyfile(house.file, copied)
    reader = replace(house.reader(), database=Database.for_reading(f"sqlite:///{copied}"))
    asked, ask = [], reader.database.version

    def written_to_once() -> str | None:
        asked.append(1)
        if len(asked) % 2:
            raise StateError("the state was written to while it was read; ask again")
        return ask()

    reader.database.version = written_to_once
    with serving(make_app(reader), "127.0.0.1:0") as at, httpx.Client(base_url=at) as client:
        assert [client.get("/readyz").status_code for _ in range(3)] == [200] * 3
    reader.database.close()


def test_a_state_of_another_version_or_none_is_not_ready_and_says_why(house, tmp_path):
    copied = tmp_path / "state.db"
    shutil.copyfile(house.file, copied)
    reader = replace(house.reader(), database=Database.for_reading(f"sqlite:///{copied}"))
    with serving(make_app(reader), "127.0.0.1:0") as at, httpx.Client(base_url=at) as client:
        with sqlite3.connect(copied) as tx:
            tx.execute("UPDATE herald_version SET version_num = '9999'")
        tx.close()
        newer = client.get("/readyz")
        copied.unlink()
        copied.write_text("no database at all " * 100)
        away = client.get("/readyz")
    reader.database.close()
    assert (newer.status_code, "made by a newer Herald" in newer.text) == (503, True)
    assert (away.status_code, "the state cannot be" in away.text) == (503, True)


def test_a_process_whose_loop_stands_still_is_not_well(house):
    reader = house.reader()
    with (
        serving(make_app(reader, lambda: ("the loop has not gone round for 300 s",)), "127.0.0.1:0") as at,
        httpx.Client(base_url=at) as client,
    ):
        answer = client.get("/healthz")
    reader.database.close()
    assert (answer.status_code, "300 s" in answer.text) == (503, True)


@pytest.mark.parametrize(("headers", "said"), [({}, "Off track"), (CHINESE, "偏离计划")])
def test_a_page_is_in_the_readers_language(pages, headers, said):
    assert said in pages.get("/", headers=headers).text


def test_a_reader_who_chooses_a_language_keeps_it(house):
    with house.pages() as client:
        assert "偏离计划" in client.get("/?lang=zh").text
        assert "偏离计划" in client.get("/").text


def test_the_overview_says_of_every_pipeline_how_it_stands_and_why(pages):
    text = re.sub(r"<[^>]+>", "", pages.get("/").text)
    assert "Ranking quality of Search relevance fell by" in text
    assert "looks worse" in text
    assert "No run yet." in text
    assert text.index("Search relevance") < text.index("Home feed") < text.index("Query rewriting")


def test_the_overview_can_be_narrowed_without_any_script(pages):
    ada = pages.get("/", params={"owner": "Ada Okafor"}).text
    assert "Query rewriting" in ada
    assert "Home feed" not in ada
    assert "Query rewriting" not in pages.get("/", params={"owner": "Ada Okafor", "health": "off_track"}).text
    assert "No pipeline stands so." in pages.get("/", params={"health": "<script>"}).text


def test_nothing_is_asked_of_anybody_else_and_the_browser_is_told_so(pages):
    page = pages.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    outside = [link for link in links_of(page) if "//" in link]
    assert all(link.startswith("https://jira.example.com/") or "/memory" in link for link in outside), outside


def test_what_every_page_asks_for_may_be_kept_for_ever(pages):
    for link in links_of(pages.get("/")):
        if "assets/" in link:
            answer = pages.get(f"/{link}")
            assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
    assert pages.get("/assets/style-0000000000.css").status_code == 404


@pytest.mark.parametrize("path", ["/nothing", "/pipelines/nothing", "/..%2f..%2fetc/passwd", "/%00"])
def test_what_is_not_there_is_said_to_be_not_there(pages, path):
    answer = pages.get(path)
    assert (answer.status_code, "There is no such page" in answer.text) == (404, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_are_only_read(pages, method):
    answer = pages.request(method, "/")
    assert answer.status_code == 405
    assert "Pages are only read" in answer.text
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_who_does_not_know_the_token_sees_nothing_but_health(house):
    with house.pages(access="token", token="let me in") as client:
        for path in ("/", "/metrics", "/digests"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert "Search relevance" not in answer.text
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics", headers={"Authorization": "Bearer let me in"}).status_code == 200
        assert client.post("/enter", data={"token": "wrong"}).status_code == 401
        assert client.post("/enter", content=b"x" * 10_000).status_code == 413
        entered = client.post("/enter", data={"token": "let me in"})
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert "let me in" not in str(entered.headers)
        assert "Search relevance" in client.get("/").text


def test_who_followed_a_link_is_led_to_its_page_once_they_have_named_the_token(house):
    with house.pages(access="token", token="let me in") as client:
        asked = client.get("/digests?lang=zh&x=%22%3E").text
        (wanted,) = re.findall(r'name="wanted" value="([^"]*)"', asked)
        wrong = client.post("/enter", data={"token": "wrong", "wanted": "digests"}).text
        entered = client.post("/enter", data={"token": "let me in", "wanted": unescape(wanted)})
    assert entered.headers["location"] == "./digests?lang=zh&x=%22%3E"
    assert 'name="wanted" value="digests"' in wrong


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/evil", "../evil", "runs/../../evil", "digests\r\nSet-Cookie: a=b", "digests\n", '"><script>', "x" * 2_000,
    ],
)  # fmt: skip
def test_nobody_is_led_away_from_our_pages_by_what_a_form_says_was_wanted(house, hostile):
    with house.pages(access="token", token="let me in") as client:
        entered = client.post("/enter", data={"token": "let me in", "wanted": hostile})
        shown = client.post("/enter", data={"token": "wrong", "wanted": hostile}).text
    assert (entered.headers["location"], 'name="wanted" value=""' in shown) == ("./", True)


def test_a_token_that_is_asked_for_and_not_set_is_a_fault_of_the_configuration(house):
    reader = house.reader(access="token")
    with pytest.raises(ConfigError, match="HERALD_WEB__TOKEN"):
        make_app(reader)
    reader.database.close()


def test_whom_the_proxy_has_let_in_is_let_in(house):
    with house.pages(access="proxy", user_header="X-Remote-User") as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers={"X-Remote-User": "ada"}).status_code == 200


def test_pages_hold_below_the_path_of_a_proxy(house):
    with house.pages(address="https://example.com/herald/") as client:
        assert client.get("/herald").headers["location"] == "/herald/"
        kept, stripped = client.get("/herald/"), client.get("/")
        assert kept.text == stripped.text
        assert not [link for link in links_of(kept) if link.startswith("/")]


@pytest.mark.parametrize(("address", "path"), [(None, "/"), ("https://example.com/team/herald/", "/team/herald")])
def test_what_a_browser_keeps_is_kept_for_our_part_of_the_host_alone(house, address, path):
    with house.pages(address=address, access="token", token="let me in") as client:
        entered = client.post("/enter", data={"token": "let me in"})
        spoken = client.get("/?lang=zh", headers={"Authorization": "Bearer let me in"})
    for answer in (entered, spoken):
        assert re.search(r"[Pp]ath=([^;]*)", answer.headers["set-cookie"])[1] == path


@pytest.mark.parametrize("token", ["schlüssel", "密码", "two\nlines"])
def test_a_token_that_no_header_bears_is_refused(monkeypatch, tmp_path, token):
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("HERALD_WEB__TOKEN", token)
    with pytest.raises(ConfigError, match=r"web.token.*(printable ASCII|one line)") as refused:
        load_config(tmp_path / "config.toml")
    assert token not in str(refused.value)


@pytest.mark.parametrize("place", ["8080", "localhost", "127.0.0.1:http", "127.0.0.1:99999", ":80", ""])
def test_a_place_that_is_none_is_refused_with_what_would_be_right(place):
    with pytest.raises(ConfigError, match="should be HOST:PORT"):
        read_place(place)


def test_an_answer_in_two_pieces_does_not_wait_for_its_like():
    listener = listen("127.0.0.1", 0, "127.0.0.1:0")
    with listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        with taken:  # asyncio sets TCP_NODELAY on what says that it is of TCP, and on nothing else
            assert taken.proto == socket.IPPROTO_TCP


def test_a_place_that_is_taken_is_named(house):
    reader = house.reader()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="cannot be listened on"), serving(make_app(reader), place):
            pass
    reader.database.close()


def test_a_token_in_the_file_is_refused(tmp_path):
    (tmp_path / "config.toml").write_text('[web]\ntoken = "x"\n')
    with pytest.raises(ConfigError, match=r"web.token: a secret does not belong in this file; set HERALD_WEB__TOKEN"):
        load_config(tmp_path / "config.toml")


def test_a_loop_that_goes_round_ails_nothing_and_one_that_stands_still_is_told(sqlite_database, tmp_path):
    server = make_server(World(NOON, tmp_path), sqlite_database, configured({"search": {}}))
    assert server.ails() == ()  # it has not begun
    server.round()
    assert server.ails() == ()
    server.last_round -= 300
    (ails,) = server.ails()
    assert "has not gone round" in ails
    server.orders.stop = True
    assert server.ails() == ()  # it is stopping, and may take its time


def test_a_herald_is_ready_once_its_loop_goes_round_and_its_schedules_can_be_told(sqlite_database, tmp_path):
    server = make_server(World(NOON, tmp_path), sqlite_database, configured({"search": {"schedule": {"every": "1d"}}}))
    server.orders.began -= 300
    (said,) = server.lacks()
    assert "is starting, for 300 s now" in said
    server.round()
    assert list(server.lacks()) == []
    server.keeping.fail("the disk is full", NOON)
    assert list(server.lacks()) == ["due times cannot be kept just now; the log says why"]
    server.keeping.trouble, server.duties.unscheduled = "", {"search": "search: no such zone"}
    (said,) = server.lacks()
    assert "search" not in said


def test_a_state_that_hangs_keeps_nobody_waiting_and_holds_one_thread(house):
    reader, free = house.reader(), threading.Event()
    hung = replace(reader, database=Database.for_reading(f"sqlite:///{house.file}"))

    @contextmanager
    def hang():
        free.wait(30)
        with reader.database.begin() as tx:
            yield tx

    hung.database.begin = hang
    app = make_app(hung)
    object.__setattr__(app.addresses.patience, "seconds", 0.2)
    with serving(app, "127.0.0.1:0") as at, httpx.Client(base_url=at, timeout=5) as client:
        answers = [client.get("/readyz"), client.get("/metrics"), client.get("/readyz")]
        asking = [thread for thread in threading.enumerate() if thread.name == "asking the state"]
        free.set()
        asking[0].join()
        well = client.get("/metrics").text
    assert len(asking) == 1
    assert [each.status_code for each in answers] == [503, 200, 503]
    assert "herald_state_up 0.0" in answers[1].text
    assert "herald_build_info" in answers[1].text
    assert "herald_state_up 1.0" in well
    reader.database.close()

"""A team's templates have a budget of time and memory; ours are used where one takes more."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.errors import TemplateError
from bot.preview import samples
from bot.render.confined import Budget, Worker, shared_worker
from bot.render.renderer import Renderer
from bot.render.templates import check_overrides
from tests.unit.text_forms import JIRA

BUDGET = Budget(memory_bytes=96 * 1024**2, cpu_seconds=1.5, wall_seconds=60)
MEMORY = Budget(memory_bytes=96 * 1024**2, cpu_seconds=30, wall_seconds=60)
TICKET = samples.ticket(samples.WORDS["en"])
OURS = Renderer("en").render_ticket(JIRA, TICKET, {})
LINUX = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux bounds the memory of a process")


def custom(
    folder: Path, text: str, name: str = "jira/ticket.wiki.j2", budget: Budget = BUDGET
) -> tuple[Renderer, list[str]]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    heard: list[str] = []
    return Renderer("en", folder, lambda error: heard.append(str(error)), budget), heard


@LINUX
@pytest.mark.parametrize(
    "text",
    [
        "{% set all = [0] * 1000000000 %}{{ all[0] }}",
        "{% set all = (0,) * 1000000000 %}{{ all[0] }}",
        "{{ 'x'.center(10000000000) }}",
        "{{ 'x'.zfill(1000000000) }}",
        "{{ '\t'.expandtabs(1000000000) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ ('x'.ljust(30000).replace('x', 'y'.ljust(30000)).replace(' ', 'z'.ljust(30000))) }}",
        "{% set n = namespace(x=['x']) %}{% for a in 'x'.ljust(40) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x[0] }}",
        "{% for a in [0] | slice(1000000000) | list %}{{ a }}{% endfor %}",
        "{{ view.owner }}{% macro m(n) %}{% set x = [0] * 10000000 %}{{ m(n + 1) }}{{ x[0] }}{% endmacro %}{{ m(0) }}",
    ],
)
def test_a_template_that_takes_too_much_memory_is_told_by_its_line_and_ours_is_used(tmp_path, text):
    renderer, heard = custom(tmp_path, f"one\n{text}", budget=MEMORY)
    assert renderer.render_ticket(JIRA, TICKET, {}) == OURS
    assert heard == [f"{tmp_path}/jira/ticket.wiki.j2, line 2: it takes more than 96 MB of memory"]


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in 'x'.ljust(90000) %}{% for b in 'x'.ljust(90000) %}{% set y = b %}{% endfor %}{% endfor %}",
        "{% set n = namespace(x=3) %}{% for a in 'x'.ljust(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
    ],
    ids=["loops that put nothing out", "one long step"],
)
def test_a_template_that_computes_too_long_is_told_by_its_file_and_ours_is_used(tmp_path, text):
    renderer, heard = custom(tmp_path, text)
    assert renderer.render_ticket(JIRA, TICKET, {}) == OURS
    assert heard == [f"{tmp_path}/jira/ticket.wiki.j2: it takes more than 1.5 s of computing"]
    begun = time.process_time()
    assert renderer.render_ticket(JIRA, TICKET, {}) == OURS
    assert time.process_time() - begun < 0.3  # it is not tried again for a while
    assert heard[1:] == heard[:1]


def test_a_teams_words_have_the_same_budget(tmp_path):
    endless = "{% for a in 'x'.ljust(90000) %}{% for b in 'x'.ljust(90000) %}{% set y = b %}{% endfor %}{% endfor %}"
    renderer, heard = custom(tmp_path, endless, "words.j2")
    assert renderer.render_ticket(JIRA, TICKET, {}) == OURS
    assert set(heard) == {f"{tmp_path}/words.j2: it takes more than 1.5 s of computing"}


def test_after_one_that_took_too_much_the_others_are_rendered(tmp_path):
    endless, _ = custom(
        tmp_path / "a", "{% for a in 'x'.ljust(90000) %}{% for b in 'x'.ljust(90000) %}{% set y = b %}{% endfor %}{% endfor %}"
    )  # fmt: skip
    fine, heard = custom(tmp_path / "b", "Fine: {{ view.owner }}")
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda number: (endless if number % 4 == 0 else fine).render_ticket(JIRA, TICKET, {}).body,
                range(16),
            )
        )
    assert made == [OURS.body if number % 4 == 0 else "Fine: Search team" for number in range(16)]
    assert heard == []


def test_the_process_that_renders_knows_no_secret_and_ends_with_us(tmp_path, monkeypatch):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "s3cret")
    worker = Worker(BUDGET)
    process, _ = worker._started("here")
    if Path("/proc").is_dir():
        assert b"s3cret" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    process.stdin.close()
    assert process.wait(30) == 0
    worker.close()


def test_a_process_that_ended_meanwhile_is_started_again(tmp_path):
    renderer, heard = custom(tmp_path, "Fine: {{ view.owner }}")
    assert renderer.render_ticket(JIRA, TICKET, {}).body == "Fine: Search team"
    shared_worker(BUDGET)._process.kill()
    shared_worker(BUDGET)._process.wait()
    assert renderer.render_ticket(JIRA, TICKET, {}).body == "Fine: Search team"
    assert heard == []


def test_where_no_process_can_be_started_ours_is_used_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.render.confined.sys.executable", str(tmp_path / "no-python"))
    heard: list[str] = []
    custom(tmp_path, "Fine: {{ view.owner }}")
    renderer = Renderer("en", tmp_path, lambda error: heard.append(str(error)), Budget(wall_seconds=59))
    assert renderer.render_ticket(JIRA, TICKET, {}) == OURS
    assert heard[0].endswith("the process that renders it cannot be started: No such file or directory")


def test_our_own_templates_are_rendered_where_we_are(tmp_path):
    before = threading.active_count()
    assert Renderer("en", tmp_path, budget=Budget(wall_seconds=58)).render_ticket(JIRA, TICKET, {}) == OURS
    assert shared_worker(Budget(wall_seconds=58))._process is None
    assert threading.active_count() == before


def test_a_template_that_is_nested_too_deep_is_found_broken_by_the_check(tmp_path):
    custom(tmp_path, "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}")
    (error,) = check_overrides(tmp_path)
    assert isinstance(error, TemplateError)
    assert str(error) == f"{tmp_path}/jira/ticket.wiki.j2: is nested too deep"


def test_an_answer_of_any_characters_comes_back_whole(tmp_path):
    renderer, heard = custom(tmp_path, "{{ view.owner }} ë 漢字 \U0001f600" + os.linesep + "x" * 100_00)
    body = renderer.render_ticket(JIRA, TICKET, {}).body
    assert body.startswith("Search team ë 漢字 \U0001f600\nxxx")
    assert len(body) > 10_000
    assert heard == []

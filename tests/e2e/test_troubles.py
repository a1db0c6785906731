"""Failed, silent and incomparable pipelines, from what happened to the ticket that people read, in both languages."""

from datetime import timedelta

import pytest

from bot.sandbox import serve
from tests.e2e.troubles import BEGAN, FAILS, Trouble, make_trouble

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NIGHTLY = {"stale": {"cadence": "1d", "grace": "6h"}}
JOB = {"command": ["sh", "-c", FAILS]}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("sandbox") / "sandbox.db") as running:
        yield running


@pytest.fixture(params=["en", "zh"])
def trouble(request, sandbox, tmp_path):
    made: list[Trouble] = []

    def trouble(**pipeline) -> Trouble:
        made.append(make_trouble(sandbox, tmp_path, request.param, **pipeline))
        return made[-1]

    yield trouble
    for each in made:
        each.herald.database.close()


@pytest.fixture
def ticket(sandbox):
    """Return the newest ticket: its title, its text with its comments, and whether it is done."""
    import httpx

    api = httpx.Client(base_url=f"{sandbox.jira_cloud_url}/rest/api/2", auth=(sandbox.email, sandbox.api_token))

    def ticket() -> tuple[str, str, bool]:
        wanted = {"jql": "project = SR ORDER BY created DESC", "fields": "*all", "maxResults": 1}
        issue = api.get("/search/jql", params=wanted).json()["issues"][0]
        fields = api.get(f"/issue/{issue['key']}").json()["fields"]
        said = [comment["body"] for comment in fields["comment"]["comments"]]
        text = "\n".join([fields["description"], *said]).replace("\u2060", "").replace("\u00a0", " ")
        return fields["summary"].replace("\u2060", ""), text, fields["status"]["statusCategory"]["key"] == "done"

    with api:
        yield ticket


def words(locale, en, zh):
    return zh if locale.endswith("zh") else en


def test_a_failed_job_is_one_ticket_with_its_exit_code_and_last_lines(trouble, ticket):
    made = trouble(job=JOB)
    locale = made.herald.config.locale
    made.look()
    title, text, done = ticket()
    assert words(locale, "job failed with exit code 3", "任务失败（退出码 3）") in title
    assert "KeyError: 'price'" in text
    assert words(locale, "failed with exit code 3", "退出码 3") in text
    assert not done
    first = text
    made.look(HOUR)
    assert ticket()[1] == first  # a second failure so soon is counted, not said again


def test_a_silence_is_one_ticket_that_the_next_run_resolves(trouble, ticket):
    made = trouble(**NIGHTLY)
    locale = made.herald.config.locale
    made.look()
    made.runs.add("monday", BEGAN + HOUR, 0.41)
    made.look(2 * HOUR)
    made.look(DAY + 3 * HOUR)  # late, and still within the grace
    before = len(made.runs.results)
    made.look(DAY)
    title, text, done = ticket()
    assert words(locale, "no run when one was due", "未按时运行") in title
    assert "monday" in text
    assert (
        words(locale, "Nothing has come for 2 d 4 h; a run is expected every 1 d.", "已有 2 天 4 小时没有新的运行")
        in text
    )
    assert not done
    assert before == 1
    made.look(DAY)
    assert ticket()[1] == text
    made.runs.add("friday", made.now[0] + HOUR, 0.41)
    made.look(2 * HOUR)
    _, text, done = ticket()
    assert words(locale, "are coming again. It lasted 3 d 5 h.", "已恢复运行。前后持续 3 天 5 小时") in text
    assert done


def test_a_pipeline_that_never_had_a_run_is_silent_too(trouble, ticket):
    made = trouble(**NIGHTLY)
    made.look()
    made.look(DAY)
    made.look(DAY)
    title, text, _ = ticket()
    assert words(made.herald.config.locale, "no run when one was due", "未按时运行") in title
    assert "—" not in text


def test_a_test_set_that_shrank_is_one_ticket_that_says_by_how_much(trouble, ticket):
    made = trouble()
    locale = made.herald.config.locale
    made.look()
    for number in range(3):
        made.runs.add(f"run {number}", BEGAN + (number + 1) * HOUR, 0.41 + number / 1000, test_examples=12_000)
    made.runs.add("shrunk", BEGAN + 4 * HOUR, 0.5, test_examples=700)
    made.look(5 * HOUR)
    title, text, done = ticket()
    assert words(locale, "data changed, runs cannot be compared", "数据有变化，运行无法比较") in title
    assert "12,000" in text
    assert "700" in text
    assert not done
    made.runs.add("mended", BEGAN + 6 * HOUR, 0.411, test_examples=12_000)
    made.look(2 * HOUR)
    assert ticket()[2]


def test_a_value_out_of_bounds_is_one_ticket(trouble, ticket):
    made = trouble()
    made.look()
    for number in range(3):
        made.runs.add(f"run {number}", BEGAN + (number + 1) * HOUR, 0.41 + number / 1000)
    made.runs.add("too good", BEGAN + 4 * HOUR, 0.97)
    made.look(5 * HOUR)
    title, text, _ = ticket()
    assert words(made.herald.config.locale, "Ranking quality is out of bounds", "排序质量超出范围") in title
    assert "0.97" in text

"""What chats promise that take cards: Teams' workflow, the robots and apps of Feishu, DingTalk and WeCom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import requests

from bot.connections import to_chat
from bot.domain.capabilities import Promise
from bot.domain.message import MessageDocument
from bot.errors import AccountError, GoneError, IntegrationError, MissingError, PermanentError, Reach, RetryableError
from bot.ports import Attachment, Posted
from bot.preview import samples
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service, serve
from bot.text.escape import to_markdown
from tests.contract.breakable import Reply, breakable
from tests.contract.robot_benches import RobotBench, robot_bench
from tests.unit.golden_files import RENDERERS

HOOKS = ("teams", "feishu_webhook", "dingtalk_webhook", "wecom")
APPS = ("feishu", "dingtalk")
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
DOCUMENT = replace(
    MessageDocument.read(
        "tone: bad\n**Ranking** fell: 0.14\n\nfalls: 2\n• `ndcg`: 0.14\n• [two](https://mlflow/2)\n---\n> Owner: search"
    ),
    note="Left out: {n}",
    cause="tell_channel:x:run5",
)
HOSTILE = '**a** <@all> [x](javascript:alert(1)) `*_~` <font color="warning">🙂</font> & &amp; \u202e %s {x} <script>'


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[RunningSandbox, list[float]]]:
    ahead = [0.0]  # seconds that the stand-in's clock is ahead
    with serve(None, clock=lambda: datetime.now(UTC).timestamp() + ahead[0]) as sandbox:
        yield sandbox, ahead


@pytest.fixture
def sandbox(running: tuple[RunningSandbox, list[float]]) -> RunningSandbox:
    sandbox, ahead = running
    sandbox.calm()
    ahead[0] = 0.0
    for each in (Service.TEAMS, Service.FEISHU, Service.DINGTALK, Service.WECOM):
        sandbox.change(each, per_minute=0, per_second=0)
    return sandbox


@pytest.fixture
def bench(sandbox: RunningSandbox, request: pytest.FixtureRequest) -> RobotBench:
    return robot_bench(sandbox, request.param)


def each_of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", names, indirect=True)


@each_of(*HOOKS, *APPS)
def test_a_message_is_shown_with_its_links_and_all_its_parts(bench):
    before = bench.count
    bench.make().post(bench.channel, "m-1", DOCUMENT)
    assert bench.count == before + 1
    last = bench.page.split("<article")[-1]
    assert "Ranking" in last
    assert '<a href="https://mlflow/2" rel="noreferrer">two</a>' in last
    assert "Owner: search" in last
    assert "Left out" not in last
    assert "**" not in last


@each_of(*HOOKS, *APPS)
def test_what_others_wrote_is_shown_as_text(bench):
    bench.make().post(
        bench.channel, "m-hostile", MessageDocument.read(f"{to_markdown(HOSTILE)}\n\n{to_markdown(HOSTILE)}")
    )
    last = bench.page.split("<article")[-1].split("</article>")[0]
    assert "javascript:alert" in last.replace("\u2060", "")
    assert 'href="javascript' not in last
    assert "<script" not in last
    assert "robot-orange" not in last.split("robot-head")[-1].split("</div>", 1)[1]


@each_of(*HOOKS, *APPS)
def test_a_long_message_loses_what_matters_least_and_says_so(bench):
    rows = "\n\n".join(f"falls: 1\nrow {n} {'x' * 900}" for n in range(60))
    document = replace(MessageDocument.read(f"Head\n\n{rows}\n\nThe link stays"), note="Left out: {n} parts")
    bench.make().post(bench.channel, "m-long", document)
    last = bench.page.split("<article")[-1]
    assert "row 0 " in last
    assert "row 59" not in last
    assert "The link stays" in last
    assert "Left out: " in last


@each_of(*HOOKS, *APPS)
def test_a_single_headline_that_is_too_long_still_arrives(bench):
    bench.make().post(bench.channel, "m-head", MessageDocument.read("\u6392" * 20_000))
    assert "\u6392\u6392" in bench.page.split("<article")[-1]


@each_of(*HOOKS, *APPS)
@pytest.mark.parametrize("committed", [True, False])
def test_a_post_that_breaks_off_is_doubtful(bench, committed):
    chat, kind = bench.make(), FaultKind.DROP_AFTER if committed else FaultKind.DROP_BEFORE
    before = bench.count
    bench.sandbox.strike(Fault(kind, service=bench.service, path=bench.posting))
    with pytest.raises(RetryableError) as caught:
        chat.post(bench.channel, f"m-broken-{committed}", replace(DOCUMENT, cause=f"broken {committed}"))
    assert caught.value.doubtful
    assert bench.secret not in str(caught.value)
    assert bench.count == before + committed


@each_of(*APPS)
def test_a_post_repeated_after_breaking_off_is_there_once(bench):
    chat, document = bench.make(), replace(DOCUMENT, cause="again")
    before = bench.count
    bench.sandbox.strike(Fault(FaultKind.DROP_AFTER, service=bench.service, path=bench.posting))
    with pytest.raises(RetryableError):
        chat.post(bench.channel, "m-again", document)
    posted = chat.post(bench.channel, "m-again", document)
    assert chat.promise is Promise.KEYED
    assert bench.count == before + 1
    chat.edit(posted, "m-again", MessageDocument.read("tone: good\nRanking is back"))
    last = bench.page.split("<article")[-1]
    assert "Ranking is back" in last
    assert "(edited)" in last


@each_of("feishu")
def test_a_card_of_feishu_can_be_edited_for_14_days(bench, running):
    chat = bench.make()
    posted = chat.post(bench.channel, "m-old", replace(DOCUMENT, cause="old"))
    running[1][0] += 15 * 86400
    with pytest.raises(GoneError, match=r"edit .* \(230031\): Message can only be modified within 14 days"):
        chat.edit(posted, "m-old", DOCUMENT)


@each_of(*APPS)
def test_a_card_that_is_not_there_cannot_be_edited(bench):
    with pytest.raises(PermanentError):
        bench.make().edit(Posted(bench.channel, "herald-0"), "m", DOCUMENT)


@each_of("dingtalk_webhook", "wecom", "teams", "feishu_webhook")
def test_a_robot_that_says_too_much_is_told_to_wait_and_nothing_is_doubtful(bench, running):
    running[1][0] += 1200
    bench.sandbox.change(bench.service, per_minute=2, per_second=0)
    chat = bench.make()
    for _ in range(2):
        chat.post("any", "m", DOCUMENT)
    with pytest.raises(RetryableError) as caught:
        chat.post("any", "m", DOCUMENT)
    assert not caught.value.doubtful
    assert not isinstance(caught.value, AccountError)
    assert chat.allowance is not None
    assert chat.allowance.remaining == 0
    assert (
        caught.value.retry_after
        == {"dingtalk_webhook": 600, "wecom": 60, "teams": 1, "feishu_webhook": 30}[
            {Service.DINGTALK: "dingtalk_webhook", Service.WECOM: "wecom", Service.TEAMS: "teams"}.get(
                bench.service, "feishu_webhook"
            )
        ]
    )


@each_of("dingtalk_webhook")
def test_a_robot_of_dingtalk_is_silent_for_ten_minutes(bench, running):
    running[1][0] += 1900
    bench.sandbox.change(bench.service, per_minute=1)
    chat = bench.make()
    chat.post("any", "m", DOCUMENT)
    with pytest.raises(RetryableError, match="130101"):
        chat.post("any", "m", DOCUMENT)
    running[1][0] += 300
    with pytest.raises(RetryableError, match="130101"):
        chat.post("any", "m", DOCUMENT)
    running[1][0] += 301
    chat.post("any", "m", DOCUMENT)


@each_of(*HOOKS, *APPS)
def test_an_address_or_account_that_holds_no_longer_loses_nothing(bench):
    chat = bench.make()
    bench.sandbox.change(bench.service, revoked=True)
    with pytest.raises(RetryableError) as caught:
        chat.post(bench.channel, "m", DOCUMENT)
    assert not caught.value.doubtful
    assert bench.secret not in str(caught.value)
    assert isinstance(caught.value, MissingError) is (bench.channel == "any")


@each_of("feishu_webhook", "dingtalk_webhook")
def test_a_wrong_signature_is_said_in_the_services_words(bench):
    with pytest.raises(AccountError, match=r"(19021\): sign match fail|310000\): .*签名不匹配).* Check signing_secret"):
        bench.make(signing_secret="wr0ng-s3cret").post("any", "m", DOCUMENT)


@each_of(*APPS)
def test_a_wrong_secret_of_an_app_is_said_and_not_repeated(bench):
    with pytest.raises(AccountError, match=r"(10014|invalidClientIdOrSecret)") as caught:
        bench.make(app_secret="wr0ng-s3cret").confirm_access()
    assert "wr0ng" not in str(caught.value)


@each_of("teams")
def test_a_workflow_that_is_off_waits_for_who_turns_it_on(bench):
    bench.sandbox.change(bench.service, disabled=True)
    with pytest.raises(MissingError, match=r"WorkflowTriggerIsNotEnabled.*Turn the workflow on"):
        bench.make().post("any", "m", DOCUMENT)


@each_of("teams")
def test_a_workflow_with_another_signature_is_refused(bench):
    url = bench.sandbox.teams_webhook_url.replace("sig=", "sig=no")
    with pytest.raises(AccountError, match=r"\(401\).*take the workflow's address anew") as caught:
        bench.make(webhook_url=url).post("any", "m", DOCUMENT)
    assert "sandbox-workflow-signature" not in str(caught.value)


@each_of(*APPS)
def test_a_group_that_the_bot_is_not_in_closes_that_channel_alone(bench):
    with pytest.raises(MissingError) as caught:
        bench.make().post("oc_elsewhere", "m-elsewhere", DOCUMENT)
    assert caught.value.reach is Reach.CHANNEL


@each_of("dingtalk")
def test_a_permission_that_is_missing_closes_messages_alone(bench):
    bench.sandbox.change(bench.service, disabled=True)
    with pytest.raises(AccountError, match=r"Card\.Instance\.Write") as caught:
        bench.make().post(bench.channel, "m", DOCUMENT)
    assert caught.value.reach is Reach.KIND


@each_of(*HOOKS, *APPS)
@pytest.mark.parametrize("kind", [FaultKind.LOGIN_PAGE, FaultKind.EMPTY_200, FaultKind.OTHER_JSON])
def test_what_proves_nothing_is_not_believed(bench, kind):
    chat = bench.make()
    bench.sandbox.strike(Fault(kind, service=bench.service, path=bench.posting))
    with pytest.raises(RetryableError) as caught:
        chat.post(bench.channel, "m", replace(DOCUMENT, cause=f"proof {kind}"))
    assert caught.value.doubtful
    assert bench.secret not in str(caught.value)


@each_of(*APPS)
@pytest.mark.parametrize("status", [200, 400, 502])
def test_an_answer_that_is_nested_too_deep_is_none(bench, status):
    reply = Reply(b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\n\r\n" % status + b"[" * 100_000)
    with breakable() as server:
        server.reply = lambda _: reply
        with pytest.raises(IntegrationError):
            bench.make(url=server.url).post(bench.channel, "m", DOCUMENT)


@each_of(*HOOKS)
def test_a_webhook_only_posts(bench):
    chat = bench.make()
    assert not chat.capabilities.edits
    assert chat.find("any", "m", NOW) is None
    for refused in (
        lambda: chat.edit(Posted("any", "m"), "m", DOCUMENT),
        lambda: chat.reply(Posted("any", "m"), "m", DOCUMENT),
        lambda: chat.share(Posted("any", "m"), Attachment("a.png", b"", "image/png")),
    ):
        with pytest.raises(PermanentError):
            refused()


@each_of(*HOOKS, *APPS)
def test_a_chat_does_not_print_its_secret(bench):
    assert bench.secret not in repr(bench.make())


@each_of(*HOOKS, *APPS)
def test_a_host_that_is_not_there_is_named_without_the_rest_of_its_address(bench):
    key = "url" if bench.channel != "any" else "webhook_url"
    address = f"http://127.0.0.1:1/{bench.secret}/workflows"
    with pytest.raises(IntegrationError, match=r"127\.0\.0\.1 takes no connections") as caught:
        bench.make(**{key: address}).post(bench.channel, "m", DOCUMENT)
    assert bench.secret not in str(caught.value)


def test_the_time_that_a_key_lasts_is_what_the_service_says(sandbox):
    chats = {name: robot_bench(sandbox, name).make() for name in APPS}
    assert chats["feishu"].capabilities.key_lasts == timedelta(hours=1)
    assert chats["dingtalk"].capabilities.key_lasts is None


def said_by_doctor(bench: RobotBench, *channels: str) -> list[tuple[str, bool]]:
    section = bench.make()._config  # type: ignore[attr-defined]
    return [(each.name, each.ok) for each in to_chat(section).check(channels, NOW)]


@each_of(*HOOKS, *APPS)
def test_the_doctor_posts_nothing_and_finds_all_well(bench):
    before = bench.count
    found = said_by_doctor(bench, bench.channel)
    assert found[0] == ("address", True)
    assert all(ok for _, ok in found)
    assert bench.count == before


@each_of(*HOOKS)
def test_the_doctor_knows_an_address_that_is_no_webhook(bench):
    section = bench.make(webhook_url="https://teams.example/x")._config
    [found] = to_chat(section).check(["any"], NOW)
    assert (found.name, found.ok) == ("address", False)


@each_of(*APPS)
def test_the_doctor_names_what_an_app_lacks(bench):
    assert said_by_doctor(bench, "general")[-1] == ("channel general", False)
    section = bench.make(app_secret="wr0ng-s3cret")._config
    [found] = to_chat(section).check([bench.channel], NOW)
    assert (found.name, found.ok) == ("credentials", False)
    assert "wr0ng" not in found.said


@each_of(*APPS)
@pytest.mark.parametrize("kind", [FaultKind.OTHER_JSON, FaultKind.LOGIN_PAGE, FaultKind.EMPTY_200, FaultKind.FORBIDDEN])
def test_no_answer_makes_the_doctor_break_off_or_be_content(bench, kind):
    bench.sandbox.strike(Fault(kind, service=bench.service, times=0))
    section = bench.make()._config
    found = list(to_chat(section).check([bench.channel], NOW))
    assert any(not each.ok for each in found)
    assert all(each.remedy for each in found if not each.ok)


def test_a_group_that_feishus_bot_is_not_in_is_told_by_the_doctor(sandbox):
    bench = robot_bench(sandbox, "feishu")
    assert said_by_doctor(bench, "oc_elsewhere")[-1] == ("channel oc_elsewhere", False)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_stand_in_shows_what_it_was_sent_on_a_page(sandbox, language):
    view = samples.message(samples.WORDS[language])
    for name in (*HOOKS, *APPS):
        bench = robot_bench(sandbox, name)
        chat = bench.make()
        document = RENDERERS[language].render_message(chat.text_form, view, samples.BOUND)
        chat.post(bench.channel, f"page {name} {language}", document)
        last = bench.page.split("<article")[-1]
        assert view.verdict.pipeline in last
        assert "SEARCH-12" in last
    front = requests.get(sandbox.url, timeout=5).text
    for each in ("Microsoft Teams", "Feishu", "DingTalk", "WeCom"):
        assert f"{each} (sandbox)" in front

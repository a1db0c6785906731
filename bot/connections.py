"""From a section of the configuration to the service behind it: its adapter, and the checks of the doctor.

Here stands the one `match` for each port; each case loads its own service alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, assert_never

from bot.config.executors import LOCAL, ExecutorSection
from bot.config.models import Config
from bot.config.paths import absolute
from bot.config.services import ChatSection, TrackerSection, WikiSection
from bot.domain.checks import Check
from bot.domain.rate_limits import Pace
from bot.errors import ExecutorAwayError
from bot.executors.cluster_section import ExecutorWants
from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.local.config import LocalSection
from bot.executors.ray.config import RaySection
from bot.executors.slurm.config import SlurmSection
from bot.ports import (
    Chat,
    DeadMan,
    Executor,
    RunStore,
    Speakers,
    StepReader,
    ThreadAnswers,
    TicketAnswers,
    Tracker,
    Wiki,
)
from bot.services.answers_section import AnswersSection
from bot.services.checks import TicketWants
from bot.services.confluence.config import ConfluenceSection
from bot.services.dingtalk.config import DingtalkSection, DingtalkWebhookSection
from bot.services.feishu.config import FeishuSection, FeishuWebhookSection
from bot.services.jira.config import JiraSection
from bot.services.mail.config import MailSection
from bot.services.mlflow.config import MlflowSection
from bot.services.slack.config import SlackSection
from bot.services.teams.config import TeamsSection
from bot.services.trello.config import TrelloSection
from bot.services.webhook.config import WebhookSection
from bot.services.webhook_section import HookSection
from bot.services.wecom.config import WecomSection


class CheckTracker(Protocol):
    def __call__(self, wants: TicketWants, now: datetime, *, fix: bool) -> Iterator[Check]:
        """Look at everything that a ticket's life leans on; with *fix*, make what is missing and safe to make."""


class CheckWiki(Protocol):
    def __call__(self, now: datetime, *, fix: bool) -> Iterator[Check]:
        """Look at everything that a page's life leans on, as :class:`CheckTracker` does."""


@dataclass(frozen=True, slots=True)
class TicketListening:
    """How what people answer in tickets is read, and what config says that it means."""

    make: Callable[[], TicketAnswers]
    config: AnswersSection


@dataclass(frozen=True, slots=True)
class ThreadListening:
    """How what people answer in threads is read, and whom config lets answer there."""

    make: Callable[[], ThreadAnswers]
    speakers: Speakers


@dataclass(frozen=True, slots=True)
class TrackerConnection:
    make: Callable[[], Tracker]
    check: CheckTracker
    listening: TicketListening | None = None  # None where answers are not read


@dataclass(frozen=True, slots=True)
class WikiConnection:
    make: Callable[[], Wiki]
    check: CheckWiki


@dataclass(frozen=True, slots=True)
class ChatConnection:
    make: Callable[[], Chat]
    check: Callable[[Sequence[str], datetime], Iterator[Check]]  # of its channels, now
    listening: ThreadListening | None = None  # None where answers are not read


def to_tracker(section: TrackerSection) -> TrackerConnection:
    match section:
        case JiraSection():
            from bot.services.jira.checks import check_jira
            from bot.services.jira.ticket_answers import JiraTicketAnswers
            from bot.services.jira.tracker import JiraTracker

            listening = _listening(partial(JiraTicketAnswers, section), section.answers)
            return TrackerConnection(partial(JiraTracker, section), partial(check_jira, section), listening)
        case TrelloSection():
            from bot.services.trello.checks import check_trello
            from bot.services.trello.ticket_answers import TrelloTicketAnswers
            from bot.services.trello.tracker import TrelloTracker

            listening = _listening(partial(TrelloTicketAnswers, section), section.answers)
            return TrackerConnection(partial(TrelloTracker, section), partial(check_trello, section), listening)
        case _:
            assert_never(section)


def _listening(make: Callable[[], TicketAnswers], config: AnswersSection) -> TicketListening | None:
    return TicketListening(make, config) if config.listen else None


def to_wiki(section: WikiSection) -> WikiConnection:
    match section:
        case ConfluenceSection():
            from bot.services.confluence.checks import check_confluence
            from bot.services.confluence.wiki import ConfluenceWiki

            return WikiConnection(partial(ConfluenceWiki, section), partial(check_confluence, section))
        case _:
            assert_never(section)


def to_chat(section: ChatSection) -> ChatConnection:
    match section:
        case SlackSection():
            from bot.services.slack.chat import SlackChat
            from bot.services.slack.checks import check_slack
            from bot.services.slack.thread_answers import SlackThreadAnswers

            listening = None
            if section.replies:
                listening = ThreadListening(partial(SlackThreadAnswers, section), section.people.speakers)
            return ChatConnection(partial(SlackChat, section), partial(check_slack, section), listening)
        case TeamsSection():
            from bot.services.teams.chat import TeamsChat

            return _of_hook(partial(TeamsChat, section), section, "/workflows/")
        case FeishuSection():
            from bot.services.feishu.chat import FeishuChat
            from bot.services.feishu.checks import check_feishu

            return ChatConnection(partial(FeishuChat, section), partial(check_feishu, section))
        case FeishuWebhookSection():
            from bot.services.feishu.webhook import FeishuWebhookChat

            return _of_hook(partial(FeishuWebhookChat, section), section, "/bot/v2/hook/")
        case DingtalkSection():
            from bot.services.dingtalk.chat import DingtalkChat
            from bot.services.dingtalk.checks import check_dingtalk

            return ChatConnection(partial(DingtalkChat, section), partial(check_dingtalk, section))
        case DingtalkWebhookSection():
            from bot.services.dingtalk.webhook import DingtalkWebhookChat

            return _of_hook(partial(DingtalkWebhookChat, section), section, "/robot/send")
        case WecomSection():
            from bot.services.wecom.chat import WecomChat

            return _of_hook(partial(WecomChat, section), section, "/webhook/send")
        case MailSection():
            from bot.services.mail.chat import MailChat
            from bot.services.mail.checks import check_mail

            return ChatConnection(partial(MailChat, section), partial(check_mail, section))
        case WebhookSection():
            from bot.services.webhook.chat import WebhookChat
            from bot.services.webhook.checks import check_webhook

            return ChatConnection(partial(WebhookChat, section), partial(check_webhook, section))
        case _:
            assert_never(section)


def _of_hook(make: Callable[[], Chat], section: HookSection, path: str) -> ChatConnection:
    """Connect a webhook, in whose address *path* has to stand."""
    from bot.services.hook_checks import check_hook

    return ChatConnection(make, partial(check_hook, section, path=path))


def paces_of(config: Config) -> dict[str, Pace]:
    """Return what distance each chat wants between its messages."""
    abilities = {name: section.capabilities for name, section in config.chat.items()}
    return {name: Pace(each.gap, each.is_one_place) for name, each in abilities.items()}


@dataclass(frozen=True, slots=True)
class ExecutorConnection:
    make: Callable[[], Executor]
    check: Callable[[ExecutorWants], Iterator[Check]]


def to_executor(section: ExecutorSection) -> ExecutorConnection:
    match section:
        case LocalSection():
            from bot.executors.local.executor import LocalExecutor

            return ExecutorConnection(LocalExecutor, lambda _: iter(()))
        case RaySection():
            from bot.executors.ray.checks import check_ray
            from bot.executors.ray.executor import RayExecutor

            return ExecutorConnection(partial(RayExecutor, section), partial(check_ray, section))
        case SlurmSection():
            from bot.executors.slurm.checks import check_slurm
            from bot.executors.slurm.executor import SlurmExecutor

            return ExecutorConnection(partial(SlurmExecutor, section), partial(check_slurm, section))
        case KubernetesSection():
            from bot.executors.kubernetes.checks import check_kubernetes
            from bot.executors.kubernetes.executor import KubernetesExecutor

            return ExecutorConnection(partial(KubernetesExecutor, section), partial(check_kubernetes, section))
        case _:
            assert_never(section)


def make_executors(config: Config, before: Callable[[str], Executor] | None = None) -> Callable[[str], Executor]:
    """Return what gives each executor by its name, made when first asked for; this machine's is that of *before*.

    One that config names no more is away: what was submitted there may well go on.
    """
    of_this_machine = to_executor(LocalSection()).make() if before is None else before(LOCAL)
    made: dict[str, Executor] = {}

    def executor_of(name: str) -> Executor:
        if config.runs_here(name):
            return of_this_machine
        if name not in config.executor:
            raise ExecutorAwayError(f"config has no [executor.{name}] any more, where a job runs: put it back")
        if name not in made:
            made[name] = to_executor(config.executor[name]).make()
        return made[name]

    return executor_of


def make_dead_man(config: Config) -> DeadMan | None:
    if config.dead_man is None:
        return None
    from bot.services.healthchecks.dead_man import HttpDeadMan

    return HttpDeadMan(config.dead_man)


def make_run_store(config: Config) -> RunStore:
    from bot.services.mlflow.example_tables import Columns
    from bot.services.mlflow.run_store import MlflowRunStore

    pipelines = config.pipeline.values()
    metrics = frozenset(name for pipeline in pipelines for name in pipeline.metrics)
    slices = frozenset(name for pipeline in pipelines for name in pipeline.judge.columns_read)
    return MlflowRunStore(config.mlflow, Columns(metrics, slices))


def make_step_reader(config: Config) -> StepReader:
    from bot.services.mlflow.run_store import MlflowRunStore

    return MlflowRunStore(config.mlflow)


def open_run_store(address: str, folder: Path) -> RunStore:
    """Open the MLflow at an address that no configuration names yet."""
    from bot.services.mlflow.run_store import MlflowRunStore

    return MlflowRunStore(MlflowSection(tracking_uri=absolute(address, folder)))

"""An embedded stand-in for Jira, Confluence, Slack and Trello: servers, and pages that a person can read."""

from bot.sandbox.faults.plans import (
    BREAKS,
    NO_ANSWERS,
    REFUSALS,
    TRICKLES,
    Fault,
    FaultKind,
    FaultPlan,
    RateLimit,
    RequestRecord,
    episode,
)
from bot.sandbox.rules import ConfluenceRules, JiraRules, Resolution, Service, SlackRules, TrelloRules
from bot.sandbox.seed import Account, Board, Channel, Project, SandboxSeed, Space
from bot.sandbox.server import RunningSandbox, serve

__all__ = [
    "BREAKS",
    "NO_ANSWERS",
    "REFUSALS",
    "TRICKLES",
    "Account",
    "Board",
    "Channel",
    "ConfluenceRules",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "JiraRules",
    "Project",
    "RateLimit",
    "RequestRecord",
    "Resolution",
    "RunningSandbox",
    "SandboxSeed",
    "Service",
    "SlackRules",
    "Space",
    "TrelloRules",
    "episode",
    "serve",
]

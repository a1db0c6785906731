"""An embedded stand-in for the services that Herald tells: servers, and pages that a person can read.

A service is a folder (those that only take cards share one, `robots/`): `tables.py` (its part of the one SQLite
file), `*_rows.py` and `*_json.py` (loading, and the JSON of what was loaded), `refusals.py` (how it says no), a
module for each kind of address, `html_pages.py` (what people see) and `routes.py`, which lists them all. What
services share: `web/` (requests, addresses, database, files, pages), `search/` (what a lagging search sees; the
grammar of JQL and CQL), `markup/` (each service's markup as safe HTML). Around them: `seed.py` (who and what is there
at first), `rules.py` (the knobs), `faults/` (what goes wrong), `schema.py` (all tables), `server.py`. A new address
is a handler under `@routes.on(...)` in its module; a new module stands in `routes.py`.
"""

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

"""What the pages in a browser show: finished strings, ways to other pages, and what charts are drawn of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.health import Health
from bot.domain.objects import Bound
from bot.domain.page_charts import Sparkline
from bot.domain.views import DigestLine, VerdictView


@dataclass(frozen=True, slots=True)
class LanguageLink:
    code: str
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page."""

    language: str
    home: str  # the way to the overview
    digests: str
    style: str
    script: str
    as_of: str
    instance: str
    languages: tuple[LanguageLink, ...] = ()
    policy: str = ""  # of a page that lies in a folder: nobody sends a header with it


@dataclass(frozen=True, slots=True)
class HealthTile:
    health: Health
    count: str
    href: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class OwnerLink:
    name: str
    href: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One pipeline at a glance."""

    title: str
    href: str
    health: Health
    owner: str
    line: DigestLine | None  # why it stands so, in a sentence; None: nothing is wrong
    verdict: VerdictView | None  # of its newest run, where nothing is wrong; None: there is none
    spark: Sparkline | None
    metric: str  # that is drawn, as the team calls it
    value: str  # its newest
    incidents: str  # how many stand; empty: none
    incident_href: str  # of the latest
    next_due: str  # empty where no clock says
    after: str  # the title of the pipeline that it waits for
    tickets: Mapping[str, Bound | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OverviewPage:
    frame: Frame
    tiles: tuple[HealthTile, ...]
    owners: tuple[OwnerLink, ...]
    rows: tuple[OverviewRow, ...]
    is_filtered: bool
    all_href: str
    troubles: tuple[DigestLine, ...] = ()  # of Herald itself


@dataclass(frozen=True, slots=True)
class SimplePage:
    """A page that says one thing: that there is no such page, that the state cannot be read, what the token is."""

    frame: Frame
    said: str  # its name among the words
    detail: str = ""
    asks: bool = False  # for the token
    action: str = ""  # where the token goes

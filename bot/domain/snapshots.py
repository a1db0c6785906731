"""What was decided, frozen: the record that every telling of it was made from, and that later pages show unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.incidents import Turn
from bot.domain.views import ChartView, DigestView, FactRow, MetricRow, RunView, Source, VerdictView


class SnapshotKind(StrEnum):
    INCIDENT = "incident"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class IncidentFace:
    """A turn of an incident in one language: what tickets, messages and pages say of it."""

    verdict: VerdictView
    run: RunView  # that the turn came with
    onset: RunView
    rows: tuple[MetricRow, ...]
    slices: tuple[MetricRow, ...]
    different: tuple[FactRow, ...]
    unknown: tuple[Source, ...]
    owner: str
    duration: str = ""


@dataclass(frozen=True, slots=True)
class IncidentBody:
    """A turn that people hear of."""

    turn: Turn
    faces: Mapping[str, IncidentFace]  # by language
    sentences: Mapping[str, str]
    chart: ChartView | None = None  # the numbers that were drawn


@dataclass(frozen=True, slots=True)
class DigestBody:
    """A digest as it was owed."""

    faces: Mapping[str, DigestView]


SnapshotBody = IncidentBody | DigestBody


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One record; what is in it is never changed."""

    snapshot_id: str
    as_of: datetime
    pipeline: str
    body: SnapshotBody
    incident_id: str | None = None
    run_id: str = ""
    is_whole: bool = True  # whether it reads as it was written, by its hash

    @property
    def kind(self) -> SnapshotKind:
        return SnapshotKind.INCIDENT if isinstance(self.body, IncidentBody) else SnapshotKind.DIGEST


def mint_snapshot_id(*parts: str) -> str:
    """Make the id of a record: the same turn, or the same digest, is frozen once."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]

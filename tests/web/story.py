"""A house with a few pipelines, some of them in trouble: what the pages show, made by real cycles over runs in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.runs import DataCard, ExampleTable, Run, RunResult, RunStatus
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import Database
from tests.memory_runs import MemoryRunStore

DAY = timedelta(days=1)
BEGAN = datetime(2026, 10, 20, 4, tzinfo=UTC)
PARTS = ("PRODUCE", "GROCERY", "DELI", "BAKERY", "DAIRY", "FROZEN", "HOUSEHOLD")
EXAMPLES = 280
FELL_IN = "PRODUCE"
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def metric(en: str, zh: str, why: str = "", **more: Any) -> dict[str, Any]:
    return {"name": {"en": en, "zh": zh}, **({"why": {"en": why, "zh": why}} if why else {}), **more}


NDCG = metric("Ranking quality", "排序质量", "Good products belong where people look.")
RECALL = metric("Recall of the first 100", "前 100 位召回率")
LATENCY = {"name": {"en": "Latency", "zh": "延迟"}, "unit": "ms", "max": 120, "direction": "down"}
HIT = metric("Hit rate", "命中率", "A hit is a basket that was foreseen.")

PIPELINES: dict[str, dict[str, Any]] = {
    "search-relevance": {
        "title": "Search relevance",
        "description": "The two-tower ranker behind the search box, fine-tuned every night.",
        "owner": "Ada Okafor",
        "metrics": {"ndcg_at_10": NDCG, "recall_at_100": RECALL, "latency_p95": LATENCY},
        "judge": {"slice_by": ["department"]},
    },
    "next-purchase": {
        "title": "Next purchase",
        "owner": "Ben Ruiz",
        "metrics": {"hit_rate_at_10": HIT},
    },
    "similar-items": {
        "title": "Similar items",
        "owner": "Chen Yu",
        "metrics": {"recall_at_100": RECALL},
    },
    "query-rewriting": {
        "title": "Query rewriting",
        "owner": "Ada Okafor",
        "metrics": {"ndcg_at_10": NDCG},
    },
    "feed-ranking": {
        "title": "Home feed",
        "owner": "Chen Yu",
        "metrics": {"ndcg_at_10": NDCG, "latency_p95": LATENCY},
    },
    "cold-start": {"title": "Cold start", "owner": "", "metrics": {"hit_rate_at_10": HIT}},
}
FALLS = {"search-relevance": 0.86, "next-purchase": 0.9}  # what is left of the level in the newest runs


@dataclass
class Story:
    """Feeds pipelines with runs, a day apart, and lets a Herald look at them."""

    folder: Path
    url: str
    days: int = 14
    pipelines: Sequence[str] = tuple(PIPELINES)
    web: dict[str, Any] = field(default_factory=dict)
    bad_days: int = 3
    now: datetime = BEGAN

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(7)
        self.store = MemoryRunStore()
        self.tracker, self.wiki = MemoryTracker(clock=self.clock), MemoryWiki()
        self.chat = MemoryChat(clock=self.clock)
        self.database = Database(self.url)
        for name in self.pipelines:
            self.store.create(name)
        self.herald = self._make()

    def clock(self) -> datetime:
        return self.now

    def tell(self) -> Herald:
        """Let all the days pass: the first ones are the past, the newest have something wrong in them."""
        past = self.days - self.bad_days - 1
        for day in range(self.days):
            self.now = BEGAN + day * DAY
            for number, name in enumerate(self.pipelines):
                if name != "cold-start":
                    self.feed(name, day, timedelta(minutes=7 * number))
            self.now += timedelta(hours=3)
            if day >= past:
                self.look()
        return self.herald

    def look(self) -> None:
        for name in self.pipelines:
            self.herald.cycle(name).run(self.now)
        assert self.herald.dispatcher.drain().failures == []

    def feed(self, name: str, day: int, later: timedelta) -> None:
        is_bad = day >= self.days - self.bad_days + (1 if name == "next-purchase" else 0)
        left = FALLS.get(name, 1.0) if is_bad else 1.0
        if name == "feed-ranking" and day == self.days - 1:
            left = 0.93
        gain = 1.06 if name == "similar-items" and day >= self.days - 2 else 1.0
        values: dict[str, float] = {}
        table = self._table(left)
        for number, metric in enumerate(PIPELINES[name]["metrics"]):
            if metric == "latency_p95":
                values[metric] = 96 + 3 * self.random.standard_normal()
            elif name == "search-relevance" and metric == "ndcg_at_10":
                values[metric] = float(table.metrics[metric].mean())
            else:
                level = (0.412, 0.731)[number] if number < 2 else 0.5
                values[metric] = level * left * gain * (1 + 0.006 * self.random.standard_normal())
        ended = self.now + later
        run = Run(
            f"{name[:4]}{day:028d}",
            f"nightly {day + 1}",
            RunStatus.FINISHED,
            ended - timedelta(minutes=42),
            ended,
            values,
            {
                "seed": str(day),
                "learning_rate": "3e-5",
                "negatives": "8" if is_bad and name == "search-relevance" else "16",
                "note": HOSTILE if name == "search-relevance" else "",
            },
            {"mlflow.source.git.commit": f"{'9f3c2e1' if is_bad else '4b7d0aa'}{'0' * 33}"},
            f"https://mlflow.example.com/#/runs/{name}-{day}",
        )
        card = DataCard(
            {"rows": 1_204_331.0 if is_bad and name == "search-relevance" else 1_391_870.0 + 13 * day},
            {"hash": "b" * 64 if is_bad and name == "search-relevance" else "a" * 64},
        )
        examples = table if name == "search-relevance" else None
        self.store.add(name, RunResult(run, card, examples))

    def _table(self, left: float) -> ExampleTable:
        """Make per-example results in which a fall is in one part alone."""
        parts = np.array([PARTS[i % len(PARTS)] for i in range(EXAMPLES)])
        base = np.random.default_rng(3).uniform(0.2, 0.7, EXAMPLES)
        share = 1.0 / len(PARTS)
        lost = 1 - (1 - left) / share * 0.95
        values = base * np.where(parts == FELL_IN, max(lost, 0.05), 1.0)
        values = np.clip(values + 0.02 * self.random.standard_normal(EXAMPLES), 0, 1)
        return ExampleTable(
            np.array([f"query{i:04d}" for i in range(EXAMPLES)]),
            np.ones(EXAMPLES),
            {"ndcg_at_10": values},
            {"department": parts},
        )

    def _make(self) -> Herald:
        address = "https://jira.example.com"
        places = {
            "tracker": "jira",
            "wiki": "confluence",
            "chat": "slack",
            "channel": "C1",
            "schedule": {"every": "6h"},
        }
        config = Config.model_validate(
            {
                "instance": "house",
                "web": self.web,
                "tracker": {"jira": {"url": address, "project": "SR", "token": "x"}},
                "wiki": {"confluence": {"url": address, "space": "SR", "token": "x"}},
                "chat": {"slack": {"kind": "slack", "token": "x", "locales": {"C1": "zh"}}},
                "digest": {"chat": "slack", "channel": "C1", "wiki": "confluence"},
                "store": {"url": self.url},
                "pipeline": {name: {"experiment": name, **places, **PIPELINES[name]} for name in self.pipelines},
            }
        )
        return make_herald(
            config,
            self.folder,
            around=Surroundings(self.clock, lambda _: None, lease_clock=lambda _tx: self.now),
            services=Services({"jira": self.tracker}, {"confluence": self.wiki}, {"slack": self.chat}),
            run_store=self.store,
            database=self.database,
        )

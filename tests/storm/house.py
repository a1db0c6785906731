"""What the storm rages over: the pipelines, the services each is told in, and the configuration that says so."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.sandbox import RunningSandbox
from tests.chaos.world import AGAIN, CHANNELS, INSTANCE, ONCE

METRIC = "ndcg"
JOB = "job"  # the pipeline that Herald runs itself; it tells nobody
STARTS = "job-starts"  # a line for each start of its job
SEARCH_LAG = 1.0  # seconds, of the stand-in; Herald is told twice that
LOOKS_EVERY = "3s"
ROOT = Path(__file__).parents[2]
PLACES = (  # tracker, wiki, chat and channel of the pipelines in turn
    ("jira", "confluence", "slack", CHANNELS[0]),
    ("trello", "confluence", "slack", CHANNELS[1]),
    ("jira_dc", "confluence_dc", "slack", CHANNELS[2]),
    ("jira", "confluence_dc", "hook_again", AGAIN),
    ("trello", "confluence_dc", "hook_once", ONCE),
    ("jira", "confluence", "slack", CHANNELS[1]),
    ("trello", "confluence_dc", "slack", CHANNELS[2]),
    ("jira_dc", "confluence", "slack", CHANNELS[0]),
)


@dataclass(frozen=True)
class House:
    """Pipelines by number, and what they are watched with."""

    pipelines: int
    timeout: str = "3s"  # of one request

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"watch{number}" for number in range(self.pipelines))

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.names, JOB)

    def place_of(self, name: str) -> tuple[str, str, str, str]:
        return PLACES[self.names.index(name) % len(PLACES)]

    def write(
        self, folder: Path, box: RunningSandbox, tracking_uri: str, experiments: Mapping[str, str] | None = None
    ) -> Path:
        """Write config.toml for one set of services; with *experiments* by name, also for the pipeline with a job."""
        config = self._config(box, tracking_uri)
        if experiments is not None:
            config["pipeline"][JOB] = _with_job(folder, experiments[JOB])
        path = folder / "config.toml"
        path.write_text("\n".join(_toml(config)) + "\n")
        return path

    def _config(self, box: RunningSandbox, tracking_uri: str) -> dict[str, Any]:
        cloud = {"email": box.email, "timeout": self.timeout}
        center = {"deployment": "datacenter", "timeout": self.timeout}
        lag = {"search_lag": f"{2 * SEARCH_LAG:g}s"}
        hook = {"kind": "webhook", "timeout": self.timeout}
        return {
            "instance": INSTANCE,
            "mlflow": {"tracking_uri": tracking_uri},
            "tracker": {
                "jira": {"url": box.jira_cloud_url, "project": box.project_key, **lag, **cloud},
                "jira_dc": {"url": box.jira_datacenter_url, "project": box.project_key, **lag, **center},
                "trello": {
                    "kind": "trello",
                    "url": box.trello_url,
                    "board": box.board_id,
                    "timeout": self.timeout,
                    **lag,
                },
            },
            "wiki": {
                "confluence": {"url": box.confluence_cloud_url, "space": box.space_key, **cloud},
                "confluence_dc": {"url": box.confluence_datacenter_url, "space": box.space_key, **center},
            },
            "chat": {
                "slack": {
                    "kind": "slack",
                    "url": box.slack_url,
                    "timeout": self.timeout,
                    "replies": True,
                    "charts": True,
                },
                "hook_once": hook,
                "hook_again": {**hook, "delivery": "at_least_once"},
            },
            "pipeline": {name: self._pipeline(name) for name in self.names},
        }

    def _pipeline(self, name: str) -> dict[str, Any]:
        tracker, wiki, chat, channel = self.place_of(name)
        return {
            "title": name.capitalize(),
            "owner": "Search",
            "experiment": name,
            "tracker": tracker,
            "wiki": wiki,
            "chat": chat,
            "channel": channel,
            "schedule": {"every": LOOKS_EVERY},
            "tickets": {"comment_every": "0s"},  # what is told must not hang on when it was judged
            "metrics": {METRIC: {"upper": 1.0}},
        }


def _with_job(folder: Path, experiment_id: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.storm.job", str(folder / STARTS), experiment_id]
    return {
        "experiment": JOB,
        "schedule": {"every": "4s"},
        "job": {"command": command, "cwd": str(ROOT)},
        "metrics": {METRIC: {}},
    }


def secrets(box: RunningSandbox, state_url: str) -> dict[str, str]:
    """Return the environment that holds what config.toml may not."""
    hook = box.slack_webhook_url.rsplit("/", 2)
    return {
        "HERALD_STORE__URL": state_url,
        "HERALD_TRACKER__JIRA__TOKEN": box.api_token,
        "HERALD_TRACKER__JIRA_DC__TOKEN": box.bearer_token,
        "HERALD_TRACKER__TRELLO__KEY": box.trello_key,
        "HERALD_TRACKER__TRELLO__TOKEN": box.trello_token,
        "HERALD_WIKI__CONFLUENCE__TOKEN": box.api_token,
        "HERALD_WIKI__CONFLUENCE_DC__TOKEN": box.bearer_token,
        "HERALD_CHAT__SLACK__TOKEN": box.slack_token,
        "HERALD_CHAT__HOOK_ONCE__WEBHOOK_URL": f"{hook[0]}/{ONCE}/{hook[2]}",
        "HERALD_CHAT__HOOK_AGAIN__WEBHOOK_URL": f"{hook[0]}/{AGAIN}/{hook[2]}",
    }


def _toml(values: Mapping[str, Any], *above: str) -> Iterator[str]:
    if above:
        yield f"[{'.'.join(above)}]"
    yield from (f"{key} = {json.dumps(each)}" for key, each in values.items() if not isinstance(each, dict))
    for key, each in values.items():
        if isinstance(each, dict):
            yield from _toml(each, *above, key)

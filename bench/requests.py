"""Counts the requests on the wire that telling takes: a new incident, a repeat, a cycle with nothing to say.

    python bench/requests.py

Everything goes to the sandbox from one Herald, whose caches are warm: it has told one incident before. The runs come
from memory, since reading MLflow is no service's request.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]  # or this would pass for `requests`

import argparse  # noqa: E402
import logging  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from datetime import UTC, datetime, timedelta  # noqa: E402
from typing import Any  # noqa: E402

import structlog  # noqa: E402

from bot.app import Herald, Surroundings, make_herald  # noqa: E402
from bot.config.models import Config  # noqa: E402
from bot.domain.runs import Run, RunStatus  # noqa: E402
from bot.sandbox import RunningSandbox, serve  # noqa: E402
from tests.memory_runs import MemoryRunStore  # noqa: E402

TOOLS = (("jira", "cloud"), ("jira", "datacenter"), ("trello", "cloud"), ("trello", "datacenter"))
# One for the picture of the pipeline's page; Data Center is asked first which is attached there.
MOST = {"a new incident": 11, "a repeat": 3, "a repeat whose run has a page": 8, "nothing to say": 0}
GOOD, BAD = (0.800, 0.804, 0.797, 0.802, 0.799), 0.60


@dataclass
class Watch:
    """A Herald that tells into the sandbox, and a run that ends whenever we say so."""

    herald: Herald
    sandbox: RunningSandbox
    runs: MemoryRunStore
    now: list[datetime]
    told: list[str] = field(default_factory=list)

    def run(self, value: float | None) -> list[str]:
        """Let a run end (or none, where *value* is None), let one cycle pass, and return what went over the wire."""
        self.now[0] += timedelta(minutes=30)
        if value is not None:
            name = f"run-{len(self.told) + 1}"
            self.told.append(name)
            ended = self.now[0] - timedelta(seconds=30)
            run = Run(f"{name}-{id(self):x}", name, RunStatus.FINISHED, ended, ended, {"ndcg": value}, {"seed": name})
            self.runs.add("search", run)
        before = len(self.sandbox.requests())
        self.herald.cycle("search").run(self.now[0])
        drained = self.herald.dispatcher.drain(timedelta(minutes=5))
        assert not drained.failures, drained.failures
        return [f"{each.service} {each.method} {each.path}" for each in self.sandbox.requests()[before:]]


@contextmanager
def watch(sandbox: RunningSandbox, tracker: str, deployment: str, *, wiki: bool) -> Iterator[Watch]:
    now, runs = [datetime.now(UTC)], MemoryRunStore()
    runs.create("search")

    def pause(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)

    with tempfile.TemporaryDirectory() as folder:
        config = Config.model_validate(configuration(sandbox, tracker, deployment, wiki=wiki))
        around = Surroundings(clock=lambda: now[0], pause=pause)
        herald = make_herald(config, Path(folder), around=around, run_store=runs)
        yield Watch(herald, sandbox, runs, now)
        herald.database.close()


def configuration(sandbox: RunningSandbox, tracker: str, deployment: str, *, wiki: bool) -> dict[str, Any]:
    cloud = deployment == "cloud"
    account = {"email": sandbox.email, "token": sandbox.api_token} if cloud else {"token": sandbox.bearer_token}
    jira_url = sandbox.jira_cloud_url if cloud else sandbox.jira_datacenter_url
    wiki_url = sandbox.confluence_cloud_url if cloud else sandbox.confluence_datacenter_url
    jira = {"kind": "jira", "url": jira_url, "deployment": deployment, "project": sandbox.project_key, **account}
    trello = {"kind": "trello", "url": sandbox.trello_url, "board": sandbox.board_id}
    trello |= {"key": sandbox.trello_key, "token": sandbox.trello_token}
    places = {"tracker": tracker, "chat": "slack", "channel": sandbox.channel_id} | ({"wiki": "wiki"} if wiki else {})
    name = f"Search {tracker} {deployment} {'' if wiki else 'alone'}"
    policy = {
        "tickets": {"comment_every": "0s", "reopen_within": "0s", "labels": ["regression"]},
        "recovery": {"runs": 1},
    }
    return {
        "instance": "bench",
        "tracker": {"jira": jira, "trello": trello},
        "wiki": {"wiki": {"url": wiki_url, "deployment": deployment, "space": sandbox.space_key, **account}},
        "chat": {"slack": {"kind": "slack", "url": sandbox.slack_url, "token": sandbox.slack_token}},
        "pipeline": {"search": {"title": name, "experiment": "search", "metrics": {"ndcg": {}}, **places, **policy}},
    }


def count(sandbox: RunningSandbox, tracker: str, deployment: str) -> dict[str, list[str]]:
    """Tell one incident to warm up and then another, and return the requests of each thing that is counted."""
    counted: dict[str, list[str]] = {}
    for wiki in (True, False):
        with watch(sandbox, tracker, deployment, wiki=wiki) as at:
            for value in (*GOOD, BAD, BAD, BAD, *GOOD[:2], BAD):
                at.run(value)
            first, repeat = at.run(BAD), at.run(BAD)
            at.run(GOOD[0])
            quiet = at.run(GOOD[1]) + at.run(GOOD[2]) + at.run(None)
            counted["a repeat whose run has a page" if wiki else "a repeat"] = repeat
            if wiki:
                counted["a new incident"], counted["nothing to say"] = first, quiet
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="print each request")
    wants_list = parser.parse_args().list
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    missed = False
    with serve(None) as sandbox:
        for tracker, deployment in TOOLS:
            print(f"{tracker}, Confluence {deployment}, Slack")
            counted = count(sandbox, tracker, deployment)
            for what, usual in MOST.items():
                found, most = counted[what], usual + (tracker == "trello" and usual > 0)
                missed |= len(found) > most
                print(f"  {what:<32}{len(found):>2}   (at most {most})")
                for line in found if wants_list else ():
                    print(f"      {line}")
    raise SystemExit(int(missed))


if __name__ == "__main__":
    main()

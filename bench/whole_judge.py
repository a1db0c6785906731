"""Judge series as the bot does, run by run with a baseline of what it accepted, in the protocol of ``score.py``.

    python score.py online --data seen --cmd "python -m bench.whole_judge --preset quiet --min-effect '2 %'"

``herald judge`` says what the runs of a series show together; the bot also holds each run by itself against the
accepted ones, confirms a bad run by the next, and learns a spread from a metric's kin. An alert is the run at which it
would file a ticket, or say that a fall went further.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bot.domain.judge import Assessment, Outcome, Reason, SeriesState, assess
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Policies, Preset, read_share
from bot.domain.runs import Baseline, Run, RunResult, RunStatus

BASELINE_RUNS = 20
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def judge_runs(values: list[float], policies: Policies) -> Iterator[Assessment]:
    """Yield what is said of each run, in order."""
    name = policies.metrics[0].name
    state, accepted = SeriesState(), list[RunResult]()
    for number, value in enumerate(values):
        ended = BEGAN + timedelta(days=number)
        run = RunResult(Run(f"run{number}", f"run {number}", RunStatus.FINISHED, ended, ended, metrics={name: value}))
        assessment = assess(state, run, Baseline(tuple(accepted[-BASELINE_RUNS:])), policies)
        state = assessment.state
        accepted += [run] if assessment.accepted else []
        yield assessment


def alerts(values: list[float], policies: Policies) -> list[int]:
    """Return the runs at which a ticket would be filed or a further fall told."""
    found, is_open = [], False
    for number, assessment in enumerate(judge_runs(values, policies)):
        finding = assessment.findings[0]
        is_bad = finding.outcome is Outcome.REGRESSED
        if is_bad and (not is_open or finding.reason is Reason.FELL_FURTHER):
            found.append(number)
        is_open = is_bad or (is_open and finding.outcome is Outcome.SUSPICIOUS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", type=Preset, default=Preset.QUIET)
    parser.add_argument("--min-effect", default="2 %")
    chosen = parser.parse_args()
    effect = read_share(chosen.min_effect) or MinEffect(float(chosen.min_effect), relative=False)
    for line in sys.stdin:
        record = json.loads(line)
        direction = Direction.UP if record.get("higher_is_better", True) else Direction.DOWN
        policy = MetricPolicy(record.get("metric", "m"), direction, effect)
        found = alerts(record["values"], Policies((policy,), preset=chosen.preset))
        print(json.dumps({"id": record["id"], "alerts": found}))


if __name__ == "__main__":
    main()

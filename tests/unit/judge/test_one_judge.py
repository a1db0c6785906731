"""One judge: the command says of anyone's numbers what the bot says of runs, and when it files a ticket."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bot.cli.judge_answers import finite, judge_lines
from bot.cli.judge_input import read_min_effect
from bot.config.models import Config
from bot.domain.incidents import IncidentState, Kind, SeriesKey
from bot.domain.judge import Reason
from bot.domain.policy import Preset
from bot.domain.whole_series import as_runs
from bot.judging.context import JudgingContext
from bot.judging.run_judge import RunJudge
from bot.reports.judge_json import finding_as_json
from bot.reports.judge_sentences import sentences_in
from bot.store import Database, contacts, incidents
from bot.store.contacts import Contact
from tests.memory_runs import MemoryRunStore
from tests.unit.state_samples import NOON


def noise_of(random: np.random.Generator, n: int) -> np.ndarray:
    """Draw noise of one of several kinds."""
    match int(random.integers(6)):
        case 0:
            return random.standard_t(3, n) / 3**0.5
        case 1:  # it resembles itself
            values = random.standard_normal(n)
            for i in range(1, n):
                values[i] = 0.6 * values[i - 1] + 0.8 * values[i]
            return values
        case 2:  # results that are logged again
            values = random.standard_normal(n)
            again = random.random(n) < 0.25
            for i in range(1, n):
                values[i] = values[i - 1] if again[i] else values[i]
            return values
        case 3:  # few values
            return np.round(random.standard_normal(n))
        case 4:  # failed runs
            return np.where(random.random(n) < 0.08, -20.0, random.standard_normal(n))
        case _:
            return random.standard_normal(n)


def draw(seed: int, longest: int) -> list[float | None]:
    """Draw a series that falls or rises somewhere, or does not; now and then a run lacks the metric."""
    random = np.random.default_rng(seed)
    n = int(random.integers(6, longest + 1))
    values = noise_of(random, n)
    for _ in range(int(random.integers(3))):
        values[int(random.integers(3, n)) :] -= random.choice([-2.0, 1.5, 3.0, 8.0])
    level = random.choice([0.5, 0.7])
    lacks = random.random(n) < 0.04
    return [
        None if lacking else round(v, 6) for v, lacking in zip((level + 0.01 * values).tolist(), lacks, strict=True)
    ]


def watch(context: JudgingContext, values: list[float | None]) -> tuple[list[dict], list[int]]:
    """Judge runs as a cycle judges new ones; return what the command would write of each, and which file a ticket."""
    said, filed, known, words = [], [], set(), sentences_in("en")
    with context.database.begin() as tx:
        contacts.save(tx, Contact(context.name, context.name, NOON, NOON))
    for number, run in enumerate(as_runs({} if v is None else {"ndcg": v} for v in values)):
        context.run_store.add(context.name, run)
        (judged,) = RunJudge(context).judge(run, None)
        (finding,) = judged.findings
        said.append(finite({"finding": finding_as_json(finding, words), "sentence": words.say_series(finding)}))
        with context.database.begin() as tx:
            standing = incidents.standing(tx, SeriesKey(context.name))
        now = {each.incident_id for each in standing if (each.kind, each.state) == (Kind.REGRESSED, IncidentState.OPEN)}
        if now - known or (now and finding.reason is Reason.FELL_FURTHER):
            filed.append(number)
        known = now  # one that is back, under the name that it had, is told anew
    return said, filed


def hold_together(database: Database, series: list[list[float | None]], preset: str, effect: str) -> None:
    section = {"tracker": "jira", "judge": {"preset": preset}, "metrics": {"ndcg": {"min_effect": effect}}}
    tracker = {"jira": {"url": "http://127.0.0.1:1", "project": "SR", "token": "x"}}
    pipelines = {f"{preset}-{number}": values for number, values in enumerate(series)}
    config = Config.model_validate(
        {
            "instance": "test",
            "tracker": tracker,
            "pipeline": {name: {"experiment": name, **section} for name in pipelines},
        }
    )
    asked = [
        json.dumps({"id": [name, end], "metric": "ndcg", "values": values[:end]})
        for name, values in pipelines.items()
        for end in (len(values) // 3, 2 * len(values) // 3, len(values))
    ]
    lines = judge_lines(asked, preset=Preset(preset), min_effect=read_min_effect(effect))
    answers = {tuple(answer["id"]): answer for answer in map(json.loads, lines)}
    for name, values in pipelines.items():
        context = JudgingContext(name, config, database, MemoryRunStore(), lambda: NOON, lambda _: None)
        said, filed = watch(context, values)
        for end in (len(values) // 3, 2 * len(values) // 3, len(values)):
            answer = answers[name, end]
            assert {key: answer[key] for key in ("finding", "sentence")} == said[end - 1], (name, end, values)
            assert answer["alerts"] == [number for number in filed if number < end], (name, end, values)


@pytest.mark.parametrize(("preset", "effect"), [("quiet", "2 %"), ("sensitive", "0 %")])
def test_the_command_says_what_the_bot_says_and_of_the_runs_that_file_a_ticket(sqlite_database, preset, effect):
    hold_together(sqlite_database, [draw(seed, 24) for seed in range(8)], preset, effect)


@pytest.mark.long
@pytest.mark.parametrize(("preset", "effect"), [("quiet", "2 %"), ("sensitive", "0 %")])
def test_the_command_and_the_bot_agree_on_hundreds_of_series(sqlite_database, preset, effect):
    hold_together(sqlite_database, [draw(seed, 60) for seed in range(1000, 1250)], preset, effect)

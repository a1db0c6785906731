"""Which samples there are: every kind of view, in the states that a template has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bot.domain.capabilities import TextForm
from bot.domain.judge.findings import Outcome
from bot.domain.objects import Bound
from bot.domain.page_views import IncidentDetail
from bot.domain.rerun_answers import Cause
from bot.domain.views import View
from bot.preview import samples
from bot.render.renderer import JudgedView
from bot.text.locales import Locale

Make = Callable[[samples.Words], View | JudgedView]


@dataclass(frozen=True, slots=True)
class Case:
    """A view with a name, and what its links lead to."""

    name: str
    view: View | JudgedView | IncidentDetail
    bound: Mapping[str, Bound | None] = field(default_factory=dict)
    only: TextForm | None = None  # the one tracker or chat that it goes to


_SAMPLES: Mapping[str, Make] = {
    "ticket: got worse": samples.ticket,
    "ticket: reruns show the change": samples.rerun_ticket,
    "ticket: reruns show that it was not the change": partial(
        samples.rerun_ticket, cause=Cause.OUTSIDE, baseline=("0.146",)
    ),
    "ticket: with examples": samples.ticket_with_examples,
    "ticket: beyond a limit": samples.breached_ticket,
    "ticket: slowly below the release": samples.decayed_ticket,
    "ticket: not comparable": samples.invalid_ticket,
    "ticket: job failed": samples.failed_ticket,
    "ticket: no runs come": samples.stale_ticket,
    "ticket: a cluster is away": samples.away_ticket,
    "comment: a cluster answers again": samples.away_over,
    "umbrella: two tickets": samples.umbrella,
    "umbrella: over": samples.umbrella_over,
    "comment: goes on": samples.repeat,
    "comment: recovered": samples.recovery,
    "comment: within its limit again": samples.kept_to_again,
    "comment: never was for certain": samples.withdrawn,
    "comment: fixed, as somebody said": samples.confirmed,
    "comment: not fixed": samples.reopened,
    "comment: no longer quiet": samples.said_again,
    "comment: is back": samples.returned,
    "comment: nobody has answered": samples.reminder,
    "comment: an experiment's result": samples.result,
    "answer: noise": samples.noise_answer,
    "answer: why": samples.why_answer,
    "answer: help": samples.help_answer,
    "answer: which change did it": samples.diagnosed_answer,
    "answer: everything that it can say": samples.answer_of_all_kinds,
    "run page: got worse": samples.run_page,
    "run page: suspicious": partial(samples.run_page, outcome=Outcome.SUSPICIOUS),
    "run page: as before": partial(samples.run_page, outcome=Outcome.OK),
    "archive page": samples.archive_page,
    "pipeline page": samples.pipeline_page,
    "ledger page": samples.ledger,
    "message: got worse": samples.message,
    "message: suspicious": samples.suspicious_message,
    "message: beyond a limit, once": samples.outside_message,
    "message: slowly below the release": samples.decayed_message,
    "message: recovered": samples.recovered_message,
    "message: never was for certain": samples.withdrawn_message,
    "message: job failed": samples.failed_message,
    "digest: a bad week": samples.digest,
    "digest: a quiet week": samples.quiet_digest,
    "digest: withdrawn": samples.digest_of_withdrawn,
    "digest: everything that it can say": samples.digest_of_all_kinds,
    "chart: of what fell": lambda _words: samples.chart(),
    "chart: on a pipeline's page": lambda _words: samples.pipeline_chart(),
    "chart: of a digest": lambda _words: samples.health(),
    "judge: a series": samples.judged_series,
    "judge: a whole series": samples.judged_stretches,
    "judge: two runs": samples.judged_pairs,
    "judge: a verdict": samples.verdict,
}


def sample_cases(locale: Locale) -> tuple[Case, ...]:
    """Return every sample in a language; one that has no samples of its own sees the English ones."""
    words = samples.WORDS.get(locale, samples.WORDS[Locale("en")])
    return tuple(Case(name, make(words), samples.BOUND) for name, make in _SAMPLES.items())

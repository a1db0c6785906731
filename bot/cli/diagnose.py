"""`herald diagnose`: reruns find out which change made an incident."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from bot.cli.opening import PATIENCE, make, say_of_template
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SecretsOption


def diagnose(
    incident: Annotated[str, typer.Argument(help="An incident's id, or the key of its ticket.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    stop: Annotated[
        bool,
        typer.Option(
            "--stop",
            help="End the diagnosis that is under way, with its rerun and without an answer; its ticket is told.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find out by reruns which change made an incident.

    The pipeline's job runs again with parts of it set as they were, as `[pipeline.NAME.diagnose]` says, until a cause
    is 95 % sure or the reruns are used up. The ticket is told. What was begun is gone on with when it is asked for
    again, and by `herald serve`. Ends with 1 where no rerun came to anything, and where another Herald is at work
    on the pipeline: that one goes on with it.
    """
    from bot.app import Surroundings
    from bot.cli.output.diagnose import (
        print_inquiry,
        say_of_rerun_under_way,
        say_that_another_is_at_work,
        say_that_it_goes_on,
    )
    from bot.cli.output.terminal import progress
    from bot.domain.diagnosis.inquiry import InquiryState
    from bot.domain.views import AnswerView
    from bot.judging.diagnosing import Diagnoser
    from bot.judging.inquiry_answers import answer_part, is_under_way, piece_trials_of, trials_of
    from bot.store import inquiries
    from bot.triage.by_hand import find_incident

    herald = make(config, secrets_dir, Surroundings(complain=say_of_template))
    with herald.database.begin() as tx:
        found = find_incident(tx, herald.config, incident, "diagnose")
        diagnoser = Diagnoser(herald.answering.desk(found.series.pipeline).context)
        had = inquiries.of_incident(tx, found.incident_id)
        was_under_way = bool(had) and is_under_way(tx, had[-1].inquiry)
        record = diagnoser.stop(tx, found) if stop else diagnoser.begin(tx, found, getpass.getuser())
    if not stop and had and had[-1].state is InquiryState.RUNNING:
        say_that_it_goes_on(record)
    is_busy = False
    if record.state is InquiryState.RUNNING:
        with progress(f"{found.series.pipeline}: reruns"):
            is_busy = herald.cycle(found.series.pipeline).diagnose().busy
    ended = None
    if stop and was_under_way:
        with progress("ending the rerun that is under way"):
            ended = herald.cycle(found.series.pipeline).end_stopped()
    if stop or record.state is InquiryState.RUNNING:
        with progress("telling"):
            herald.dispatcher.drain(PATIENCE)
    with herald.database.begin() as tx:
        record = inquiries.find(tx, record.inquiry.inquiry_id) or record
        trials, done = trials_of(tx, record.inquiry), piece_trials_of(tx, record.inquiry)
        is_over, locale = record.state is not InquiryState.RUNNING, diagnoser.context.locale
        parts = (answer_part(tx, herald.config, record, locale),) if is_over else ()
    told = herald.answer_text(found.series.pipeline, AnswerView(parts, "", "")) if parts else ""
    print_inquiry(record, trials, done, told, as_json=as_json)
    if ended is not None:
        say_of_rerun_under_way(ended=ended)
    if is_busy:
        say_that_another_is_at_work(found.series.pipeline)
    has_value = any(each.value is not None for each in trials) or any(each.value is not None for each in done)
    if is_busy or (is_over and not stop and not has_value and not record.inquiry.known):
        raise typer.Exit(1)

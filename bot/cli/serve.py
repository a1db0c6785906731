"""`herald serve`: every pipeline at its times, until stopped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer

from bot.cli.opening import make, read_config
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption
from bot.errors import HeraldError
from bot.runtime.json_lines import LogFormat


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    stop_jobs: Annotated[
        bool, typer.Option("--stop-jobs", help="When stopped, end the jobs that run, with all their processes.")
    ] = False,
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Show the pages there, and /healthz, /readyz and /metrics."),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="A line an event for people, or one JSON object each; else as log_format in the config."),
    ] = None,
) -> None:
    """Run every pipeline at its times.

    SIGTERM or Ctrl-C stops it within half a minute: what is under way is finished, the rest stays owed; jobs that run
    live on, and the next Herald adopts them. SIGHUP reads the configuration anew.
    """
    import signal

    from bot.app import Surroundings, reconfigure
    from bot.runtime.log import get_logger, set_up
    from bot.serve.loop import Server
    from bot.serve.shutdown import STOP_SECONDS, Orders, end_within, leave_at_once

    orders = Orders()
    stops = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: orders.ask_to_stop()) for number in stops}

    def leave_late() -> None:
        get_logger(__name__).warning("stopped in the midst of what hangs", seconds=STOP_SECONDS)
        leave_at_once()

    forget = end_within(STOP_SECONDS, stops, leave_late)
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: orders.ask_to_reload())
    set_up(logging.INFO, form=log_format or LogFormat.TEXT)
    try:
        herald = make(config, secrets_dir, Surroundings(stopping=orders.is_stopping))
    except BaseException as error:  # nothing is served, and whoever called goes on as it was
        forget()
        for number, handler in before.items():
            signal.signal(number, handler)
        if log_format is LogFormat.JSON and isinstance(error, HeraldError):
            get_logger(__name__).critical("not served", error=str(error))
            raise typer.Exit(1) from None
        raise
    form = log_format or herald.config.log_format
    set_up(logging.INFO, form=form)
    server = Server(herald, orders, lambda old: reconfigure(old, read_config(config, secrets_dir)[0]), stop_jobs)
    with _last_words(form), ExitStack() as beside:
        if http is not None:
            from bot.connections import make_step_reader
            from bot.reports.reader import open_reader
            from bot.web.app import make_app
            from bot.web.curves import StepCurves
            from bot.web.server import serving

            reader = open_reader(herald.config, herald.folder)
            beside.callback(reader.database.close)
            # Not before the loop goes round: until then MLflow's libraries are being imported.
            curves = StepCurves(make_step_reader(herald.config), lambda: server.last_round > 0)
            app = make_app(reader, server.ails, curves, server.lacks)
            beside.enter_context(serving(app, http, app.prepare))
        has_ended = server.run()
    if not has_ended:
        leave_at_once()


@contextmanager
def _last_words(form: LogFormat) -> Iterator[None]:
    """Let what ends the service be a line of JSON too, where all lines are."""
    from bot.runtime.log import get_logger

    try:
        yield
    except HeraldError as error:
        if form is not LogFormat.JSON:
            raise
        get_logger(__name__).critical("not served", error=str(error))
        raise typer.Exit(1) from None

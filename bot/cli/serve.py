"""`herald serve`: every pipeline at its times, until stopped."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.opening import make, read_config
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption
from bot.errors import ConfigError, HeraldError
from bot.runtime.json_lines import LogFormat

if TYPE_CHECKING:
    from bot.app import Herald
    from bot.config.models import Config
    from bot.serve.loop import Server
    from bot.serve.shutdown import Orders
    from bot.web.doorway import Doorway

_OFTEN = 2_000  # objects made between two looks for garbage, of a process that goes on for months


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

    from bot.runtime.left_out import left_out
    from bot.runtime.log import get_logger, set_up
    from bot.serve.shutdown import STOP_SECONDS, Orders, end_within, leave_at_once

    orders = Orders()
    stops = (signal.SIGTERM, signal.SIGINT)
    starting = True  # nothing is under way that a stop would have to wait for

    def stop(*_: object) -> None:
        orders.ask_to_stop()
        if starting:
            try:
                get_logger(__name__).info("stopped before anything was begun")
            finally:
                leave_at_once()

    before = {number: signal.signal(number, stop) for number in stops}

    def leave_late() -> None:
        get_logger(__name__).warning("stopped in the midst of what hangs", seconds=STOP_SECONDS)
        leave_at_once()

    forget = end_within(STOP_SECONDS, stops, leave_late)
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: orders.ask_to_reload())
    set_up(logging.INFO, form=log_format or LogFormat.TEXT)
    with ExitStack() as beside, _last_words(log_format):
        beside.enter_context(left_out("pandas"))  # MLflow and Arrow would import it, and nobody asks for a frame
        beside.enter_context(left_out("pygments"))  # Mako would, to colour errors that nobody looks at
        try:
            doorway = None if http is None else _open(http, beside)
            from bot.app import Surroundings  # what follows takes seconds to import

            herald = make(config, secrets_dir, Surroundings(stopping=orders.is_stopping))
        except BaseException:  # nothing is served, and whoever called goes on as it was
            forget()
            for number, handler in before.items():
                signal.signal(number, handler)
            raise
        form = log_format or herald.config.log_format
        set_up(logging.INFO, form=form)
        with _last_words(form):
            server = _make_server(herald, orders, doorway, beside, lambda: read_config(config, secrets_dir)[0])
            server.stop_jobs = stop_jobs
            starting = False
            gc.freeze()  # what was made so far stays: looks for garbage need not go over it
            gc.set_threshold(_OFTEN)
            has_ended = server.run()
    if not has_ended:
        leave_at_once()


def _open(place: str, beside: ExitStack) -> Doorway:
    """Answer whoever asks for health from now on: all else takes seconds to import."""
    from bot.web.doorway import Doorway
    from bot.web.server import serving

    doorway = Doorway()
    beside.enter_context(serving(doorway, place))
    return doorway


def _make_server(
    herald: Herald, orders: Orders, doorway: Doorway | None, beside: ExitStack, read: Callable[[], Config]
) -> Server:
    """Make what serves, and its pages where they are asked for."""
    from bot.app import load_for_work, reconfigure
    from bot.config.emptied import check_not_emptied
    from bot.serve.loop import Server

    def read_anew(old: Herald) -> Herald:
        config = read()
        check_not_emptied(old.config, config)
        return reconfigure(old, config)

    if doorway is None:
        return Server(herald, orders, read_anew)
    from bot.web.own_pages import OwnPages

    def reconfigured(old: Herald) -> Herald:
        new = read_anew(old)
        pages.show(new.config, new.folder)
        return new

    def load(config: Config) -> None:
        load_for_work(config)
        pages.prepare()

    server = Server(herald, orders, reconfigured, load=load)
    pages = OwnPages(
        doorway, server.ails, server.lacks, lambda: server.duties.leading.epoch is not None, lambda: server.is_ready
    )
    beside.callback(pages.close)
    pages.show(herald.config, herald.folder)
    return server


@contextmanager
def _last_words(form: LogFormat | None) -> Iterator[None]:
    """Let what ends the service be a line of JSON too, where all lines are."""
    from bot.runtime.log import get_logger

    try:
        yield
    except Exception as error:
        if form is not LogFormat.JSON or isinstance(error, typer.Exit):
            raise
        if isinstance(error, HeraldError):
            get_logger(__name__).critical("not served", error=str(error))
        else:
            get_logger(__name__).critical("broke", exc_info=error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None

"""The commands: what is read, what is printed, and the exit code."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot import __version__
from bot.errors import HeraldError, RunStoreError

if TYPE_CHECKING:
    from bot.app import Herald, Surroundings
    from bot.config.starter import Answers
    from bot.reports.reader import Reader
    from bot.store import Database
    from bot.store.outbox import Owed

app = typer.Typer(
    name="herald",
    help="Watches your experiments in MLflow, decides whether anything truly got worse, and tells the people who plan.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
chat_app = typer.Typer(help="Try a chat of the configuration.", no_args_is_help=True)
app.add_typer(chat_app, name="chat")
outbox_app = typer.Typer(help="Show what is owed to the services, and what is parked.", no_args_is_help=False)
app.add_typer(outbox_app, name="outbox")

_DRAIN_PATIENCE_SECONDS = 60
_OWED_A_PAGE = 20
_SANDBOX_PORT = 8790  # the same each time, so that configurations and bookmarks stay true
_INCIDENTS_NAMED = 3  # of each pipeline

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="HERALD_CONFIG", help="The configuration.", show_default="config.toml")
]
SecretsOption = Annotated[
    Path | None,
    typer.Option("--secrets-dir", envvar="HERALD_SECRETS_DIR", help="A folder with one file a secret."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Start no job, send nothing, change nothing: print what would be sent.")
]
NumberArgument = Annotated[int, typer.Argument(help="The number in the first column of `herald outbox`.")]
DEFAULT_CONFIG = Path("config.toml")
_at_the_end = ExitStack()  # of a command


def main() -> None:
    """Run a command; what goes wrong is one sentence on standard error and a non-zero exit code."""
    try:
        app(prog_name="herald")
    except HeraldError as error:
        for line in str(error).splitlines():
            print(f"herald: {line}", file=sys.stderr)  # noqa: T201  the one place that speaks of errors
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:  # noqa: BLE001  a fault of ours: what was at hand may be secret, so no traceback
        from bot.runtime.log import describe

        print(f"herald: broke: {describe(error)}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


def _show_version(wanted: bool) -> None:  # noqa: FBT001  typer's form of a callback
    if wanted:
        typer.echo(f"herald {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each step to standard error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    context.call_on_close(_at_the_end.close)
    from bot.runtime.log import set_up

    set_up(logging.INFO if verbose else logging.CRITICAL)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A pipeline of the configuration.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one cycle of one pipeline now.

    Its job runs (if it has one), new runs are judged, what is suspicious is confirmed, and what has to be told is told.
    Ends with 1 where something of that stays untold, or where its runs could not be looked at: what is owed is told
    then too.
    """
    from bot.app import Surroundings
    from bot.cli import output

    around = Surroundings(complain=_say_of_template)
    if dry_run:
        from bot.cli.dry_run import rehearse

        output.print_rehearsal(rehearse(*_read(config, secrets_dir), name, around), as_json=as_json)
        return
    from bot.pipeline.cycle import CycleReport
    from bot.reports.overview import filed_since

    herald = _make(config, secrets_dir, around)
    began = herald.around.clock()
    unseen: RunStoreError | None = None
    with output.progress(f"{name}: job and verdict") as advance:
        cycle = herald.cycle(name, advance)
        try:
            report = cycle.run(began, by_hand=True)
        except RunStoreError as error:  # what is owed is told all the same, this too where it has lasted
            unseen, report = error, CycleReport(unseen=str(error))
    with output.progress("telling"):
        drained = herald.dispatcher.drain(_patience())
    left = _count_left(herald, name, began)
    output.print_cycle(name, report, drained, left, filed_since(herald, name, began), as_json=as_json)
    if unseen is not None:
        raise unseen
    if report.busy or report.trouble or left:
        raise typer.Exit(1)


@app.command()
def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    stop_jobs: Annotated[
        bool, typer.Option("--stop-jobs", help="When stopped, end the jobs that run, with all their processes.")
    ] = False,
) -> None:
    """Run every pipeline at its times.

    SIGTERM or Ctrl-C stops it within half a minute: what is under way is finished, the rest stays owed; jobs that run
    live on, and the next Herald adopts them. SIGHUP reads the configuration anew.
    """
    import signal

    from bot.app import Surroundings, reconfigure
    from bot.runtime.log import set_up
    from bot.serve.loop import Server
    from bot.serve.shutdown import STOP_SECONDS, Orders, end_within, leave_at_once

    orders = Orders()
    stops = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: orders.ask_to_stop()) for number in stops}
    forget = end_within(STOP_SECONDS, stops, leave_at_once)
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: orders.ask_to_reload())
    set_up(logging.INFO)
    try:
        herald = _make(config, secrets_dir, Surroundings(stopping=orders.is_stopping))
    except BaseException:  # nothing is served, and whoever called goes on as it was
        forget()
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
    if not Server(herald, orders, lambda old: reconfigure(old, _read(config, secrets_dir)[0]), stop_jobs).run():
        leave_at_once()


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    name_all: Annotated[
        bool, typer.Option("--all", help="Name every open incident, not only the latest of each pipeline.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how every pipeline stands.

    Its last run and finding, when it is due next, and its open incidents with their tickets: the latest ones, and how
    many there are. With --json all of them.
    """
    from bot.cli import output
    from bot.reports.overview import overview

    limit = None if name_all or as_json else _INCIDENTS_NAMED
    output.print_status(overview(_open_reader(config, secrets_dir), limit), as_json=as_json)


@app.command()
def digest(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    since: Annotated[
        str | None, typer.Option(help="How far back to look, such as 7d.", show_default="the last digest, or 7d")
    ] = None,
    post: Annotated[bool, typer.Option("--post", help="Post it where the configuration says.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what those who plan the work should know, in at most 15 lines.

    What needs somebody, what got better, what is being watched, what comes next. With --post it is also told, as it is
    on schedule.
    """
    from bot.cli import output
    from bot.config.models import DIGEST
    from bot.reports.digest import compose_digest, owe_digest, preview

    herald = _make(config, secrets_dir) if post and not dry_run else _make_reader(config, secrets_dir)
    now = herald.around.clock()
    begin = None if since is None else now - _length(since)
    made = compose_digest(herald, begin)
    output.print_digest(made.view, preview(herald, made), as_json=as_json)
    if not post or dry_run:
        return
    if herald.config.digest is None:
        raise HeraldError("digest: is missing in the configuration; it says where to post: chat and channel, or wiki")
    if not owe_digest(herald, now, begin):
        typer.echo("herald: a quiet time, which the configuration skips: nothing was posted", err=True)
        return
    drained = herald.dispatcher.drain(_patience())
    if _count_left(herald, DIGEST, now):
        for words in drained.failures_of(DIGEST) or ["the digest is not delivered yet; see herald outbox"]:
            typer.echo(f"herald: {words}", err=True)
        raise typer.Exit(1)


@app.command()
def judge(
    file: Annotated[str, typer.Argument(help="A file, or - for standard input.")],
    form: Annotated[
        Literal["jsonl", "csv"] | None,
        typer.Option("--format", help="What the file holds.", show_default="csv for .csv and .tsv, else jsonl"),
    ] = None,
    preset: Annotated[Literal["quiet", "sensitive"], typer.Option(help="How readily a fall is told.")] = "quiet",
    lower_is_better: Annotated[
        list[str] | None, typer.Option(help="A CSV column in which lower is better; may be repeated.")
    ] = None,
    min_effect: Annotated[
        str, typer.Option(help="Changes up to this size are never told: '2 %', or 0.005 in the metric's own unit.")
    ] = "0",
    locale: Annotated[Literal["en", "zh"], typer.Option(help="The language of the sentences.")] = "en",
) -> None:
    """Judge anyone's numbers.

    JSON lines are answered in kind: {"id", "values"} with the runs at which a fall is told, with "mode": "offline" with
    change points, {"id", "baseline", "candidate"} with a verdict; each answer has the finding's numbers and a sentence.
    A CSV has an order or time column and one column a metric; it is answered by a table.
    """
    from bot.cli import judge_file as lines
    from bot.domain.policy import Preset

    try:
        effect = lines.read_min_effect(min_effect)
        with sys.stdin if file == "-" else Path(file).open(encoding="utf-8", newline="") as read:
            if form == "csv" or (form is None and file.lower().endswith((".csv", ".tsv"))):
                columns = lower_is_better or []
                held = lines.bounded(read, most=lines.MOST_CSV)
                judged = lines.judge_csv(held, preset=Preset(preset), min_effect=effect, lower_is_better=columns)
                lines.print_table(judged, locale)
            else:
                held = lines.bounded(read)
                for answer in lines.judge_lines(held, preset=Preset(preset), min_effect=effect, locale=locale):
                    sys.stdout.write(answer + "\n")
    except (lines.LinesError, OSError, UnicodeDecodeError) as error:
        raise HeraldError(f"{file}: {getattr(error, 'strerror', None) or error}") from None


@outbox_app.callback(invoke_without_command=True)
def outbox(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    page: Annotated[int | None, typer.Option(min=1, help="Which page of what is owed.", show_default="1")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many a page has.", show_default="20")] = None,
    list_all: Annotated[bool, typer.Option("--all", help="List everything that is owed, a line each.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is owed, and what is parked with the service's words.

    First how much by service and reason, then a page of it, what is parked first. With --json all of it, or the page
    that --page and --limit name, as one array.
    """
    from bot.cli import outbox_output
    from bot.store import backlog

    if context.invoked_subcommand is not None:
        return
    herald = _make_reader(config, secrets_dir)
    is_paged = page is not None or limit is not None
    number, size = page or 1, limit or _OWED_A_PAGE
    with herald.database.begin() as tx:
        if as_json:
            owed = backlog.page(tx, size, (number - 1) * size) if is_paged else backlog.each_listed(tx)
            outbox_output.print_owed_as_json(owed)
            return
        piles = backlog.piles(tx)
        outbox_output.print_piles(piles)
        if list_all:
            outbox_output.print_lines(backlog.each_listed(tx))
            return
        total = sum(pile.count for pile in piles)
        outbox_output.print_page(backlog.page(tx, size, (number - 1) * size), number=number, limit=size, total=total)


@outbox_app.command("show")
def show_effect(
    number: NumberArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all about one effect, the service's complaints field by field."""
    from bot.cli import outbox_output

    outbox_output.print_effect(_effect(_make_reader(config, secrets_dir), number), as_json=as_json)


@outbox_app.command()
def retry(
    number: Annotated[
        int | None, typer.Argument(help="The number in the first column of `herald outbox`.", show_default=False)
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    retry_all: Annotated[bool, typer.Option("--all", help="Everything that is parked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a parked effect back into the queue and try it now, with what else is owed about the same incident.

    With --all everything that is parked; ends with 1 where something is parked still, or not delivered yet.
    """
    from bot.cli import outbox_output
    from bot.store.outbox import Among, EffectState

    if (number is None) is not retry_all:
        raise HeraldError("outbox retry: should have either a number, the first column of `herald outbox`, or --all")
    if number is None:
        _retry_all(_make(config, secrets_dir), as_json=as_json)
        return
    herald = _set_effect(_make(config, secrets_dir), number, EffectState.PENDING)
    effect = _effect(herald, number).effect
    replace(herald.dispatcher, among=Among(effect.lane, effect.incident_id)).drain(_patience())
    tried = _effect(herald, number)
    outbox_output.print_effect(tried, as_json=as_json)
    if tried.state is not EffectState.DELIVERED:
        raise typer.Exit(1)


def _retry_all(herald: Herald, *, as_json: bool) -> None:
    from bot.cli import outbox_output
    from bot.store import outbox as store

    with herald.database.begin() as tx:
        numbers = store.retry_all(tx, herald.around.clock())
    drained = herald.dispatcher.drain(_patience())
    tried = [_effect(herald, number) for number in numbers]
    outbox_output.print_retried(tried, drained.delivered, as_json=as_json)
    if any(each.state is not store.EffectState.DELIVERED for each in tried):
        raise typer.Exit(1)


@chat_app.command("test")
def say_test(
    name: Annotated[
        str | None, typer.Argument(help="A chat of the configuration; may be left out where there is one.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="The channel.", show_default="those that pipelines and the digest name")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
) -> None:
    """Post one test message to each channel of a chat, and say where it stands.

    Nothing is posted twice: where it is not known whether a message arrived, that is said, and ends with 1.
    """
    from bot.cli.try_chat import try_chat

    read, _ = _read(config, secrets_dir)
    failed = False
    for tried in try_chat(read, name, channel):
        typer.echo(tried.said, err=not tried.ok)
        failed |= not tried.ok
    if failed:
        raise typer.Exit(1)


@outbox_app.command()
def cancel(
    number: NumberArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drop an effect for good."""
    from bot.cli import outbox_output
    from bot.store.outbox import EffectState

    herald = _set_effect(_make(config, secrets_dir), number, EffectState.CANCELLED)
    outbox_output.print_effect(_effect(herald, number), as_json=as_json)


@app.command()
def init(  # noqa: PLR0917  a command's options are named by whoever types them
    config: ConfigOption = DEFAULT_CONFIG,
    mlflow: Annotated[str | None, typer.Option(help="The address of MLflow.")] = None,
    experiment: Annotated[str | None, typer.Option(help="The experiment to watch.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="A metric to judge; may be given more than once.")] = None,
    direction: Annotated[
        str | None, typer.Option(help="up where higher is better, down where lower is: for all metrics given.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="How often to look for new runs: 10m, 1h, 1d.")] = None,
    release: Annotated[
        str | None, typer.Option(help="What runs are held against too: models:/NAME@ALIAS or a run's id; '' for none.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who owns it, as people should read it.")] = None,
    tracker: Annotated[str | None, typer.Option(help="Where tickets go: jira, trello or none.")] = None,
    jira_url: Annotated[str | None, typer.Option(help="The address of Jira.")] = None,
    email: Annotated[str | None, typer.Option(help="The account of the API token, on Atlassian's cloud.")] = None,
    project: Annotated[str | None, typer.Option(help="The key of the Jira project.")] = None,
    board: Annotated[str | None, typer.Option(help="The letters after /b/ in the Trello board's address.")] = None,
    wiki: Annotated[str | None, typer.Option(help="Where reports go: confluence or none.")] = None,
    confluence_url: Annotated[str | None, typer.Option(help="The address of Confluence.")] = None,
    space: Annotated[str | None, typer.Option(help="The key of the Confluence space.")] = None,
    chat: Annotated[str | None, typer.Option(help="Where messages go: slack, webhook or none.")] = None,
    channel: Annotated[str | None, typer.Option(help="The id of the channel.")] = None,
    secrets_dir: SecretsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print one that explains every key, and ask nothing.")
    ] = False,
) -> None:
    """Write a configuration from a few questions.

    Each question is asked unless its option answers it. Ends by running doctor, once the secrets are set.
    """
    from bot.app import open_run_store
    from bot.cli.questions import Given, ask
    from bot.config.starter import our_example

    if example:
        typer.echo(our_example().read_text(encoding="utf-8"), nl=False)
        return

    folder = config.resolve().parent
    if config.exists() and not force:
        raise HeraldError(f"{config}: is there already; --force replaces it")
    given = Given(
        {
            "mlflow": mlflow,
            "experiment": experiment,
            "metric": " ".join(metric) if metric else None,
            "direction": direction,
            "every": every,
            "release": release,
            "owner": owner,
            "tracker": tracker,
            "jira-url": jira_url,
            "email": email,
            "project": project,
            "board": board,
            "wiki": wiki,
            "confluence-url": confluence_url,
            "space": space,
            "chat": chat,
            "channel": channel,
        }
    )
    _begin(config, ask(given, lambda address: open_run_store(address, folder)), secrets_dir)


def _begin(path: Path, answers: Answers, secrets_dir: Path | None) -> None:
    """Write the configuration, say which secrets it needs, and look at what it leans on."""
    from bot.cli import output
    from bot.config.file import check_config, load_config
    from bot.config.starter import secrets_of, write_config
    from bot.doctor.checkup import examine
    from bot.errors import ConfigError
    from bot.runtime.clock import wall_clock

    text = write_config(answers)
    check_config(path, text)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HeraldError(f"{path}: cannot be written: {error.strerror}") from None
    typer.echo(f"{path} is written.")
    try:
        config = load_config(path, secrets_dir)
    except ConfigError:
        typer.echo("Now set its secrets, as environment variables or as files in --secrets-dir (in small letters):")
        for name in secrets_of(answers):
            typer.echo(f"  {name}")
        typer.echo("Then `herald doctor` looks at every connection.")
        return
    if not output.print_examined(examine(config, path.resolve().parent, wall_clock), as_json=False):
        raise typer.Exit(1)


@app.command()
def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Make what is missing and safe to make: Trello lists and labels, parent pages."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every connection, permission and name, and say what to do.

    Nothing is posted, filed or changed, unless --fix says so. Ends with 1 where something is wrong.
    """
    from bot.cli import output
    from bot.doctor.checkup import examine
    from bot.runtime.clock import wall_clock

    if not output.print_examined(examine(*_read(config, secrets_dir), wall_clock, fix=fix), as_json=as_json):
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
) -> None:
    """Copy Herald's state into one file, while Herald may be at work."""
    from bot.store.backup import back_up

    count = back_up(_make_reader(config, secrets_dir).database, file)
    typer.echo(f"{file}: {count} rows")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `herald backup` wrote.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of a state that is there.")] = False,
) -> None:
    """Bring a backup back, into SQLite or PostgreSQL, while no Herald is at work.

    What was owed then is looked for in the services before it is sent, and runs that ended since are read as the past.
    """
    from bot.store.backup import restore as bring_back

    herald = _make(config, secrets_dir)
    count = bring_back(herald.database, file, herald.around.clock(), replace=replace)
    typer.echo(f"{herald.database.address}: {count} rows")


@app.command()
def sandbox(
    database: Annotated[Path, typer.Option(help="Where the sandbox keeps its state.")] = Path("sandbox.db"),
    port: Annotated[
        int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = _SANDBOX_PORT,
) -> None:
    """Serve stand-ins for the services.

    Jira, Confluence, Slack and Trello, with pages to look at, until Ctrl-C.
    """
    from bot.cli import output
    from bot.sandbox import serve as serve_sandbox

    if not database.absolute().parent.is_dir():
        raise HeraldError(f"--database {database}: there is no folder {database.parent}")
    with ExitStack() as serving:
        try:
            running = serving.enter_context(serve_sandbox(database, port=port))
        except OSError as error:
            raise HeraldError(f"--port {port}: cannot be used: {error.strerror or error}") from None
        account = f"{running.email}, API token {running.api_token}"
        rows = [
            ("Jira Cloud", running.jira_cloud_url, f"{account}; project {running.project_key}"),
            ("Jira Data Center", running.jira_datacenter_url, f"personal access token {running.bearer_token}"),
            ("Confluence Cloud", running.confluence_cloud_url, f"{account}; space {running.space_key}"),
            ("Confluence Data Center", running.confluence_datacenter_url, f"token {running.bearer_token}"),
            ("Slack", running.slack_url, f"bot token {running.slack_token}; channel {running.channel_id}"),
            ("Slack webhook", running.slack_webhook_url, "none: the address is the secret"),
            (
                "Trello",
                running.trello_url,
                f"key {running.trello_key}, token {running.trello_token}; board {running.board_id}",
            ),
        ]
        output.print_addresses(rows, running.url)
        threading.Event().wait()


@app.command()
def demo(
    workspace: Annotated[Path, typer.Option(help="A folder for everything the demo makes.")] = Path("herald-demo"),
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="Leave the sandbox running at the end.", show_default="at a terminal"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole story on real data.

    Seven runs against the sandbox, one of them spoiled: one ticket, its reports, its message. A second call in the same
    workspace goes on where the first one ended.
    """
    from bot.demo.story import tell

    tell(workspace, wait=sys.stdout.isatty() if wait is None else wait, as_json=as_json)


@outbox_app.command()
def reconcile(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare what we believe with what the services hold.

    Tickets that were deleted, moved or filed twice, pages that were renamed; after the state was lost, everything that
    carries our markers is known again. A service that refuses keeps the others from nothing; it is named, and the
    command ends with 1.
    """
    from bot.cli import outbox_output
    from bot.delivery.reconciliation import look, repair

    herald = _make_reader(config, secrets_dir) if dry_run else _make(config, secrets_dir)
    looked = look(herald)
    if not dry_run:
        looked = replace(looked, unseen=looked.unseen + repair(herald, looked.repairs))
        herald.dispatcher.drain(_patience())
    outbox_output.print_repairs(looked, dry_run=dry_run, as_json=as_json)
    if looked.unseen:
        raise typer.Exit(1)


def _read(config: Path, secrets_dir: Path | None) -> tuple[Any, Path]:
    from bot.config.file import load_config, secrets_of
    from bot.runtime.log import journal

    found = load_config(config, secrets_dir)
    journal.hide(secrets_of(found))
    return found, config.resolve().parent


def _make(config: Path, secrets_dir: Path | None, around: Surroundings | None = None) -> Herald:
    from bot.app import make_herald

    return _until_the_end(make_herald(*_read(config, secrets_dir), around=around))


def _say_of_template(words: str) -> None:
    typer.echo(f"herald: a template of yours is broken, and Herald's own was used: {words}", err=True)


def _open_reader(config: Path, secrets_dir: Path | None) -> Reader:
    """Open the state for a command that needs nothing else."""
    from bot.reports.reader import open_reader

    reader = open_reader(*_read(config, secrets_dir))
    _at_the_end.callback(reader.database.close)
    _tell_of_nothing(reader.database)
    return reader


def _make_reader(config: Path, secrets_dir: Path | None) -> Herald:
    """Build a Herald for a command that only looks; says so where there is nothing to look at yet."""
    from bot.app import make_reader

    herald = _until_the_end(make_reader(*_read(config, secrets_dir)))
    _tell_of_nothing(herald.database)
    return herald


def _tell_of_nothing(database: Database) -> None:
    if database.is_stand_in:
        typer.echo(f"herald: {database.address}: there is no state yet; the first run makes it", err=True)


def _until_the_end(herald: Herald) -> Herald:
    """Let the state be closed when the command has ended."""
    _at_the_end.callback(herald.close)
    return herald


def _count_left(herald: Herald, pipeline: str, began: datetime) -> int:
    from bot.store import outbox as store

    with herald.database.begin() as tx:
        return store.count_left(tx, pipeline, began)


def _length(text: str) -> timedelta:
    from bot.sections import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise HeraldError(f"--since: {text!r} {error}") from None


def _patience() -> timedelta:
    return timedelta(seconds=_DRAIN_PATIENCE_SECONDS)


def _set_effect(herald: Herald, number: int, state: Any) -> Herald:
    from bot.store import outbox as store

    with herald.database.begin() as tx:
        found = store.set_state(tx, number, state, herald.around.clock())
    if not found:
        raise HeraldError(f"outbox: {number} is not owed; `herald outbox` lists what is")
    return herald


def _effect(herald: Herald, number: int) -> Owed:
    from bot.store import outbox as store

    with herald.database.begin() as tx:
        found = store.find(tx, number)
    if found is None:
        raise HeraldError(f"outbox: there is no effect {number}; `herald outbox` lists what is owed")
    return found

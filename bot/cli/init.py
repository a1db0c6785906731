"""`herald init`: a configuration out of a few questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption
from bot.errors import HeraldError

if TYPE_CHECKING:
    from bot.config.starter import Answers


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
    chat: Annotated[
        str | None,
        typer.Option(
            help="Where messages go: slack, teams, feishu, feishu_webhook, dingtalk, dingtalk_webhook, wecom, mail, "
            "webhook or none."
        ),
    ] = None,
    app: Annotated[str | None, typer.Option(help="The id of Feishu's app, or the key of DingTalk's.")] = None,
    smtp_host: Annotated[str | None, typer.Option(help="The server that sends mail.")] = None,
    sender: Annotated[str | None, typer.Option(help="Whom mail comes from: Herald <herald@example.com>.")] = None,
    smtp_user: Annotated[str | None, typer.Option(help="The user of that server; '' where it asks for none.")] = None,
    channel: Annotated[str | None, typer.Option(help="The id of the channel or group; of mail, the addresses.")] = None,
    secrets_dir: SecretsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
    replay: Annotated[
        bool | None,
        typer.Option("--replay/--no-replay", help="End by showing what would have been filed in the last 90 days."),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print one that explains every key, and ask nothing.")
    ] = False,
) -> None:
    """Write a configuration from a few questions.

    Each question is asked unless its option answers it. Ends by running doctor, once the secrets are set, and by
    offering a replay.
    """
    from bot.cli.questions import Given, ask
    from bot.config.starter import our_example
    from bot.connections import open_run_store

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
            "metric": "".join(f"{name}," for name in metric) if metric else None,  # a name may have spaces within
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
            "app": app,
            "smtp-host": smtp_host,
            "sender": sender,
            "smtp-user": smtp_user,
            "channel": channel,
        }
    )
    is_well = _begin(config, ask(given, lambda address: open_run_store(address, folder)), secrets_dir)
    _offer_replay(config, secrets_dir, wanted=replay)
    if not is_well:
        raise typer.Exit(1)


def _offer_replay(config: Path, secrets_dir: Path | None, *, wanted: bool | None) -> None:
    """Show what the new configuration would have filed, where somebody is there who wants to see that."""
    from bot.cli.replay import replay

    if wanted is None and sys.stdin.isatty():
        wanted = typer.confirm("Show what it would have filed in the last 90 days?", default=True)
    if wanted:
        replay(None, config, secrets_dir)
    else:
        typer.echo("`herald replay` shows what it would have filed on the history that is there.")


def _begin(path: Path, answers: Answers, secrets_dir: Path | None) -> bool:
    """Write the configuration, say which secrets it needs, and look at what it leans on; False where that is amiss."""
    from bot.cli.output.checks import print_examined
    from bot.config.file import check_config, load_config
    from bot.config.starter import secrets_of, write_config
    from bot.doctor import examine
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
        return True
    return print_examined(examine(config, path.resolve().parent, wall_clock), as_json=False)

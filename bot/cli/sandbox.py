"""`herald sandbox`: stand-ins for the services, with pages to look at."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bot.errors import HeraldError

_PORT = 8790  # the same each time, so that configurations and bookmarks stay true


def sandbox(
    database: Annotated[Path, typer.Option(help="Where the sandbox keeps its state.")] = Path("sandbox.db"),
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = _PORT,
) -> None:
    """Serve stand-ins for the services.

    Jira, Confluence, Slack, Trello, Teams, Feishu, DingTalk, WeCom and mail, with pages to look at, until Ctrl-C.
    """
    from bot.sandbox import serve as serve_sandbox

    if not database.absolute().parent.is_dir():
        raise HeraldError(f"--database {database}: there is no folder {database.parent}")
    with ExitStack() as serving:
        try:
            running = serving.enter_context(serve_sandbox(database, port=port))
        except OSError as error:
            raise HeraldError(f"--port {port}: cannot be used: {error.strerror or error}") from None
        account, ada = f"{running.email}, API token {running.api_token}", running.seed.people[0]
        robots = running.seed.robots
        rows = [
            ("Jira Cloud", running.jira_cloud_url, f"{account}; project {running.project_key}"),
            ("Jira Data Center", running.jira_datacenter_url, f"personal access token {running.bearer_token}"),
            ("Confluence Cloud", running.confluence_cloud_url, f"{account}; space {running.space_key}"),
            ("Confluence Data Center", running.confluence_datacenter_url, f"token {running.bearer_token}"),
            ("Slack", running.slack_url, f"bot token {running.slack_token}; channel {running.channel_id}"),
            ("Slack webhook", running.slack_webhook_url, "none: the address is the secret"),
            ("Teams webhook", running.teams_webhook_url, "none: the address is the secret"),
            ("Feishu", running.feishu_url, f"app {robots.feishu_app}, {robots.app_secret}; chat {robots.feishu_chat}"),
            ("Feishu webhook", running.feishu_webhook_url, f"signing secret {robots.signing_secret}"),
            (
                "DingTalk",
                running.dingtalk_url,
                f"app {robots.dingtalk_app}, {robots.app_secret}; group {robots.dingtalk_group}",
            ),
            ("DingTalk webhook", running.dingtalk_webhook_url, f"signing secret {robots.signing_secret}"),
            ("WeCom webhook", running.wecom_webhook_url, "none: the address is the secret"),
            ("Mail", f"127.0.0.1, port {running.mail_port}", 'none: security = "none"'),
            (
                "Trello",
                running.trello_url,
                f"key {running.trello_key}, token {running.trello_token}; board {running.board_id}",
            ),
        ]
        tokens = f"Data Center {ada.bearer}; Slack {ada.slack_token}; Trello {ada.trello_token}"
        answering = f"Jira Cloud {ada.email}, API token {ada.api_token}; {tokens}"
        rows.append((f"{ada.display_name}, who answers", "those of the services", answering))
        _print_addresses(rows, running.url)
        threading.Event().wait()


def _print_addresses(rows: Sequence[tuple[str, str, str]], pages: str) -> None:
    """Print where services are, what they ask for, and where their pages are."""
    from rich.markup import escape

    from bot.text.tables import Stacking, WholeConsole

    table = Stacking("service", "address", "credentials")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = WholeConsole()
    table.print(console)
    console.print(f"Pages to look at: {pages}   Ctrl-C ends it.")

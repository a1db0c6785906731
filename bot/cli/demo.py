"""`herald demo`: the whole story on real data, against the sandbox."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.options import JsonOption


def demo(
    workspace: Annotated[Path, typer.Option(help="A folder for everything the demo makes.")] = Path("herald-demo"),
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="Leave the sandbox running at the end.", show_default="at a terminal"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole story on real data.

    Six runs against the sandbox, two of them spoiled: one ticket, its reports, its message, and reruns that find out
    which change did it. A second call in the same workspace goes on where the first one ended.
    """
    from bot.cli.output.demo import print_outcome
    from bot.demo.story import tell

    tell(workspace, partial(print_outcome, as_json=as_json), wait=sys.stdout.isatty() if wait is None else wait)

"""`herald triage`: what people answered and what is quiet by it, read now, said by hand, and taken back."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.opening import PATIENCE, make, open_state, say_of_template
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SecretsOption

if TYPE_CHECKING:
    from bot.app import Herald
    from bot.domain.views import AnswerView
    from bot.triage.by_hand import ByHand
    from bot.triage.statements import Matter

app = typer.Typer(help="Show and change what is quiet by people's answers.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def triage(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    list_all: Annotated[bool, typer.Option("--all", help="List what has ended, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is quiet by people's answers.

    Who said so, why, until when, and where answers could not be read.
    """
    from bot.cli.output.triage import print_rules
    from bot.reports.quiet import find_quiet

    if context.invoked_subcommand is not None:
        return
    print_rules(find_quiet(open_state(config, secrets_dir), with_ended=list_all), as_json=as_json)


@app.command()
def read(config: ConfigOption = DEFAULT_CONFIG, secrets_dir: SecretsOption = None, as_json: JsonOption = False) -> None:
    """Read now what people answered, and answer it.

    One round over every tracker and chat, as `herald serve` makes them again and again. Ends with 1 where one of them
    could not be asked.
    """
    from bot.cli.output.terminal import progress
    from bot.cli.output.triage import print_round

    herald = _open(config, secrets_dir)
    with progress("reading answers"):
        report = herald.triage.run()
    with progress("telling"):
        herald.dispatcher.drain(PATIENCE)
    print_round(report, as_json=as_json)
    if report.troubles:
        raise typer.Exit(1)


@app.command()
def say(
    incident: Annotated[str, typer.Argument(help="An incident's id, or the key of its ticket.")],
    words: Annotated[str, typer.Argument(help="A command as on a ticket, such as 'noise 30d seeds differ'.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer by hand, as in a comment on the ticket.

    The ticket is told, and who said so. `help` lists the commands.
    """
    herald = _open(config, secrets_dir)
    _tell(herald, *_by_hand(herald).say(incident, words), as_json=as_json)


@app.command()
def undo(
    number: Annotated[int, typer.Argument(help="The number in the first column of `herald triage`.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an answer back.

    What comes next is judged and told as if it had never been given; what it kept quiet is told where it still stands.
    """
    herald = _open(config, secrets_dir)
    _tell(herald, *_by_hand(herald).undo(number), as_json=as_json)


def _open(config: ConfigOption, secrets_dir: SecretsOption) -> Herald:
    from bot.app import Surroundings

    return make(config, secrets_dir, Surroundings(complain=say_of_template))


def _by_hand(herald: Herald) -> ByHand:
    from bot.domain.rules import Person
    from bot.triage.by_hand import ByHand

    return ByHand(herald.answering, Person(getpass.getuser()))


def _tell(herald: Herald, matter: Matter, view: AnswerView, *, as_json: bool) -> None:
    from bot.cli.output.triage import print_answer

    herald.dispatcher.drain(PATIENCE)
    print_answer(herald.answer_text(matter.pipeline, view), view, as_json=as_json)

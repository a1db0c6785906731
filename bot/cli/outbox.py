"""`herald outbox`: what is owed to the services, what is parked, and what brings both sides together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.opening import PATIENCE, make, make_only_reading
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SecretsOption
from bot.errors import HeraldError

if TYPE_CHECKING:
    from bot.app import Herald
    from bot.store.owed import EffectState, Owed

NumberArgument = Annotated[int, typer.Argument(help="The number in the first column of `herald outbox`.")]
_OWED_A_PAGE = 20

app = typer.Typer(help="Show what is owed and what is parked.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def outbox(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    page: Annotated[int | None, typer.Option(min=1, help="Which page of what is owed.", show_default="1")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many a page has.", show_default="20")] = None,
    list_all: Annotated[bool, typer.Option("--all", help="List everything that is owed, a line each.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is owed and what is parked.

    With the service's words. First how much by service and reason, then a page of it, what is parked first. With
    --json all of it, or the page that --page and --limit name, as one array.
    """
    from bot.cli.output import outbox as output
    from bot.store import backlog

    if context.invoked_subcommand is not None:
        return
    herald = make_only_reading(config, secrets_dir)
    is_paged = page is not None or limit is not None
    number, size = page or 1, limit or _OWED_A_PAGE
    with herald.database.begin() as tx:
        if as_json:
            owed = backlog.page(tx, size, (number - 1) * size) if is_paged else backlog.each_listed(tx)
            output.print_owed_as_json(owed)
            return
        piles = backlog.piles(tx)
        output.print_piles(piles)
        if list_all:
            output.print_lines(backlog.each_listed(tx))
            return
        total = sum(pile.count for pile in piles)
        output.print_page(backlog.page(tx, size, (number - 1) * size), number=number, limit=size, total=total)


@app.command("show")
def show_effect(
    number: NumberArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one effect, complaints field by field."""
    from bot.cli.output import outbox as output

    output.print_effect(_effect(make_only_reading(config, secrets_dir), number), as_json=as_json)


@app.command()
def retry(
    number: Annotated[
        int | None, typer.Argument(help="The number in the first column of `herald outbox`.", show_default=False)
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    retry_all: Annotated[bool, typer.Option("--all", help="Everything that is parked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a parked effect back and try it now.

    What else is owed about the same incident is tried, too. With --all everything that is parked; ends with 1 where
    something is parked still, or not delivered yet.
    """
    from bot.cli.output import outbox as output
    from bot.store.claims import Among
    from bot.store.owed import EffectState

    if (number is None) is not retry_all:
        raise HeraldError("outbox retry: should have either a number, the first column of `herald outbox`, or --all")
    if number is None:
        _retry_all(make(config, secrets_dir), as_json=as_json)
        return
    herald = _set_effect(make(config, secrets_dir), number, EffectState.PENDING)
    effect = _effect(herald, number).effect
    replace(herald.dispatcher, among=Among(effect.lane, effect.incident_id)).drain(PATIENCE)
    tried = _effect(herald, number)
    output.print_effect(tried, as_json=as_json)
    if tried.state is not EffectState.DELIVERED:
        raise typer.Exit(1)


def _retry_all(herald: Herald, *, as_json: bool) -> None:
    from bot.cli.output import outbox as output
    from bot.store import outbox as store
    from bot.store import owed

    with herald.database.begin() as tx:
        numbers = store.retry_all(tx, herald.around.clock())
    drained = herald.dispatcher.drain(PATIENCE)
    tried = [_effect(herald, number) for number in numbers]
    output.print_retried(tried, drained.delivered, as_json=as_json)
    if any(each.state is not owed.EffectState.DELIVERED for each in tried):
        raise typer.Exit(1)


@app.command()
def cancel(
    number: NumberArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drop an effect for good."""
    from bot.cli.output import outbox as output
    from bot.store.owed import EffectState

    herald = _set_effect(make(config, secrets_dir), number, EffectState.CANCELLED)
    output.print_effect(_effect(herald, number), as_json=as_json)


@app.command()
def reconcile(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare what we believe with the services.

    Tickets that were deleted, moved or filed twice, pages that were renamed; after the state was lost, everything that
    carries our markers is known again. A service that refuses keeps the others from nothing; it is named, and the
    command ends with 1.
    """
    from bot.cli.output import outbox as output
    from bot.delivery.reconciliation import look, repair

    herald = make_only_reading(config, secrets_dir) if dry_run else make(config, secrets_dir)
    looked = look(herald.reconciliation)
    if not dry_run:
        looked = replace(looked, unseen=looked.unseen + repair(herald.reconciliation, looked.repairs))
        herald.dispatcher.drain(PATIENCE)
    output.print_repairs(looked, dry_run=dry_run, as_json=as_json)
    if looked.unseen:
        raise typer.Exit(1)


def _set_effect(herald: Herald, number: int, state: EffectState) -> Herald:
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

"""`herald precision`: how often tickets were right."""

from __future__ import annotations

from bot.cli.opening import open_state
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SecretsOption


def precision(
    config: ConfigOption = DEFAULT_CONFIG, secrets_dir: SecretsOption = None, as_json: JsonOption = False
) -> None:
    """Show how often the tickets of each metric were right.

    By what people answered: fixed, against noise and expected. The share comes with its interval of 95 %, since a
    handful of tickets says little. A metric below its pipeline's tickets.precision_floor is marked.
    """
    from bot.cli.output.precision import print_precision
    from bot.reports.precision import floors, tallies

    herald = open_state(config, secrets_dir)
    with herald.database.begin() as tx:
        found = tallies(tx, herald.config)
    print_precision(found, floors(herald.config), as_json=as_json)

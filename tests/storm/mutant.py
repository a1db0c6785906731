"""`herald`, as it is or with something taken out that keeps deliveries single: so the storm shows that it would notice."""

from __future__ import annotations


def main(mutation: str | None) -> None:
    if mutation is not None:
        from tests.chaos.worker import MUTATIONS

        MUTATIONS[mutation]()
    from bot.cli import main as herald

    herald()

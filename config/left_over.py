"""Find variables in a shell that `config env` exported for an `up` that has ended or has been restarted since."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from config.schema.settings import load_settings, variable
from config.services import FILLED_IN, Services, read_services, running_services
from pipeline.model.errors import ConfigInvalid


def left_over_variables() -> str | None:
    """Return a message that names the left-over variables and the remedy; None if there are none."""
    try:
        home = load_settings().home.absolute()
        services, running = read_services(home), running_services(home)
    except ConfigInvalid:
        return None
    if services is None:
        return None
    names = [name for name, equal in _compared(services).items() if equal is (running is None)]
    if not names:
        return None
    listed = ", ".join(names)
    if running is None:
        said, then = _of_ended(home), _unset(names)
    else:
        said = f"not of the `tradewire up` that runs in {home}"
        then = f'{_unset(names)}, and run eval "$(TRADEWIRE_HOME={home} tradewire config env)"'
    return f"this shell sets {listed}, {said}. If you did not set this yourself, {then}"


def ended_variables(home: Path, names: Sequence[str]) -> str:
    """Return a message about *names*, which are left over from the `up` in *home* that has ended, and the remedy.

    Other variables of the shell that have the values of that `up` are named too.
    """
    services = None
    with suppress(ConfigInvalid):
        services = read_services(home)
    equal = [] if services is None else [name for name, equal in _compared(services).items() if equal]
    listed = list(dict.fromkeys([*names, *equal]))
    return f"this shell sets {', '.join(listed)}, {_of_ended(home)}: {_unset(listed)}"


def _of_ended(home: Path) -> str:
    return f"of the `tradewire up` in {home}, which has ended"


def _compared(services: Services) -> dict[str, bool]:
    """Return whether the values are equal, for each variable that both the shell and *services* have."""
    held, revealed = {variable(field): field for field in FILLED_IN}, services.revealed()
    found = {name: os.environ[name] for name in held if os.environ.get(name)}
    return {name: value == revealed[held[name]] for name, value in found.items() if revealed[held[name]] is not None}


def _unset(names: list[str]) -> str:
    return f"run `unset {' '.join(names)}`"

"""Find variables in a shell that `config env` exported for an `up` that has ended or has been restarted since."""

import os

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
        said, then = f"of the `tradewire up` in {home}, which has ended", _unset(names)
    else:
        said = f"not of the `tradewire up` that runs in {home}"
        then = f'{_unset(names)}, and run eval "$(TRADEWIRE_HOME={home} tradewire config env)"'
    return f"this shell sets {listed}, {said}. If you did not set this yourself, {then}"


def _compared(services: Services) -> dict[str, bool]:
    """Return whether the values are equal, for each variable that both the shell and *services* have."""
    held, revealed = {variable(field): field for field in FILLED_IN}, services.revealed()
    found = {name: os.environ[name] for name in held if os.environ.get(name)}
    return {name: value == revealed[held[name]] for name, value in found.items() if revealed[held[name]] is not None}


def _unset(names: list[str]) -> str:
    return f"run `unset {' '.join(names)}`"

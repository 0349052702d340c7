"""Name why a position was closed, as one plain word, from the signal of the exit. Pure."""

from pipeline.model.signals import Action
from pipeline.model.sources import OWN, is_own

_BY_CAUSE = {"flat_by": "flat_by_close", "flip": "reverse", "hand": "person", "protect": "stop"}
_BY_ACTION = {Action.FLAT: "flat", Action.REVERSE: "reverse"}


def exit_reason(*, source: str, action: Action, by_person: bool, by_limit: bool) -> str:
    """Return `signal`, `flat`, `reverse`, `person`, `flatten`, `loss_limit`, `flat_by_close`, `stop` or another cause.

    *by_limit* is true if a limit, and not a person, asked to close everything.
    """
    if is_own(source):
        cause = source.removeprefix(OWN)
        if cause == "flatten" and by_limit:
            return "loss_limit"
        return _BY_CAUSE.get(cause, cause)
    return _BY_ACTION.get(action) or ("person" if by_person else "signal")

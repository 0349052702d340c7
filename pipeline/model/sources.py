"""Name the sources of signals that have a meaning of their own: those of our own orders, and of practice."""

from decimal import Decimal

#: The source of practice signals.
PRACTICE = "replay"
#: The sources of our own orders begin with this.
OWN = "tradewire:"
#: The source of probes; their strategy has the same name. Routing filters and repeat checks skip probes, since they are
#: not signals of a trader's strategy.
PROBE = f"{OWN}probe"
#: The source of the entries that open the other side after a position was closed.
FLIP = f"{OWN}flip"
#: The source of the signals with which tradewire tries an exit again. Such a signal is forced if the exit was.
RETRY = f"{OWN}exit"
#: The source of the stop orders that protect positions. If the price has passed the stop, an exit follows at once.
PROTECT = f"{OWN}protect"
#: The source of the further tries of such an exit. They close what it would have closed.
PROTECT_RETRY = f"{OWN}protect_exit"
#: The source of the closes that a person asks for by hand, and of their further tries.
HAND = f"{OWN}hand"
#: The source_id of such a close begins with this. That of a further try begins with the id of the first execution.
HAND_CLOSE = "close:"


def is_own(source: str | None) -> bool:
    """Return whether a source is our own: its signals are orders that tradewire itself decided."""
    return source is not None and source.startswith(OWN)


def has_final_limit(source: str, price: Decimal | None) -> bool:
    """Return whether *price* is a person's limit for a close: it is neither moved by the collar nor given up."""
    return source == HAND and price is not None

"""A stage is a broker's server that the contract suite runs against. Each registered adapter needs one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from workers.brokers.protocol import Broker


class Kind(StrEnum):
    """The kind of requests to which a fault happens."""

    SUBMIT = "submit"
    READ = "read"


class Fault(StrEnum):
    """A fault that happens to every request of a kind until the stage is healed."""

    OVER_RATE = "over_rate"
    #: The server answers with an error, before or after it accepted the order.
    ERROR = "error"
    ERROR_AFTER = "error_after"
    #: The connection is cut without an answer.
    CUT = "cut"
    CUT_AFTER = "cut_after"
    #: The order is accepted, and no answer ever comes.
    SILENCE_AFTER = "silence_after"
    #: The order is accepted, and the answer cannot be read.
    NONSENSE_AFTER = "nonsense_after"


class Stage(Protocol):
    """A broker's server that a test controls, with one new account that has money."""

    def open(self, *, timeout_s: float = 5.0, right_keys: bool = True) -> Broker:
        """Open the adapter at the account."""

    def open_at_a_closed_port(self) -> Broker:
        """Open the adapter at an address that refuses connections."""

    def price(self, symbol: str, price: Decimal) -> None:
        """Let *symbol* trade at *price* from now on."""

    def transfer(self, amount: Decimal, *, day: date | None = None) -> None:
        """Pay cash in, or out if *amount* is negative. Without *day* this happens now.

        With *day*, the broker reports the transfer with this date in New York, and without a time.
        """

    def fault(self, kind: Kind, fault: Fault) -> None:
        """Let *fault* happen to every request of *kind*."""

    def fill_in_parts(self) -> None:
        """Fill a part of the next order that can fill; the rest never fills."""

    def hide_new_orders(self) -> None:
        """Let reads lag: they do not show new orders until `heal`."""

    def block_account(self) -> None:
        """Let the broker refuse every order of this account, though its keys are right."""

    def heal(self) -> None:
        """End all faults, delays and blocks, but keep prices and cash."""

    def close(self) -> None:
        """Call `heal`, and close all connections."""

"""Decide what another person does at the accounts during each storm, as a pure function of a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle

from pipeline.entrypoints.drill.schedule import storms

#: A manual order is placed this many seconds before the exit that it disturbs.
_BEFORE_EXIT_S = 1.0
#: The fewest and the most seconds that a manual order stays, and that an account may only close positions.
_LASTS_S = (4.0, 8.0)
#: At most this many exits of a storm are disturbed.
_MOST = 6


class HandAct(StrEnum):
    """The kinds of manual actions at an account."""

    #: Reserve one share of the position by a sell order whose limit price is not reached.
    SELL_ORDER = "sell order by hand"
    #: Place an order opposite to the exit: a buy order whose limit price is not reached.
    BUY_ORDER = "buy order by hand"
    #: Buy a fraction of a share, and keep it.
    FRACTION = "fraction by hand"
    #: Let the account only close positions.
    LIQUIDATION_ONLY = "liquidation only"


_ORDERS = (HandAct.SELL_ORDER, HandAct.BUY_ORDER, HandAct.FRACTION)


@dataclass(frozen=True, kw_only=True)
class HandEvent:
    """Something that is done by hand, *at_s* seconds after the first signal."""

    at_s: float
    #: When it is undone. A bought fraction is kept.
    until_s: float
    act: HandAct
    #: The account's key at the exchange.
    account: str
    #: The symbol of an order; empty for other acts.
    symbol: str = ""


def by_hand(
    seed: int, *, seconds: float, accounts: Sequence[str], exits: Sequence[tuple[float, str]]
) -> list[HandEvent]:
    """Return the events of a drill of *seconds*, in order of time. *exits* has each exit's due time and symbol."""
    dice = random.Random(f"drill by hand {seed}")  # noqa: S311 -- not a secret
    events = []
    for begins, ends in storms(seconds):
        within = [each for each in exits if begins + _BEFORE_EXIT_S <= each[0] < ends]
        chosen = dice.sample(within, min(_MOST, len(within)))
        for act, (due, symbol) in zip(cycle(_ORDERS), chosen, strict=False):
            events.append(_event(dice, act, accounts, due - _BEFORE_EXIT_S, symbol))
        events.append(_event(dice, HandAct.LIQUIDATION_ONLY, accounts, dice.uniform(begins, (begins + ends) / 2)))
    return sorted(events, key=lambda event: event.at_s)


def _event(dice: random.Random, act: HandAct, accounts: Sequence[str], at_s: float, symbol: str = "") -> HandEvent:
    until_s = at_s + dice.uniform(*_LASTS_S)
    return HandEvent(at_s=at_s, until_s=until_s, act=act, account=dice.choice(list(accounts)), symbol=symbol)

"""Compute an account's equity, margins and buying power. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from workers.exchange.accounts import ZERO, ExchangeAccount

_HALF = Decimal("0.5")
#: The maintenance margin of shares, as a part of their value. That of coins is their whole value.
_MAINTENANCE = Decimal("0.3")
#: A short sale holds back buying power for at least 3 % more than the market price.
SHORT_MARGIN = Decimal("1.03")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The account's figures, in dollars."""

    equity: Decimal
    long_value: Decimal
    #: Zero or less.
    short_value: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    #: For shares, with the account's multiplier.
    buying_power: Decimal
    #: For shares held overnight, with a multiplier of two at most.
    regt_buying_power: Decimal
    #: For coins, which cannot be bought on margin.
    non_marginable: Decimal


def totals(account: ExchangeAccount, price_of: Callable[[str], Decimal | None]) -> Totals:
    """Return the figures of *account* at the current prices. A position without a price counts at its cost."""
    long_value = short_value = crypto = ZERO
    for position in account.positions.values():
        price = price_of(position.symbol)
        value = position.cost if price is None else position.qty * price
        if position.is_crypto:
            crypto += value
        elif value > 0:
            long_value += value
        else:
            short_value += value
    gross = long_value - short_value
    equity = account.cash + long_value + short_value + crypto
    free = equity - crypto - account.reserved_crypto
    used = gross + account.reserved
    margin = min(account.multiplier, Decimal(2))
    return Totals(
        equity=equity,
        long_value=long_value + crypto,
        short_value=short_value,
        initial_margin=gross * _HALF + crypto,
        maintenance_margin=gross * _MAINTENANCE + crypto,
        buying_power=max(account.multiplier * free - used, ZERO),
        regt_buying_power=max(margin * free - used, ZERO),
        non_marginable=max(free - used / margin, ZERO),
    )

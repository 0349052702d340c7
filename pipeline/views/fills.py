"""Follow fills, and compute the profit of a fill that closes a position."""

from dataclasses import dataclass
from decimal import Decimal

from config.schema.fields import plain
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.views.feed_change import FeedChange

_ZERO, _CENT = Decimal(0), Decimal("0.01")


@dataclass
class _Bought:
    #: Signed: below zero is short.
    quantity: Decimal = _ZERO
    price: Decimal = _ZERO


class Fills:
    """Open positions by executor and symbol, built from the fills given to `outcome`; earlier fills are not known."""

    def __init__(self) -> None:
        self._bought: dict[tuple[str, str], _Bought] = {}

    def outcome(self, change: FeedChange) -> str | None:
        """Return the text of a complete fill, with its profit if known; None for any other change."""
        quantity, price = change.filled_quantity, change.filled_average_price
        if change.to_state is not State.FILLED or not quantity or price is None:
            return None
        bought = self._bought.setdefault((change.executor_id, change.symbol), _Bought())
        side = {Action.BUY: 1, Action.SELL: -1}.get(change.action, -1 if bought.quantity > 0 else 1)
        said = f"{plain(quantity)} at {plain(price)}"
        # If a fill closes more than the known position, its profit is not known.
        if bought.quantity * side < 0 and quantity <= abs(bought.quantity):
            earned = ((bought.price - price) * quantity * side).quantize(_CENT)
            said += f", {'loss' if earned < 0 else 'profit'} {abs(earned)}"
            bought.quantity += quantity * side
        elif bought.quantity * side < 0:
            bought.quantity = _ZERO
        else:
            whole = abs(bought.quantity) + quantity
            bought.price = (bought.price * abs(bought.quantity) + price * quantity) / whole
            bought.quantity = whole * side
        return said

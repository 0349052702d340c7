"""Search the unused objects of a body for the class and the exchange of the symbol, and for orders."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.fields import is_absent
from pipeline.intake.webhooks.message import InnerOrder, RefusalCode
from pipeline.intake.webhooks.values import shown
from pipeline.intake.webhooks.vocabulary import Term, joined, may_name_an_action, term_with
from pipeline.model.errors import InvalidSignal

#: The keys of a symbol and of an action, in every dialect.
SYMBOL = ("symbol", "ticker", "pair", "instrument")
ACTION = ("action", "order_action", "side", "direction", "signal")
_SYMBOLS, _ACTIONS = frozenset(map(joined, SYMBOL)), frozenset(map(joined, ACTION))
_EXCHANGE = "exchange"
# These keys decide whether an order opens or closes.
_POSITIONS = frozenset({"marketposition", "prevmarketposition"})


class InnerTerms:
    """The classes and the exchange of the symbol, and the orders, that were found in the values passed to `read`."""

    def __init__(self) -> None:
        self.classes: list[tuple[str, str]] = []
        self.exchange: tuple[str, str] | None = None
        self.orders: list[InnerOrder] = []

    def read(self, key: str, value: Any) -> None:
        """Read the objects in *value*.

        Raises:
            InvalidSignal: the objects name two exchanges, or a position.
        """
        for each in objects_in(value):
            self._read_order(each)
            for inner_key, inner in each.items():
                if joined(inner_key) in _POSITIONS and not is_absent(inner):
                    message = f"{inner_key}: it is not read inside {key[:60]}: write it beside the action"
                    raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
                self.read_symbol(inner_key, inner)
                self.read(inner_key, inner)

    def read_symbol(self, key: str, value: Any) -> None:
        """Read *value* when it is the class or the exchange of the symbol."""
        if not isinstance(value, str) or is_absent(value):
            return
        if term_with(key, value) is Term.ASSET_CLASS:
            self.classes.append((key, value))
        elif joined(key) == _EXCHANGE:
            if self.exchange is not None and self.exchange[1].upper() != value.upper():
                message = f"{key}: {shown(value)} is another exchange than {shown(self.exchange[1])}: send one of them"
                raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
            self.exchange = key, value

    def _read_order(self, fields: Mapping[str, Any]) -> None:
        symbol = next((value for key, value in fields.items() if joined(key) in _SYMBOLS), None)
        for key, value in fields.items():
            word = values.action_word(value) if isinstance(value, str) else ""
            if word in values.ACTIONS and (joined(key) in _ACTIONS or may_name_an_action(key)):
                self.orders.append(InnerOrder(key=key, word=word, symbol=symbol if isinstance(symbol, str) else None))


def objects_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the value if it is an object, or the objects in it if it is an array."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from objects_in(each)

"""Do at the exchange what another person would do by hand with the accounts' keys, and undo it again."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import structlog

from pipeline.entrypoints.drill.by_hand_schedule import HandAct, HandEvent
from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.ledgers import BY_HAND
from pipeline.entrypoints.drill.processes import DrillFailed, wait_until
from pipeline.entrypoints.drill.sending import PRICE

log = structlog.get_logger(__name__)

#: Seconds after which a failed request is repeated: the exchange's faults also hit these requests.
_PAUSE_S = 0.25
_UNDONE_WITHIN_S = 30.0
_FRACTION = "0.4"


@dataclass(kw_only=True)
class ByHand:
    """Carries out the events. *tally* counts what was done."""

    exchange: ExchangeAdmin
    events: Sequence[HandEvent]
    tally: dict[str, int] = field(default_factory=dict)
    #: How many events have been tried at least once.
    _begun: int = 0
    #: Events that were tried, but are not done yet.
    _trying: list[HandEvent] = field(default_factory=list)
    #: Events to undo, because they may have been done.
    _undoing: list[HandEvent] = field(default_factory=list)
    _next_at: float = 0.0
    #: The accounts and symbols in which a fraction was bought and kept.
    bought: set[tuple[str, str]] = field(default_factory=set)

    def advance(self, at_s: float) -> None:
        """Do and undo what is due *at_s* seconds after the first signal."""
        if time.monotonic() < self._next_at:
            return
        while self._begun < len(self.events) and self.events[self._begun].at_s <= at_s:
            self._trying.append(self.events[self._begun])
            self._undoing.append(self.events[self._begun])
            self._begun += 1
        self._trying = [event for event in self._trying if at_s < event.until_s and not self._done(event)]
        self._undoing = [event for event in self._undoing if at_s < event.until_s or not self._undone(event)]
        self._next_at = time.monotonic() + _PAUSE_S

    def end(self, maintain: Callable[[], None]) -> None:
        """Begin no more events, and undo those that were begun; *maintain* restarts processes that end meanwhile.

        Raises:
            DrillFailed: an event could not be undone in time.
        """
        self._begun = len(self.events)

        def undone() -> bool:
            maintain()
            self.advance(math.inf)
            return not self._undoing

        wait_until(undone, within_s=_UNDONE_WITHIN_S, what="nothing is left that was done by hand")

    def _done(self, event: HandEvent) -> bool:
        try:
            if event.act is HandAct.LIQUIDATION_ONLY:
                self.exchange.restrict(event.account, liquidation_only=True)
            elif not self.exchange.place(event.account, order_of(event)):
                return False
        except httpx.HTTPError:
            return False
        if event.act is HandAct.FRACTION:
            self.bought.add((event.account, event.symbol))
        self.tally[event.act] = self.tally.get(event.act, 0) + 1
        log.info("drill.broke", what=event.act.value, at_s=event.at_s)
        return True

    def _undone(self, event: HandEvent) -> bool:
        try:
            if event.act is HandAct.LIQUIDATION_ONLY:
                self.exchange.restrict(event.account, liquidation_only=False)
                return True
            open_orders = [
                order
                for order in self.exchange.orders(event.account)
                if order.client_order_id == client_order_id(event) and order.is_open
            ]
            for order in open_orders:
                self.exchange.cancel(event.account, order.id)
        except (httpx.HTTPError, DrillFailed):
            return False
        return not open_orders


def client_order_id(event: HandEvent) -> str:
    """Return an id that no other event has."""
    return f"{BY_HAND}{event.account}-{event.symbol}-{event.at_s:.3f}"


def order_of(event: HandEvent) -> dict[str, str]:
    """Return the request for the order of *event*, as the broker's API reads it."""
    body = {"symbol": event.symbol, "client_order_id": client_order_id(event), "time_in_force": "day"}
    if event.act is HandAct.SELL_ORDER:
        # Without a position the exchange refuses this order, so that it does not open a short position.
        held_back = {"side": "sell", "qty": "1", "position_intent": "sell_to_close"}
        return body | held_back | {"type": "limit", "limit_price": str(PRICE * 2)}
    if event.act is HandAct.BUY_ORDER:
        return body | {"side": "buy", "qty": "1", "type": "limit", "limit_price": str(PRICE // 2)}
    return body | {"side": "buy", "qty": _FRACTION, "type": "market"}

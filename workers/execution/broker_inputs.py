"""Read the broker before a decision: the shared snapshot of the account, and the inputs of this one signal."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from pipeline.accounts.snapshot import Snapshot
from pipeline.intake.routing import may_be_exit
from pipeline.model.account import Asset, ClockReading, MarketSession, Position, Quote
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution, OrderRow, OrderUnderWay, Role, SignalRow
from workers.account.calendar import market_at, was_held_for_open
from workers.account.refusals import AccountRefused
from workers.account.runtime import ExecutorRuntime
from workers.execution.foreign_orders import foreign_orders
from workers.rules.case import ExitRefusal
from workers.rules.exits import may_enter
from workers.rules.freshness import keeps_hours, waited
from workers.rules.market_hours import Market, by_calendar
from workers.rules.market_price import is_at_market, market_trades
from workers.rules.orders import EITHER_SIDE, reduces, side_of

log = structlog.get_logger(__name__)

# The broker's clock and ours may differ by this much, so a shorter wait for the market to open does not count as one.
_CLOCKS_DIFFER = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class KnownBefore:
    """The inputs that are read from the record before the broker is asked."""

    signal: SignalRow
    #: The intent of this generation, if there is one.
    prior: OrderRow | None
    #: The executor's other orders in the symbol that may still fill.
    under_way: tuple[OrderUnderWay, ...]
    #: Whether the signal is an exit that has something to close, according to the record.
    has_to_close: bool
    refused: ExitRefusal
    #: See `Case.forced`.
    forced: bool


@dataclass(frozen=True, kw_only=True)
class InputSnapshot:
    """The broker's side of one decision."""

    snapshot: Snapshot
    position: Position | None
    asset: Asset | None
    #: Our orders that might still fill when the reading began. If one filled during it, *position* may not show that.
    under_way: tuple[OrderUnderWay, ...]
    #: The market's regular sessions around now; empty if the hours do not matter or cannot be read.
    sessions: tuple[MarketSession, ...] = ()
    #: The market's price; None when it was not needed, or could not be read.
    price: Decimal | None = None
    #: Whether `price_drift_percent` needs it.
    price_asked: bool = False
    #: The bid and ask that give an entry without a price its price; None when not needed, or not readable.
    quote: Quote | None = None
    #: The symbol's open orders without our exits; read only if they may be in the way of an exit.
    foreign: tuple[BrokerOrder, ...] = ()
    #: See `Case.forced`.
    forced: bool = False
    refused: ExitRefusal


@dataclass(frozen=True, kw_only=True)
class BrokerInputs:
    """Reads the inputs of one executor's decisions."""

    record: Record
    runtime: ExecutorRuntime

    def read(self, claimed: ClaimedExecution, known: KnownBefore) -> InputSnapshot | AccountRefused:
        """Read the inputs of a decision. For an exit, read its position, and nothing that only an entry needs."""
        signal, runtime = known.signal, self.runtime
        enters, exits = may_enter(signal, runtime.executor), may_be_exit(signal, runtime.executor)
        # A signal that may close a position must not wait for room in the account's request budget.
        snapshots = runtime.snapshots.through(runtime.urgent) if exits else runtime.snapshots
        only_exits = exits and (known.has_to_close or not enters)
        snapshot = snapshots.last() if only_exits else snapshots.fresh()
        if isinstance(snapshot, AccountRefused):
            return snapshot
        position = snapshot.position(signal.symbol)
        try:
            if exits or _reduces(signal, position):
                # An exit may not exceed the position, so the position is read again instead of taken from the snapshot.
                position = runtime.broker.position(signal.symbol)
            enters = enters and not _reduces(signal, position)
            if enters and only_exits:
                # By the record there is something to close, but the broker holds no position that the signal reduces.
                # So the signal is an entry, and the inputs of an entry are read.
                return self.read(claimed, replace(known, has_to_close=False))
            asset = self._asset(signal, position, urgent=not enters)
            foreign = self._foreign(known, position, enters=enters)
        except BrokerRefusesAccount as error:
            return runtime.snapshots.refused(str(error))
        sessions = self._sessions(signal, snapshot.last_clock, snapshot.taken_at)
        market = market_at(snapshot, claimed.now, sessions)
        needs_price = enters and self._needs_price(claimed, signal, market)
        reads_price = needs_price or (enters and self._may_have_passed_stop(signal, market))
        needs_quote = enters and is_at_market(signal) and market_trades(signal, market)
        return InputSnapshot(
            snapshot=snapshot,
            position=position,
            asset=asset,
            under_way=known.under_way,
            sessions=sessions,
            price=runtime.of_market(signal.symbol, runtime.broker.price) if reads_price else None,
            price_asked=needs_price,
            quote=runtime.of_market(signal.symbol, runtime.broker.quote) if needs_quote else None,
            foreign=foreign,
            forced=known.forced,
            refused=known.refused,
        )

    def _foreign(self, known: KnownBefore, position: Position | None, *, enters: bool) -> tuple[BrokerOrder, ...]:
        waits = any(order.role is not Role.PROTECTION for order in known.under_way)
        if enters or waits or position is None:
            return ()
        return foreign_orders(self.record, self.runtime, position, known.refused)

    def hours(self, signal: SignalRow, now: datetime) -> Market | None:
        """Return the market's hours at *now* from the stored calendar, to compute ages while the broker is away."""
        if not keeps_hours(signal.asset_class, self.runtime.executor):
            return None
        last = self.runtime.snapshots.last_clock()
        return by_calendar(last, now, self.runtime.calendar.known(now if last is None else last.at(now)))

    def _asset(self, signal: SignalRow, position: Position | None, *, urgent: bool) -> Asset | None:
        """Read the asset.

        An exit (*urgent*) needs it only to round: a price, a fractional quantity, or the quantity of a partial close.
        If it cannot be read, the exit goes on without it, as a market order.
        """
        whole = position is None or position.quantity == position.quantity.to_integral_value()
        if urgent and whole and signal.entry_price is signal.stop_price is signal.close_percent is None:
            return None
        try:
            return self.runtime.assets.get(signal.symbol, urgent=urgent)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            if not urgent:
                raise
            log.debug("asset.failed", executor_id=self.runtime.executor.id, symbol=signal.symbol, error=str(error))
            return None

    def _sessions(self, signal: SignalRow, last: ClockReading | None, taken_at: datetime) -> tuple[MarketSession, ...]:
        if not keeps_hours(signal.asset_class, self.runtime.executor):
            return ()
        return self.runtime.calendar.around(taken_at if last is None else last.clock.timestamp)

    def _needs_price(self, claimed: ClaimedExecution, signal: SignalRow, market: Market | None) -> bool:
        """Return whether `price_drift_percent` needs a price: for a market order, or after waiting for the open."""
        executor = self.runtime.executor
        if executor.limits.price_drift_percent is None or signal.entry_price is None:
            return False
        if executor.order.type == "market":
            return True
        if not keeps_hours(signal.asset_class, executor) or market is None or not market.is_open:
            return False
        return waited(signal, executor, now=claimed.now, market=market) > _CLOCKS_DIFFER or (
            claimed.from_state is State.HELD and was_held_for_open(self.record, claimed.execution_id)
        )

    def _may_have_passed_stop(self, signal: SignalRow, market: Market | None) -> bool:
        """Return whether the entry gets a stop, and an open market's price may have passed it already."""
        has_stop = signal.stop_price is not None or self.runtime.executor.order.unprotected == "guard"
        return has_stop and signal.entry_price is not None and market_trades(signal, market)


def _reduces(signal: SignalRow, position: Position | None) -> bool:
    held = position.quantity if position else Decimal(0)
    return held != 0 if signal.action in EITHER_SIDE else reduces(side_of(signal.action), held)

"""Look at the broker before a decision: the account as shared, and what this one signal needs besides."""

from __future__ import annotations

from dataclasses import dataclass

from config.executors import ExecutorSettings
from pipeline.errors import BrokerRefusesAccount
from pipeline.signals import Action, Intent
from pipeline.store.rows import OrderRow, SignalRow
from workers.assets import Assets
from workers.brokers.holdings import Asset, Position
from workers.brokers.protocol import Broker
from workers.snapshots import Refused, Snapshot, Snapshots


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of the broker for one decision."""

    snapshot: Snapshot
    position: Position | None
    asset: Asset | None
    #: Our orders that might still fill when the reading began: one that ended since is not in the position read.
    under_way: tuple[OrderRow, ...]


@dataclass(frozen=True, kw_only=True)
class Eye:
    """Looks for one executor in one process."""

    executor: ExecutorSettings
    broker: Broker
    snapshots: Snapshots
    assets: Assets

    def look(self, signal: SignalRow, under_way: tuple[OrderRow, ...]) -> Seen | Refused:
        """Read what the decision needs; the position anew where an exit is possible, since it sells what is held."""
        snapshot = self.snapshots.fresh()
        if isinstance(snapshot, Refused):
            return snapshot
        position = snapshot.position(signal.symbol)
        try:
            closes = may_close(signal, position, may_short=self.executor.order.allow_short)
            asset = self.assets.get(signal.symbol, urgent=closes)
            if closes:
                position = self.broker.position(signal.symbol)
        except BrokerRefusesAccount as error:
            return self.snapshots.refused(str(error))
        return Seen(snapshot=snapshot, position=position, asset=asset, under_way=under_way)


def may_close(signal: SignalRow, position: Position | None, *, may_short: bool) -> bool:
    """Say whether the signal might reduce a position, so that it has to be read anew."""
    held = position.quantity if position else 0
    if signal.action is Action.SELL:
        return held > 0 or signal.intent is not Intent.OPEN
    return held < 0 or signal.intent is Intent.CLOSE or (may_short and signal.intent is not Intent.OPEN)

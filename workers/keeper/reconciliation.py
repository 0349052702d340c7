"""Compare an account's open orders and positions at the broker with the record, both ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.findings import Difference, FindingKind
from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.refusals import AccountRefused
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Found, UnreadableRow
from workers.execution.replaced_orders import in_its_place, is_replaced
from workers.keeper.finding_store import CONFIRMS, Comparison, Healed, NotSaved, Saved, log_changes, save
from workers.keeper.order_updates import OrderUpdates
from workers.keeper.orders_since_backup import OrdersSinceBackup
from workers.keeper.unreadable_orders import note_unreadable
from workers.rules.differences import (
    SETTLES,
    RecordedOrder,
    RecordedPosition,
    compare_positions,
    foreign_orders,
    gone,
    restored_orders,
    shrunken_orders,
)

log = structlog.get_logger(__name__)

# The most orders that one run looks up because the list of open orders lacks them.
_MISSING = 20
# The most orders that one run looks up because the broker may have them although they were given up.
_GIVEN_UP = 3


@dataclass(kw_only=True)
class _Orders:
    """The orders of one reading: what differs, and what was adopted from the broker."""

    differences: list[Difference] = field(default_factory=list)
    healed: list[Healed] = field(default_factory=list)
    #: Stops that tradewire placed again in the place of adopted orders: they are adopted, too.
    restored: list[Difference] = field(default_factory=list)
    #: The broker's ids of orders that could not be read.
    unreadable: set[str] = field(default_factory=set)
    #: The symbols of our orders of which it is not known how they ended.
    unread_symbols: set[str] = field(default_factory=set)
    #: The broker's ids of our open orders that were listed with the filled quantity that the record has.
    listed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """Compares one executor's account. It may run in several processes at once, and running it twice changes nothing.

    A run costs two requests, the list of open orders and that of positions, if every order that is open in the record
    is in the list. They are paid for like polls, so exits come first.
    """

    record: Record
    runtime: ExecutorRuntime
    who: str
    #: See `SETTLES` and `CONFIRMS`.
    settles: timedelta = SETTLES
    confirms: timedelta = CONFIRMS

    def run_once(self) -> Saved | NotSaved:
        """Read the account, adopt the ends and fills of our own orders, and save what differs.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        try:
            return self._reconcile()
        except BrokerRefusesAccount as error:
            self.runtime.snapshots.refused(str(error))
            return NotSaved.REFUSED
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("reconcile.failed", executor_id=self.runtime.executor.id, error=str(error))
            return NotSaved.FAILED

    def _reconcile(self) -> Saved | NotSaved:
        number = self.runtime.snapshots.number()
        if isinstance(number, AccountRefused):
            return NotSaved.FAILED
        read_at = self.record.one(datetime, sql("accounts", "now"))
        settled_before = read_at - self.settles
        values = {
            "executor_id": self.runtime.executor.id,
            "account_number": number,
            "settled_before": settled_before,
        }
        updates = OrderUpdates(record=self.record, broker=self.runtime.broker, who=self.who)
        OrdersSinceBackup(record=self.record, runtime=self.runtime, updates=updates, who=self.who).adopt(number)
        orders = self._compare_orders(values, updates)
        unreadable: list[UnreadableRow] = []
        positions = self.runtime.broker.polling().positions(on_unreadable=unreadable.append)
        # The record is read after the broker, so that it has every fill that the broker has reported by then.
        compared = compare_positions(
            positions,
            self.record.all(
                RecordedPosition, sql("reconcile", "recorded_positions"), values | {"listed": orders.listed}
            ),
            settled_before=settled_before,
            all_readable=not unreadable,
        )
        comparison = Comparison(
            account_number=number,
            executor_id=self.runtime.executor.id,
            read_at=read_at,
            differences=(*orders.differences, *compared.differences),
            undecided=compared.undecided,
            unreadable=frozenset(orders.unreadable),
            unread_symbols=frozenset(orders.unread_symbols),
            healed=tuple(orders.healed),
            restored=tuple(orders.restored),
        )
        saved = self.record.run(lambda connection: save(connection, comparison, by=self.who, confirms=self.confirms))
        if saved is None:
            return NotSaved.OUTDATED
        log_changes(self.runtime.executor.id, saved)
        return saved

    def _compare_orders(self, values: Mapping[str, Any], updates: OrderUpdates) -> _Orders:
        broker, unreadable = self.runtime.broker.polling(), list[UnreadableRow]()
        orders = broker.orders(status="open", on_unreadable=unreadable.append)
        note_unreadable(self.record, self.runtime.executor.id, unreadable)
        updates.apply(orders, set())
        recorded = self.record.all(RecordedOrder, sql("reconcile", "recorded_orders"), values)
        listed = {order.order_id: order for order in orders}
        found = _Orders(unreadable={row.order_id for row in unreadable if row.order_id is not None})
        found.listed = [
            each.order_id
            for each in recorded
            if each.order_id in listed and listed[each.order_id].filled_quantity == each.filled_quantity
        ]
        missing = [
            each
            for each in recorded
            if each.order_id not in listed
            and each.order_id not in found.unreadable
            and each.changed_at < values["settled_before"]
        ]
        replacements = self._look_up(missing[:_MISSING], updates, found)
        self._look_up_given_up(updates)
        adopted = self.record.all(str, sql("reconcile", "adopted_orders"), values)
        unknown = {order.order_id for order in updates.strays(orders)}
        known = {*replacements, *adopted}
        found.differences += foreign_orders(orders, unknown=unknown, known=known)
        found.restored += restored_orders(orders, known=known)
        found.differences += shrunken_orders(listed, recorded, settled_before=values["settled_before"])
        return found

    def _look_up(self, missing: Sequence[RecordedOrder], updates: OrderUpdates, found: _Orders) -> set[str]:
        """Adopt the ends of orders that the broker does not list as open; return the ids of their replacements."""
        replacements = set[str]()
        for ours in missing:
            try:
                replacements |= self._look_up_one(ours, updates, found)
            except (BrokerUnavailable, BrokerUnreadable) as error:
                # One order that cannot be read leaves its own symbol undecided, and no other.
                log.warning("reconcile.order_unread", **self._facts(ours), error=str(error))
                found.unreadable.add(ours.order_id)
                found.unread_symbols.add(ours.symbol)
        return replacements

    def _look_up_one(self, ours: RecordedOrder, updates: OrderUpdates, found: _Orders) -> set[str]:
        broker = self.runtime.broker.polling()
        order = broker.order(ours.order_id)
        if order is None:
            found.differences.append(gone(ours))
            return set()
        if updates.apply([order], set()):
            found.healed.append(_ended(ours, order))
        following = in_its_place(broker, ours.order_id) if is_replaced(order) else None
        return set() if following is None else {following.order_id}

    def _facts(self, ours: RecordedOrder) -> dict[str, str]:
        return {"executor_id": self.runtime.executor.id, "symbol": ours.symbol, "order_id": ours.order_id}

    def _look_up_given_up(self, updates: OrderUpdates) -> None:
        """Look a few orders up by our ids that may be at the broker: one that has filled meanwhile is not listed."""
        values = {"executor_id": self.runtime.executor.id, "limit": _GIVEN_UP}
        for client_order_id in self.record.all(str, sql("reconcile", "claim_unconfirmed"), values):
            lookup = self.runtime.broker.find(client_order_id)
            if isinstance(lookup, Found):
                updates.apply([lookup.order], set(), request_id=lookup.request_id)


def _ended(ours: RecordedOrder, order: BrokerOrder) -> Healed:
    facts = {
        "order_status": order.raw_status,
        "filled_quantity": format(order.filled_quantity, "f"),
        "order_id": order.order_id,
    }
    difference = Difference(kind=FindingKind.ORDER_ENDED, symbol=ours.symbol, order_id=ours.order_id, facts=facts)
    return Healed(finding_id=uuid4(), difference=difference)


def reconcile_once(record: Record, runtime: ExecutorRuntime, who: str) -> Saved | NotSaved:
    """Reconcile one account, for commands that run without a keeper. Returns and raises what `run_once` does."""
    return Reconciliation(record=record, runtime=runtime, who=who).run_once()

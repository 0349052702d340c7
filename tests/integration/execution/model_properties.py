"""The properties that the record and the broker's book must have after every step of the model, and at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any
from uuid import UUID

from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code
from pipeline.model.states import ENDED, MOVES, WORKING, State
from tests.integration.execution.model_broker import Held, ModelBroker
from tests.integration.execution.model_world import World
from workers.rules.retry_policy import STATE_OF

_WITHOUT_ORDER = frozenset({State.SKIPPED, State.REJECTED, State.DEAD, State.DISCARDED})
_NEEDS_REASON = _WITHOUT_ORDER | {State.HELD, State.UNKNOWN, State.CANCELED, State.EXPIRED}
_ORDERS = """
SELECT o.*, e.state, e.seq, e.reason_code, e.generation AS current_generation,
    o.intended_at > clock_timestamp() - interval '10 minutes' AS young
FROM broker_order AS o JOIN execution AS e USING (execution_id) ORDER BY e.seq, o.generation
"""
_EARLIER = """
SELECT earlier.seq, earlier.state, earlier.execution_id
FROM execution AS e JOIN execution AS earlier ON earlier.symbol = e.symbol AND earlier.seq < e.seq
WHERE e.execution_id = %s AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
"""
_LEASE = """
SELECT state, extract(epoch FROM lease_until - clock_timestamp()) AS left_s FROM execution WHERE execution_id = %s
"""


def ids(client_order_id: str) -> tuple[UUID, int]:
    """Return the execution and the generation that a client order id names."""
    execution_id, _, generation = client_order_id.removeprefix("tw-").rpartition("-")
    return UUID(execution_id), int(generation)


class Properties:
    """Checks one example. It stores faults that it finds in other threads, and `check` raises them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._broker: ModelBroker = world.broker
        self._broker.on_send = self._sending
        self._broker.on_arrival = self._arrived
        self._faults: list[str] = []
        #: How often a person requeued each execution.
        self.requeued: Counter[UUID] = Counter()
        # Symbols in which an order arrived after look-ups had found it absent; there, exits may sell too much.
        self._surprised: set[str] = set()

    def _sending(self, request: OrderRequest) -> None:
        """Check when a request leaves: its lease is long enough, and the symbol's earlier executions are decided."""
        execution_id, _ = ids(request.client_order_id)
        (row,) = self._world.rows(_LEASE, [execution_id])
        if row["state"] != State.SUBMITTING or row["left_s"] < 0.9:
            self._faults.append(f"{execution_id} is sent in {row['state']} with {row['left_s']} s of lease left")
        for earlier in self._world.rows(_EARLIER, [execution_id]):
            if earlier["execution_id"] not in self.requeued:
                self._faults.append(f"{execution_id} is sent while the earlier {earlier} is undecided")

    def _arrived(self, held: Held) -> None:
        """Check when an order arrives: all working exits of its symbol together sell no more than the position."""
        execution_id, _ = ids(held.request.client_order_id)
        (row,) = self._world.rows(_LEASE, [execution_id])
        symbol = held.request.symbol
        if row["state"] not in (State.SUBMITTING, State.UNKNOWN):
            self._surprised.add(symbol)
        selling, position = self._broker.selling(symbol), self._broker.positions_held.get(symbol, 0)
        if held.request.side is OrderSide.SELL and selling > position and symbol not in self._surprised:
            self._faults.append(f"{execution_id}: the exits of {symbol} sell {selling} of {position}")

    def check(self) -> None:
        """Check the properties that must hold after every step."""
        assert not self._faults, self._faults
        executions = self._world.rows("SELECT * FROM execution ORDER BY seq")
        orders = self._world.rows(_ORDERS)
        self._check_book()
        self._check_orders(orders)
        known = {(row["execution_id"], row["generation"]): row for row in orders}
        for row in executions:
            _check_reason(row, known.get((row["execution_id"], row["generation"])))
            assert row["generation"] <= 1 + self.requeued[row["execution_id"]], "nobody raised the generation"
        self._check_history({row["execution_id"]: row["state"] for row in executions})

    def _check_book(self) -> None:
        """Check that each execution has at most one order that is open or has a fill."""
        trading: dict[UUID, list[Held]] = defaultdict(list)
        for client_order_id, held in self._broker.book.items():
            if held.trades:
                trading[ids(client_order_id)[0]].append(held)
        doubled = {execution_id: orders for execution_id, orders in trading.items() if len(orders) > 1}
        assert not doubled, f"doubled: {doubled}"

    def _check_orders(self, orders: list[dict[str, Any]]) -> None:
        """Check that the record of each order is true, though it may be out of date."""
        wired = {way.request.client_order_id for way in self._broker.on_the_way}
        for row in orders:
            held = self._broker.book.get(row["client_order_id"])
            if not row["may_exist"]:
                assert held is None, f"{row['client_order_id']} exists, and the record rules it out"
                assert row["client_order_id"] not in wired, f"{row['client_order_id']} is on its way, and ruled out"
            if row["order_id"] is not None:
                assert held is not None, f"{row['client_order_id']} has an order id of nothing"
                assert row["order_id"] == held.order_id
                assert row["filled_quantity"] <= held.filled
                assert row["ended_at"] is None or not held.works, f"{row['client_order_id']} works, and is called over"

    def _check_history(self, states: dict[UUID, State]) -> None:
        """Check that each state change begins at the state before it, and is allowed."""
        at: dict[UUID, State | None] = defaultdict(lambda: None)
        for move in self._world.rows("SELECT * FROM history ORDER BY history_id"):
            execution_id, was, now = move["execution_id"], move["from_state"], State(move["to_state"])
            assert at[execution_id] == was, f"{execution_id}: from {was} while it was {at[execution_id]}"
            born = was is None and now in (State.QUEUED, State.SKIPPED)
            assert born or (was is not None and now in MOVES[State(was)]), f"{was} to {now} is not in the table"
            at[execution_id] = now
        assert dict(at) == states

    def check_followed(self) -> None:
        """Check after a full round of the keeper that no execution with an open order has ended."""
        for row in self._world.rows(_ORDERS):
            held = self._broker.book.get(row["client_order_id"])
            if held is None or not held.works or held.seen_from > self._world.clock.monotonic() or not row["young"]:
                continue
            given_up = row["state"] in ENDED | {State.DEAD}
            assert not given_up, f"{row['client_order_id']} works, and its execution is {row['state']}"
            late = row["reason_code"] == Code.LATE_ORDER and held.request.side is OrderSide.BUY
            assert not late, f"the late entry {row['client_order_id']} still works"

    def check_end(self) -> None:
        """Check that everything is decided and that the record equals the book."""
        self.check()
        orders = {row["client_order_id"]: row for row in self._world.rows(_ORDERS)}
        for row in orders.values():
            held = self._broker.book.get(row["client_order_id"])
            if row["generation"] == row["current_generation"]:
                _compare(row, held)
        assert set(self._broker.book) <= set(orders), "the broker holds an order without an intent"
        left = self._world.rows(
            "SELECT execution_id, state, reason_code FROM execution "
            "WHERE state IN ('queued', 'held', 'submitting', 'unknown')"
        )
        assert not left, f"undecided: {left}"


def _check_reason(row: dict[str, Any], order: dict[str, Any] | None) -> None:
    """Check that each execution that ended or waits has a reason or an order id."""
    state = State(row["state"])
    order_id = order["order_id"] if order else None
    if state in _NEEDS_REASON:
        assert row["reason_code"] in CATALOGUE, f"{row['execution_id']} is {state} for {row['reason_code']}"
    if state in (ENDED | WORKING) - _WITHOUT_ORDER:
        assert order_id is not None, f"{row['execution_id']} is {state} without an order id"


def _compare(row: dict[str, Any], held: Held | None) -> None:
    state = State(row["state"])
    if held is None:
        assert state in _WITHOUT_ORDER, f"{row['client_order_id']} is {state}, and the broker has no order"
        return
    if not row["young"] and state in _WITHOUT_ORDER:
        return  # The keeper was away for ten minutes, and the order arrived after the last look-up.
    told = (state, row["order_id"], row["filled_quantity"])
    assert told == (STATE_OF[held.status], held.order_id, held.filled), f"the record says {told} of {held}"

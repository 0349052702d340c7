"""Check an execution at the broker's door and write the intent: check, reservation and intent are one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from config.schema.executor import ExecutorSettings
from pipeline.accounts.equity import equity_baseline
from pipeline.intake.routing import may_be_exit
from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import OrderRequest, client_order_id
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution, OrderRow, Role, SignalRow
from pipeline.store.statements import sql
from workers.account.calendar import calendar_at, market_at
from workers.account.snapshots import AccountRefused
from workers.brokers.protocol import Broker
from workers.brokers.rate_budget import fare
from workers.execution.broker_inputs import BrokerInputs, InputSnapshot
from workers.execution.cancels import ask_to_cancel
from workers.execution.record_inputs import (
    before_look,
    book_of,
    book_rows,
    of_symbol,
    orders_under_way,
    own_of,
    prior_order,
    recent_of,
    switches_of,
)
from workers.execution.transitions import held, skipped, unread
from workers.rules.case import Case, Go, Hold, Skip
from workers.rules.decide import decide, still_go
from workers.rules.market_hours import Market
from workers.rules.retry_policy import Transition, broker_hold

# An answer that makes no sense is asked for again after this, then after twice as long each time.
_UNREADABLE_WAIT = timedelta(seconds=0.5)


@dataclass(frozen=True, kw_only=True)
class Intended:
    """An order that is recorded and may be sent."""

    order: OrderRow
    #: No earlier send of this intent can have reached the broker.
    sole: bool


@dataclass(frozen=True, kw_only=True)
class PreTradeCheck:
    """Judges the executions of one executor."""

    executor: ExecutorSettings
    record: Record
    broker: Broker
    inputs: BrokerInputs

    def decide(self, claimed: ClaimedExecution) -> Intended | Transition:
        """Return the recorded intent to send, or where the execution goes instead.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        signal, prior, under_way = self.record.run(lambda connection: before_look(connection, claimed))
        if prior is not None and prior.may_exist and claimed.from_state is not State.HELD:
            # A person's requeue of an order that may exist: look it up before anything else.
            return _look_up(prior, Code.REQUEUED if claimed.from_state is State.QUEUED else Code.NO_ANSWER)
        try:
            seen = self.inputs.read(claimed, signal, under_way)
        except BrokerUnavailable as error:
            return self._hold(
                claimed,
                signal,
                *unread(error, age=claimed.now - claimed.created_at),
                self.inputs.hours(signal, claimed.now),
            )
        except BrokerUnreadable as error:
            return self._unreadable(claimed, signal, str(error))
        if isinstance(seen, AccountRefused):
            reason = Reason(code=Code.BROKER_REFUSES_ACCOUNT, facts={"says": seen.message})
            return self._hold(claimed, signal, reason, seen.probe_in, self.inputs.hours(signal, claimed.now))
        verdict = self.record.run(lambda connection: self._decide(connection, claimed, signal, seen))
        if isinstance(verdict, Hold):
            return self._held(verdict)
        return verdict

    def _decide(
        self, connection: Connection[DictRow], claimed: ClaimedExecution, signal: SignalRow, seen: InputSnapshot
    ) -> Intended | Transition | Hold:
        """Decide and write the intent under the executor's lock, so that reservations see each other."""
        connection.execute(sql("accounts", "lock_executor"), {"executor_id": claimed.executor_id})
        case = self._case(connection, claimed, signal, seen)
        prior = prior_order(connection, claimed)
        if prior is not None and prior.may_exist:
            return self._again(connection, case, prior)
        if seen.snapshot.account.blocked:
            reason = Reason(code=Code.ACCOUNT_BLOCKED, facts={"account": seen.snapshot.account.number})
            return self._hold(claimed, signal, reason, timedelta(seconds=5), case.calendar)
        match decide(case):
            case Skip(reasons=reasons):
                return skipped(reasons)
            case Hold() as hold:
                return hold
            case Go() as go:
                reached("worker.after_check")
                number = seen.snapshot.account.number
                values = self._intent(claimed, signal, go, number) | self._fare(number, go.role)
                row = connection.execute(sql("orders", "intend"), values).fetchone()
                assert row is not None
                short = shortage(row)
                if short is not None:
                    return self._hold(claimed, signal, short.reason, short.wait, case.calendar)
                return Intended(order=OrderRow.of(row), sole=True)

    def _again(self, connection: Connection[DictRow], case: Case, prior: OrderRow) -> Intended | Transition | Hold:
        """Send the identical order once more, if it may still go."""
        if prior.order_id is not None:
            # Somebody late brought the broker's word that it has the order.
            return _look_up(prior, Code.NO_ANSWER)
        if prior.account_number != case.account.number:
            facts = {"meant": prior.account_number, "is": case.account.number}
            return Transition(state=State.DEAD, reason=Reason(code=Code.ACCOUNT_CHANGED, facts=facts))
        key = {"execution_id": prior.execution_id, "generation": prior.generation}
        no_go = still_go(case, prior)
        if isinstance(no_go, Hold):
            return no_go
        if no_go is not None:
            connection.execute(sql("orders", "end"), key | {"order_status": None})
            return skipped(no_go.reasons)
        paid = key | self._fare(prior.account_number, prior.role)
        row = connection.execute(sql("orders", "send_again"), paid).fetchone()
        assert row is not None
        short = shortage(row)
        if short is not None:
            return short
        return Intended(order=OrderRow.of(row), sole=False)

    def _case(
        self, connection: Connection[DictRow], claimed: ClaimedExecution, signal: SignalRow, seen: InputSnapshot
    ) -> Case:
        key = of_symbol(claimed) | {"taken_at": seen.snapshot.taken_at}
        reserved = connection.execute(sql("orders", "reserved"), key).fetchone()
        under_way = {
            order.client_order_id: order for order in (*seen.under_way, *orders_under_way(connection, claimed))
        }
        now = connection.execute(sql("accounts", "now")).fetchone()
        number = seen.snapshot.account.number
        rows, baseline = book_rows(connection, claimed, seen.snapshot), equity_baseline(connection, number)
        assert reserved is not None and now is not None  # noqa: PT018 -- both are aggregates
        return Case(
            signal=signal,
            executor=self.executor,
            account=seen.snapshot.account,
            position=seen.position,
            asset=seen.asset,
            under_way=tuple(under_way.values()),
            reserved=reserved["reserved"],
            now=now["now"],
            market=market_at(seen.snapshot, now["now"], seen.sessions),
            calendar=calendar_at(seen.snapshot, now["now"], seen.sessions),
            book=book_of(seen.snapshot, rows),
            own=own_of(rows, signal),
            baseline=baseline,
            switches=switches_of(connection, claimed.executor_id, number),
            recent=recent_of(connection, claimed, signal, self.executor, rows=rows, baseline=baseline),
            price=seen.price,
            price_asked=seen.price_asked,
            accept_age=claimed.accept_age,
        )

    def _intent(self, claimed: ClaimedExecution, signal: SignalRow, go: Go, account_number: str) -> dict[str, Any]:
        request = OrderRequest(
            client_order_id=client_order_id(claimed.execution_id, claimed.generation),
            symbol=claimed.symbol,
            side=go.side,
            quantity=go.quantity,
            type=go.type,
            time_in_force=go.time_in_force,
            limit_price=go.limit_price,
            extended_hours=go.extended_hours,
        )
        return {
            "execution_id": claimed.execution_id,
            "generation": claimed.generation,
            "executor_id": claimed.executor_id,
            "account_number": account_number,
            "client_order_id": request.client_order_id,
            "role": go.role,
            "symbol": claimed.symbol,
            "side": go.side.value,
            "quantity": go.quantity,
            "limit_price": go.limit_price,
            "reference_price": go.reference_price,
            "strategy": signal.strategy or "",
            "stop_price": signal.stop_price,
            "risk": go.risk,
            "request": Jsonb(request.to_json()),
        }

    def _fare(self, account_number: str, role: Role) -> dict[str, Any]:
        per_minute = self.executor.limits.requests_per_minute
        return fare(account_number, per_minute, urgent=role is Role.EXIT)

    def _held(self, hold: Hold) -> Transition:
        """Ask for the cancels that an exit waits for; the poll tells when they are done."""
        for order_id in hold.cancel:
            ask_to_cancel(self.record, self.broker, order_id)
        return Transition(state=State.HELD, reason=hold.reason, due_in=hold.wait)

    def _unreadable(self, claimed: ClaimedExecution, signal: SignalRow, says: str) -> Transition:
        """Ask a few times more, then leave it to a person: the answer makes no sense. An exit is never given up."""
        facts = {"says": says[:300], "attempts": claimed.attempts + 1}
        reason = Reason(code=Code.ACCOUNT_UNREADABLE, facts=facts)
        if may_be_exit(signal, self.executor):
            return Transition(state=State.HELD, reason=reason, due_in=broker_hold(age=claimed.now - claimed.created_at))
        if claimed.attempts + 1 >= self.executor.retry.attempts:
            return Transition(state=State.DEAD, reason=reason, attempts=1)
        return Transition(
            state=State.HELD, reason=reason, due_in=_UNREADABLE_WAIT * min(2**claimed.attempts, 32), attempts=1
        )

    def _hold(
        self, claimed: ClaimedExecution, signal: SignalRow, reason: Reason, wait: timedelta, market: Market | None
    ) -> Transition:
        return held(claimed, signal, self.executor, reason, wait, market=market)


def _look_up(prior: OrderRow, code: Code) -> Transition:
    facts = {"client_order_id": prior.client_order_id}
    return Transition(state=State.UNKNOWN, reason=Reason(code=code, facts=facts), due_in=timedelta(0))


def shortage(row: Mapping[str, Any]) -> Hold | None:
    """Return the wait of an order that `orders.intend` or `orders.send_again` could not pay for; None: it could."""
    if row["granted"]:
        return None
    if row["closed"]:
        reason = Reason(code=Code.RATE_LIMITED, facts={"says": "the broker refused another request of the account"})
    else:
        reason = Reason(code=Code.RATE_BUDGET, facts={"in_the_last_minute": row["spent"]})
    return Hold(reason=reason, wait=row["wait"])

"""Write the order into the record before it is sent, and pay for its request in the same statement."""

from dataclasses import dataclass
from datetime import timedelta

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from pipeline.model.orders import OrderRequest, client_order_id, position_intent
from pipeline.model.reasons import Code, Reason
from pipeline.store.query import fetch_maybe, fetch_one
from pipeline.store.rows import ClaimedExecution, OrderRow, Role, SignalRow
from pipeline.store.statements import sql
from workers.brokers.rate_budget import fare
from workers.rules.case import Go, Hold


@dataclass(frozen=True, kw_only=True)
class Intended:
    """An order that is recorded and may be sent."""

    order: OrderRow
    #: Whether no earlier send of this intent can have reached the broker.
    sole: bool


@dataclass(frozen=True, kw_only=True)
class _PaidOrder(OrderRow):
    """An intent and its payment. When no request was granted, the intent's own fields are None."""

    granted: int
    #: How long until the account has a request left. Of use only when none was granted.
    wait: timedelta
    #: The account's requests of the last minute.
    spent: int
    #: The broker has just answered 429.
    closed: bool


def prior_order(connection: Connection[DictRow], claimed: ClaimedExecution) -> OrderRow | None:
    """Return the intent of the execution's generation, if there is one."""
    key = {"execution_id": claimed.execution_id, "generation": claimed.generation}
    return fetch_maybe(connection, OrderRow, sql("orders", "of_execution"), key)


def write_intent(
    connection: Connection[DictRow],
    claimed: ClaimedExecution,
    signal: SignalRow,
    go: Go,
    *,
    account_number: str,
    per_minute: int | None,
) -> Intended | Hold:
    """Record the order that *go* describes and pay for its request; return a hold when no request is left."""
    request = OrderRequest(
        client_order_id=client_order_id(claimed.execution_id, claimed.generation),
        symbol=claimed.symbol,
        side=go.side,
        quantity=go.quantity,
        type=go.type,
        time_in_force=go.time_in_force,
        limit_price=go.limit_price,
        stop_price=go.stop_price if go.role is Role.PROTECTION else None,
        extended_hours=go.extended_hours,
        position_intent=position_intent(claimed.symbol, go.side, closes=go.role is not Role.ENTRY),
    )
    values = {
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
        "stop_price": go.stop_price,
        "risk": go.risk,
        "rest": go.rest,
        "dust": go.dust,
        "covers": go.covers,
        "request": Jsonb(request.to_json()),
    }
    paid = fare(account_number, per_minute, urgent=go.role is not Role.ENTRY)
    written = fetch_one(connection, _PaidOrder, sql("orders", "intend"), values | paid)
    return _shortage(written) or Intended(order=written, sole=True)


def pay_again(connection: Connection[DictRow], prior: OrderRow, *, per_minute: int | None) -> Intended | Hold:
    """Pay for the request that sends *prior* once more; return a hold when the account has no request left."""
    key = {"execution_id": prior.execution_id, "generation": prior.generation}
    paid = fare(prior.account_number, per_minute, urgent=prior.role is not Role.ENTRY)
    sent = fetch_one(connection, _PaidOrder, sql("orders", "send_again"), key | paid)
    return _shortage(sent) or Intended(order=sent, sole=False)


def _shortage(paid: _PaidOrder) -> Hold | None:
    """Return the hold of an order whose request was not granted; None if it was."""
    if paid.granted:
        return None
    if paid.closed:
        reason = Reason(code=Code.RATE_LIMITED, facts={"says": "the broker refused another request of the account"})
    else:
        reason = Reason(code=Code.RATE_BUDGET, facts={"in_the_last_minute": paid.spent})
    return Hold(reason=reason, wait=paid.wait)

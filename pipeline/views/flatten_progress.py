"""Say how far the keeper and the workers are with flattening an account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.account_key import account_keys_of
from pipeline.accounts.snapshot import snapshot_of
from pipeline.accounts.switches import active_switches
from pipeline.model.reasons import Code, sentence
from pipeline.model.states import State
from pipeline.monitoring.heartbeats import GONE_AFTER
from pipeline.store.record import Record
from pipeline.store.statements import sql

_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far it is, by the record."""

    #: The broker showed no position and no open order, and nothing of ours was on its way.
    flat: bool
    #: What was held when the account was last read, by symbol; below zero is short.
    left: dict[str, Decimal]
    #: Why what is left is not closed yet, by symbol.
    waits: dict[str, str]
    #: All that is left waits for the market to open.
    for_the_open: bool
    #: Who has to run, and does not.
    missing: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return it as people read it."""
        if self.flat:
            return ["flat: no position, no open order"]
        told = [
            f"{symbol} {quantity}: {self.waits.get(symbol, 'to be closed')}" for symbol, quantity in self.left.items()
        ]
        if not told:
            told = ["no position was seen last; the keeper makes sure"]
        if self.for_the_open:
            told.append("the market is closed: the exits go out when it opens")
        return told + [f"no {process} runs: nothing moves without it" for process in self.missing]

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "flat": self.flat,
            "left": {symbol: format(quantity, "f") for symbol, quantity in self.left.items()},
            "waits": self.waits,
            "for_the_open": self.for_the_open,
            "missing": list(self.missing),
        }


def progress(record: Record, executor_id: str) -> Progress:
    """Return how far it is.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: _look(connection, executor_id))


def wait_for_flat(record: Record, executor_id: str, *, wait_s: float, say: Callable[[Progress], None]) -> Progress:
    """Wait until it is flat, for *wait_s* seconds at most; *say* is called with every change.

    What waits for the market to open is not waited for.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    deadline, before = time.monotonic() + wait_s, None
    while True:
        now = progress(record, executor_id)
        if now != before:
            say(now)
        before = now
        if now.flat or now.for_the_open or time.monotonic() >= deadline:
            return now
        threading.Event().wait(_LOOK_EVERY_S)


def _look(connection: Connection[DictRow], executor_id: str) -> Progress:
    key = {"executor_id": executor_id}
    wanted = any(switch.flatten for switch in active_switches(connection, account_keys_of(connection, executor_id)))
    snapshot = connection.execute(sql("accounts", "snapshot"), key).fetchone()
    positions = () if snapshot is None else snapshot_of(snapshot).positions
    rows = connection.execute(sql("switches", "closings"), key).fetchall()
    left = {each.symbol: each.quantity for each in positions if each.quantity}
    # Of several tries the newest counts.
    newest = {row["symbol"]: row for row in rows if row["symbol"] in left}
    codes = {row["reason_code"] for row in newest.values()}
    return Progress(
        flat=not wanted,
        left=left,
        waits={symbol: _waits(row) for symbol, row in newest.items()},
        for_the_open=wanted and bool(left) and newest.keys() == left.keys() and codes == {Code.MARKET_CLOSED},
        missing=_missing(connection, executor_id),
    )


def _waits(row: DictRow) -> str:
    reason = sentence(row["reason_code"], row["reason_facts"]) if row["reason_code"] else ""
    return f"{State(row['state']).value} {reason}".strip()


def _missing(connection: Connection[DictRow], executor_id: str) -> tuple[str, ...]:
    living = connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    present = {(row["kind"], row["name"]) for row in living}
    needed = {("keeper", "keeper"): "keeper", ("worker", executor_id): f"worker of {executor_id}"}
    return tuple(name for process, name in needed.items() if process not in present)

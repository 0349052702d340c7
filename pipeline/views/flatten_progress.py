"""Read from the record how far an account is flattened.

Functions that read the record raise RecordUnavailable when PostgreSQL is away.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import Field

from pipeline.accounts.account_key import account_keys_of
from pipeline.accounts.snapshot import read_snapshot
from pipeline.accounts.switches import active_switches
from pipeline.model.json_model import JsonModel, Number
from pipeline.model.reasons import Code, sentence
from pipeline.model.states import State
from pipeline.store.processes import LivingProcess, living_processes
from pipeline.store.query import fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql

_READ_EVERY_S = 0.25


class FlattenProgress(JsonModel):
    """How far an account is flattened."""

    flat: Annotated[
        bool, Field(description="The broker showed no position and no open order, and no order of ours was on its way.")
    ]
    left: Annotated[
        dict[str, Number], Field(description="The quantity of each symbol as last read; below zero is short.")
    ]
    waits: Annotated[dict[str, str], Field(description="Why a symbol is not closed yet.")]
    for_the_open: Annotated[bool, Field(description="Everything that is left waits for the market to open.")]
    missing: Annotated[tuple[str, ...], Field(description="Processes that are needed and do not run.")]

    def lines(self) -> list[str]:
        """Return the progress as lines for people."""
        if self.flat:
            return ["flat: no position, no open order"]
        lines = [
            f"{symbol} {quantity}: {self.waits.get(symbol, 'to be closed')}" for symbol, quantity in self.left.items()
        ] or ["the last reading showed no position; the keeper reads the account again"]
        if self.for_the_open:
            lines.append("the market is closed: the exits are sent when it opens")
        return lines + [f"the {process} does not run: nothing is closed without it" for process in self.missing]


@dataclass(frozen=True, kw_only=True)
class _Closing:
    symbol: str
    state: State
    reason_code: str | None
    reason_facts: dict[str, Any]

    def __str__(self) -> str:
        reason = sentence(self.reason_code, self.reason_facts) if self.reason_code else ""
        return f"{self.state.value} {reason}".strip()


def progress(record: Record, executor_id: str) -> FlattenProgress:
    """Return how far the account of *executor_id* is flattened."""
    return record.run(lambda connection: _read(connection, executor_id))


def wait_for_flat(
    record: Record, executor_id: str, *, wait_s: float, say: Callable[[FlattenProgress], None]
) -> FlattenProgress:
    """Wait until the account is flat, for *wait_s* seconds at most; *say* is called after every change.

    Do not wait longer when every position that is left waits for the market to open.
    """
    deadline, before = time.monotonic() + wait_s, None
    while True:
        now = progress(record, executor_id)
        if now != before:
            say(now)
        before = now
        if now.flat or now.for_the_open or time.monotonic() >= deadline:
            return now
        threading.Event().wait(_READ_EVERY_S)


def _read(connection: Connection[DictRow], executor_id: str) -> FlattenProgress:
    key = {"executor_id": executor_id}
    wanted = any(switch.flatten for switch in active_switches(connection, account_keys_of(connection, executor_id)))
    snapshot = read_snapshot(connection, executor_id)
    positions = () if snapshot is None else snapshot.positions
    left = {each.symbol: each.quantity for each in positions if each.quantity}
    closings = fetch_all(connection, _Closing, sql("switches", "closings"), key)
    # The oldest exits come first, so for each symbol the newest one remains in the dict.
    newest = {closing.symbol: closing for closing in closings if closing.symbol in left}
    codes = {closing.reason_code for closing in newest.values()}
    return FlattenProgress(
        flat=not wanted,
        left=left,
        waits={symbol: str(closing) for symbol, closing in newest.items()},
        for_the_open=wanted and bool(left) and newest.keys() == left.keys() and codes == {Code.MARKET_CLOSED},
        missing=_missing(living_processes(connection), executor_id),
    )


def _missing(processes: Iterable[LivingProcess], executor_id: str) -> tuple[str, ...]:
    present = {(process.kind, process.name) for process in processes}
    needed = {("keeper", "keeper"): "keeper", ("worker", executor_id): f"worker of {executor_id}"}
    return tuple(name for process, name in needed.items() if process not in present)

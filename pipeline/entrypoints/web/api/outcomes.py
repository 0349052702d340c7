"""Wait for the outcomes of signals: one query serves all requests that wait, and no thread is held meanwhile."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from fastapi.concurrency import run_in_threadpool

from pipeline.intake.intake import Recorded
from pipeline.model.errors import TradewireError
from pipeline.model.states import UNDECIDED
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.views.history import executions_of

_READ_EVERY_S = 0.05

Rows = tuple[ExecutionRow, ...]


@dataclass(kw_only=True, eq=False)
class _Wait:
    signal_id: UUID
    executor_id: str | None
    rows: Rows
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Outcomes:
    """Reads the record while requests wait. Use an instance in one event loop only."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._waits: set[_Wait] = set()
        self._reader: asyncio.Task[None] | None = None

    async def of(self, recorded: Recorded, *, executor_id: str | None, timeout_s: float) -> Rows:
        """Return the signal's executions when all of them are decided, or when *timeout_s* is over.

        With *executor_id*, wait only for this executor's execution. While PostgreSQL is away, go on waiting; at the
        time limit, return the executions as last read.
        """
        wait = _Wait(signal_id=recorded.signal_id, executor_id=executor_id, rows=recorded.executions)
        if are_decided(wait.rows, executor_id):
            return wait.rows
        self._waits.add(wait)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait_for(wait.over.wait(), timeout_s)
        except TimeoutError:
            pass
        finally:
            self._waits.discard(wait)
        return wait.rows

    async def _read(self) -> None:
        while self._waits:
            asked = list({wait.signal_id for wait in self._waits})
            try:
                found = await run_in_threadpool(executions_of, self._record, asked)
            except TradewireError:
                # The requests go on waiting, with the executions as last read.
                found = []
            self._hand_out(found)
            await asyncio.sleep(_READ_EVERY_S)

    def _hand_out(self, found: list[ExecutionRow]) -> None:
        by_signal: dict[UUID, list[ExecutionRow]] = {}
        for row in found:
            by_signal.setdefault(row.signal_id, []).append(row)
        for wait in self._waits:
            if wait.signal_id in by_signal:
                wait.rows = tuple(by_signal[wait.signal_id])
                if are_decided(wait.rows, wait.executor_id):
                    wait.over.set()


def are_decided(rows: Rows, executor_id: str | None) -> bool:
    """Return whether all of *rows* are decided, or those of *executor_id* if it is given."""
    return not any(row.state in UNDECIDED and executor_id in (None, row.executor_id) for row in rows)

"""See that exits come to their end: what is left of the position is tried again, and a flip opens the other way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from pipeline.intake.intake import Intake, Wait
from pipeline.intake.routing import OWN, is_own
from pipeline.model.errors import SourceIdConflict
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Intent
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel
from workers.rules.exits import CLOSES_THE_ACCOUNT

log = structlog.get_logger(__name__)

_BATCH = 100
#: An exit's limit order that rests for so long is canceled, and the next try is a market order.
RESTS_AT_MOST = timedelta(seconds=15)
#: Tries follow each other after 0.5, 1, 2, 4 … s, and never more slowly than this.
LONGEST_GAP = timedelta(seconds=60)
_AGAIN = f"{OWN}exit"


@dataclass(frozen=True, kw_only=True)
class ExitFollowUp:
    """Looks after one executor's exits. Running it twice records nothing twice: every source_id is derived."""

    record: Record
    intake: Intake
    runtime: ExecutorRuntime
    #: Whether a market order could trade now.
    market_is_open: Callable[[], bool]
    #: Late ones that were said already.
    _said: set[UUID] = field(default_factory=set)

    def run_once(self) -> int:
        """Look at what has ended since, what rests and what is late; return how many were followed up.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        key = {"executor_id": self.runtime.executor.id, "limit": _BATCH}
        rows = self.record.run(lambda connection: connection.execute(sql("exit_follow_up", "ended"), key).fetchall())
        for row in rows:
            self._follow_up(row)
        self._wake_resting()
        self._say_late(key)
        return len(rows)

    def _follow_up(self, row: DictRow) -> None:
        if row["state"] is State.FILLED:
            if self.runtime.executor.order.flip == "reverse" and _flips(row):
                self._open_the_other_way(row)
        elif f"{row['source']}" not in CLOSES_THE_ACCOUNT and _tries_again(row):
            # Flatten and flat-by-time see to their own next try.
            self._try_again(row)
        values = {"execution_id": row["execution_id"], "generation": row["generation"]}
        self.record.run(lambda connection: connection.execute(sql("exit_follow_up", "followed_up"), values))

    def _try_again(self, row: DictRow) -> None:
        """Record the rest as an exit of its own; the worker says `no_position` when there is none."""
        left = row["quantity"] - row["filled_quantity"]
        if left <= 0:
            return
        root, tries = _chain(row)
        ended_as = row["order_status"] or row["state"].value
        facts = {"left": left, "tries": tries, "ended_as": ended_as, "execution_id": str(row["execution_id"])}
        if tries > 1:
            log.error("exit.not_done", executor_id=self.runtime.executor.id, symbol=row["symbol"], **facts)
        raw = _signal(row, self.runtime.executor.id) | {
            "source_id": f"{root}:{tries + 1}",
            "intent": Intent.CLOSE,
            "quantity": left,
        }
        wait = Wait(reason=Reason(code=Code.EXIT_NOT_DONE, facts=facts), due_in=gap_after(tries))
        # Where another keeper recorded this try before more of the order was known to be filled, its try stands: no
        # exit sells more than is held.
        with suppress(SourceIdConflict):
            self.intake.record_own(raw, cause="exit", wait=wait)

    def _open_the_other_way(self, row: DictRow) -> None:
        raw = _signal(row, self.runtime.executor.id) | {
            "source_id": str(row["execution_id"]),
            "intent": Intent.OPEN,
            **{name: row[name] for name in ("confidence", "entry_price", "target_price", "stop_price")},
            **{name: row[name] for name in ("generated_at", "expires_at")},
        }
        self.intake.record_own(raw, cause="flip")

    def _wake_resting(self) -> None:
        """Cancel limit orders of exits that the market has left, where a market order could go instead."""
        values = {"executor_id": self.runtime.executor.id, "patience": RESTS_AT_MOST, "open": self.market_is_open()}
        rows = self.record.run(
            lambda connection: connection.execute(sql("exit_follow_up", "resting"), values).fetchall()
        )
        for row in rows:
            log.warning("exit.rests", executor_id=self.runtime.executor.id, order_id=row["order_id"])
            ask_to_cancel(self.record, self.runtime.broker, row["order_id"])

    def _say_late(self, key: dict[str, Any]) -> None:
        rows = self.record.run(lambda connection: connection.execute(sql("exit_follow_up", "late"), key).fetchall())
        late = {row["execution_id"] for row in rows}
        self._said.intersection_update(late)
        for row in rows:
            if row["execution_id"] not in self._said:
                self._said.add(row["execution_id"])
                log.error(
                    "exit.late",
                    executor_id=self.runtime.executor.id,
                    execution_id=str(row["execution_id"]),
                    symbol=row["symbol"],
                    reason=row["reason_code"],
                )


def gap_after(tries: int) -> timedelta:
    """Return the pause after the n-th try (1-based): 0.5, 1, 2, 4 … s, then a minute."""
    return min(timedelta(seconds=0.5 * 2 ** min(tries - 1, 10)), LONGEST_GAP)


def _tries_again(row: DictRow) -> bool:
    """Say whether an exit that ended unfilled was meant to be done: a skip is our own no, unless it says otherwise."""
    return row["state"] is not State.SKIPPED or row["reason_code"] == Code.EXIT_NOT_DONE


def _flips(row: DictRow) -> bool:
    """Say whether a filled exit was a signal that also means the other side."""
    return row["intent"] is Intent.AUTO and not is_own(row["source"])


def _chain(row: DictRow) -> tuple[str, int]:
    """Return the first execution of a chain of tries, and which try this was."""
    if row["source"] != _AGAIN:
        return str(row["execution_id"]), 1
    root, _, tries = str(row["source_id"]).rpartition(":")
    return root, int(tries)


def _signal(row: DictRow, executor_id: str) -> dict[str, Any]:
    body = {"symbol": row["symbol"], "action": row["action"], "executors": [executor_id]}
    return body if row["strategy"] is None else body | {"strategy": row["strategy"]}

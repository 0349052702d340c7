"""Apply the updates of one account's stream to the record, or ask the keeper for a poll."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.fills import FillSource
from pipeline.model.masking import bounded
from pipeline.store.query import execute, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.alpaca.stream_frames import (
    FillRevision,
    ForeignUpdate,
    OrderUpdate,
    StreamMessage,
    UnclearUpdate,
    message_of,
    update_of,
)
from workers.execution.broker_orders import follow, record_broker_order
from workers.execution.fills import correct_fill, is_itemised, record_fill, void_fill
from workers.tracker.verdict import Apply, FillOnly, KnownOrder, NotOurs, Poll, TooEarly, verdict_of

log = structlog.get_logger(__name__)

#: The odd frames that are kept for each executor.
MOST_ODDITIES = 200


@dataclass(frozen=True, kw_only=True)
class UpdateRecorder:
    """Records the updates of one executor's orders. Recording an update twice changes nothing.

    Every method raises RecordUnavailable when PostgreSQL is away.
    """

    record: Record
    executor_id: str
    who: str

    def message(self, frame: str | bytes) -> StreamMessage | None:
        """Read a frame; None if it is not a message of the stream. Such a frame is kept, and a poll is requested."""
        try:
            return message_of(frame)
        except BrokerUnreadable as error:
            self._keep_odd(str(error), frame)
            return None

    def take(
        self, message: StreamMessage, frame: str | bytes, *, ready: Callable[[OrderUpdate], bool]
    ) -> OrderUpdate | None:
        """Record the trade update *message*, which was read from *frame*.

        Return it if it is not *ready*, or its order's sender has not recorded the broker's answer yet. It has to be
        applied a moment later then.
        """
        update = update_of(message.data)
        match update:
            case OrderUpdate():
                return None if ready(update) and self.apply(update) else update
            case FillRevision():
                self._revise(update, frame)
            case UnclearUpdate(odd=True):
                self._keep_odd(update.why, frame)
            case UnclearUpdate():
                self.request_poll(update.why)
            case ForeignUpdate():
                self._check_foreign(update)
            case _:
                assert_never(update)
        return None

    def apply(self, update: OrderUpdate) -> bool:
        """Record *update*; return False if its order's sender has not recorded the broker's answer yet."""
        return self.record.run(lambda connection: self._apply(connection, update))

    def request_poll(self, reason: str) -> None:
        """Ask the keeper to poll the orders now."""
        self.record.run(lambda connection: self._request_poll(connection, reason))

    def _apply(self, connection: Connection[DictRow], update: OrderUpdate) -> bool:
        values = {"client_order_ids": [update.order.client_order_id]}
        known = fetch_maybe(connection, KnownOrder, sql("keeper", "known_orders"), values)
        verdict = verdict_of(known, update, executor_id=self.executor_id)
        match verdict:
            case TooEarly():
                return False
            case Poll():
                self._request_poll(connection, verdict.why)
            case Apply() if known is not None:
                self._follow(connection, known, update)
                if verdict.fill_missed:
                    self._request_poll(connection, "a fill was missed")
            case FillOnly() if known is not None:
                self._record_fill(connection, known, update)
                if verdict.poll is not None:
                    self._request_poll(connection, verdict.poll)
            case Apply() | FillOnly() | NotOurs():
                pass
            case _:
                assert_never(verdict)
        return True

    def _follow(self, connection: Connection[DictRow], known: KnownOrder, update: OrderUpdate) -> None:
        order = update.order
        record_broker_order(connection, order)
        self._record_fill(connection, known, update)
        if follow(connection, known.execution_id, known.generation, order, by=self.who):
            facts = {"order_status": order.raw_status, "filled_quantity": str(order.filled_quantity)}
            log.info("order.followed", execution_id=str(known.execution_id), order_id=order.order_id, **facts)

    def _record_fill(self, connection: Connection[DictRow], known: KnownOrder, update: OrderUpdate) -> None:
        if update.fill is not None:
            record_fill(connection, known.account_number, update.fill, source=FillSource.STREAM)

    def _revise(self, update: FillRevision, frame: str | bytes) -> None:
        """Void or correct the recorded fill. The poll that follows shows the order's state."""

        def unit(connection: Connection[DictRow]) -> str | None:
            values = {"client_order_ids": [update.client_order_id]}
            known = fetch_maybe(connection, KnownOrder, sql("keeper", "known_orders"), values)
            odd = None
            if known is not None and known.executor_id == self.executor_id:
                odd = _revise_fill(connection, known.account_number, update)
            if odd is not None:
                self._keep(connection, odd, frame)
            self._request_poll(connection, odd or "the broker revised a fill")
            return odd

        if (why := self.record.run(unit)) is not None:
            log.warning("stream.frame_odd", executor_id=self.executor_id, why=why)

    def _check_foreign(self, update: ForeignUpdate) -> None:
        values = {"executor_id": self.executor_id, "replaces": update.replaces}
        if update.replaces is not None and self.record.one(bool, sql("streams", "may_replace_ours"), values):
            self.request_poll("an order of ours was replaced")

    def _keep_odd(self, why: str, frame: str | bytes) -> None:
        def unit(connection: Connection[DictRow]) -> None:
            self._keep(connection, why, frame)
            self._request_poll(connection, why)

        self.record.run(unit)
        log.warning("stream.frame_odd", executor_id=self.executor_id, why=why)

    def _keep(self, connection: Connection[DictRow], why: str, frame: str | bytes) -> None:
        text = frame.decode("utf-8", "backslashreplace") if isinstance(frame, bytes) else frame
        # PostgreSQL's text holds no NUL.
        kept = {"why": why, "frame": bounded(text.replace("\0", "\\0")), "most": MOST_ODDITIES}
        execute(connection, sql("streams", "keep_oddity"), kept | {"executor_id": self.executor_id})

    def _request_poll(self, connection: Connection[DictRow], reason: str) -> None:
        execute(connection, sql("streams", "request_poll"), {"executor_id": self.executor_id, "reason": reason})


def _revise_fill(connection: Connection[DictRow], account_number: str, update: FillRevision) -> str | None:
    """Void or correct the recorded fill, and return why a person should see this; None: the record has the fill."""
    if update.is_bust:
        fill = replace(update.fill, fill_id=update.previous_fill_id)
        if void_fill(connection, account_number, fill) or is_itemised(connection, account_number, fill.fill_id):
            return None
        return "it takes back a fill that the record does not have"
    known = is_itemised(connection, account_number, update.previous_fill_id)
    correct_fill(connection, account_number, update.previous_fill_id, update.fill)
    # Until the broker lists the fill, the quantity by which the order changed is not known.
    return None if known else "it corrects a fill that the record does not have"

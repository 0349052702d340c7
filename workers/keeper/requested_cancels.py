"""Send the cancels that persons requested: the request is in the record, so that no death of a process loses it."""

from pipeline.model.reasons import Code
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel


def cancel_requested(record: Record, runtime: ExecutorRuntime) -> None:
    """Ask for the cancel of every order that a person wants canceled, again and again until the order has ended."""
    for order_id in record.all(str, sql("orders_by_hand", "requested"), {"executor_id": runtime.executor.id}):
        ask_to_cancel(record, runtime.broker.canceling(), order_id, reason=Code.CANCELED_BY_PERSON)

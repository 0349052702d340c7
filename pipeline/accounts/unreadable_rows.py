"""The orders and positions at the brokers that tradewire cannot read."""

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import fetch_all
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class UnreadableItem:
    """An order or a position that the broker listed and that could not be read."""

    executor_id: str
    #: `order` or `position`.
    kind: str
    #: The broker's id of the order, or a name of the position.
    row_id: str


def unreadable_rows(connection: Connection[DictRow], executor_ids: Iterable[str]) -> list[UnreadableItem]:
    """Return the unreadable positions of the last readings, and the unreadable orders of the last ten minutes."""
    return fetch_all(
        connection, UnreadableItem, sql("accounts", "unreadable_rows"), {"executor_ids": list(executor_ids)}
    )

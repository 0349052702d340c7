"""What the broker says of symbols, kept for an hour and shared in the record: increments and flags rarely change."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from pipeline.model.account import Asset
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.guarded import GuardedBroker

_KEPT = timedelta(hours=1)
# A symbol that the broker does not know may be listed any day; it is asked for again soon.
_UNKNOWN_KEPT = timedelta(minutes=1)

_FIGURES = ("min_order_size", "min_trade_increment", "price_increment")


class AssetCache:
    """The assets of one broker, read when first needed, by whoever needs them first."""

    def __init__(self, record: Record, *, address: str, broker: GuardedBroker) -> None:
        """Share what is read with all processes that trade at *address*."""
        self._record = record
        self._address = address
        self._broker = broker
        self._kept: dict[str, tuple[Asset | None, float]] = {}

    def get(self, symbol: str, *, urgent: bool = False) -> Asset | None:
        """Return the asset; None when the broker does not know the symbol. *urgent*: it is for an exit.

        Raises:
            BrokerUnavailable: the broker is away, or may not be asked.
            BrokerRefusesAccount: it refuses the account.
            BrokerUnreadable: its answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        asset, until = self._kept.get(symbol, (None, 0.0))
        if time.monotonic() < until:
            return asset
        values = {"broker": self._address, "symbol": symbol, "kept": _KEPT, "unknown_kept": _UNKNOWN_KEPT}
        row = self._record.run(lambda connection: connection.execute(sql("request_budget", "asset"), values).fetchone())
        if row is not None:
            return self._keep(symbol, None if row["body"] is None else _from_json(row["body"]), row["kept_for"])
        asset = (self._broker.urgent() if urgent else self._broker).asset(symbol)
        values |= {"body": None if asset is None else Jsonb(_to_json(asset))}
        self._record.run(lambda connection: connection.execute(sql("request_budget", "save_asset"), values))
        return self._keep(symbol, asset, _UNKNOWN_KEPT if asset is None else _KEPT)

    def _keep(self, symbol: str, asset: Asset | None, kept_for: timedelta) -> Asset | None:
        self._kept[symbol] = (asset, time.monotonic() + kept_for.total_seconds())
        return asset


def _to_json(asset: Asset) -> dict[str, Any]:
    body = asdict(asset)
    return body | {name: None if body[name] is None else str(body[name]) for name in _FIGURES}


def _from_json(body: dict[str, Any]) -> Asset:
    return Asset(**body | {name: None if body[name] is None else Decimal(body[name]) for name in _FIGURES})

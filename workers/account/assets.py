"""The broker's data on symbols. It rarely changes, so it is kept for an hour and shared in the record."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from pipeline.model.account import Asset
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.guarded import GuardedBroker

_KEPT = timedelta(hours=1)
# An exit accepts an older reading, so that it need not wait for a new one.
_KEPT_FOR_EXITS = timedelta(days=7)
# The broker may list a new symbol at any time, so a symbol that it does not know is read again soon.
_UNKNOWN_KEPT = timedelta(minutes=1)

_ASSET = TypeAdapter(Asset)


@dataclass(frozen=True, kw_only=True)
class _KeptAsset:
    #: None: the broker does not know the symbol.
    body: dict[str, Any] | None
    #: The time until the reading is too old.
    kept_for: timedelta


class AssetCache:
    """The assets of one broker. The first process that needs an asset reads it, and shares it with the others."""

    def __init__(self, record: Record, *, address: str, broker: GuardedBroker) -> None:
        """Share the assets with all processes that use the broker at *address*."""
        self._record = record
        self._address = address
        self._broker = broker
        self._kept: dict[str, tuple[Asset | None, float]] = {}

    def get(self, symbol: str, *, urgent: bool = False) -> Asset | None:
        """Return the asset; None when the broker does not know the symbol. *urgent*: the asset is for an exit.

        Raises:
            BrokerUnavailable: the broker is away, or the account's budget has no room for the request.
            BrokerRefusesAccount: the broker refuses the account.
            BrokerUnreadable: the broker's answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        asset, until = self._kept.get(symbol, (None, 0.0))
        if time.monotonic() < until:
            return asset
        keeps = _KEPT_FOR_EXITS if urgent else _KEPT
        values = {"broker": self._address, "symbol": symbol, "kept": keeps, "unknown_kept": _UNKNOWN_KEPT}
        kept = self._record.maybe(_KeptAsset, sql("request_budget", "asset"), values)
        if kept is not None:
            asset = None if kept.body is None else _ASSET.validate_python(kept.body)
            return asset if urgent else self._keep(symbol, asset, kept.kept_for)
        asset = (self._broker.urgent() if urgent else self._broker).asset(symbol)
        body = None if asset is None else Jsonb(_ASSET.dump_python(asset, mode="json"))
        self._record.do(sql("request_budget", "save_asset"), values | {"body": body})
        return self._keep(symbol, asset, _UNKNOWN_KEPT if asset is None else _KEPT)

    def _keep(self, symbol: str, asset: Asset | None, kept_for: timedelta) -> Asset | None:
        self._kept[symbol] = (asset, time.monotonic() + kept_for.total_seconds())
        return asset

"""The stage of the Alpaca adapter: a new account at a running paper exchange."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from tests.contract.stages import Fault, Kind
from tests.exchange_fixtures import ExchangeProcess
from workers.brokers.protocol import Broker
from workers.brokers.registry import open_broker

_SUBMIT = {
    Fault.OVER_RATE: "429",
    Fault.ERROR: "5xx_before",
    Fault.ERROR_AFTER: "5xx_after",
    Fault.CUT: "drop_before",
    Fault.CUT_AFTER: "drop_after",
    Fault.SILENCE_AFTER: "silence_after",
    Fault.NONSENSE_AFTER: "garbage",
}
#: The exchange applies an "after" fault only to a successful request, and a read may answer 404, so reads use "before".
_READ = _SUBMIT | {Fault.SILENCE_AFTER: "silence_before", Fault.NONSENSE_AFTER: "garbage_before"}
_KINDS_OF_READS = ("lookup", "list", "account", "positions", "assets", "clock", "activities", "prices")
_SECRET = SecretStr("the-right-secret-of-this-account")


class AlpacaStage:
    """See `Stage`. Faults and blocks apply only to this stage's account; prices apply to all accounts."""

    def __init__(self, exchange: ExchangeProcess) -> None:
        self._exchange = exchange
        self._key = f"PK{uuid.uuid4().hex[:18].upper()}"
        self._brokers: list[Broker] = []

    def open(self, *, timeout_s: float = 5.0, right_keys: bool = True) -> Broker:
        secret = _SECRET if right_keys else SecretStr("another-secret")
        return self._open(self._exchange.url, secret, timeout_s)

    def open_at_a_closed_port(self) -> Broker:
        return self._open(f"http://127.0.0.1:{free_port()}", _SECRET, 5.0)

    def price(self, symbol: str, price: Decimal) -> None:
        self._exchange.admin("prices", {symbol: str(price)})

    def transfer(self, amount: Decimal, *, day: date | None = None) -> None:
        body: dict[str, Any] = {"key": self._key, "deposit": str(amount)}
        if day is not None:
            at = datetime.combine(day, time(), ZoneInfo("America/New_York"))
            body |= {"deposited_at": at.isoformat(), "deposit_day_only": True}
        self._exchange.admin("accounts", body)

    def fault(self, kind: Kind, fault: Fault) -> None:
        if kind is Kind.SUBMIT:
            self._faults({"on": "submit", "kind": _SUBMIT[fault]})
        else:
            self._faults(*({"on": on, "kind": _READ[fault]} for on in _KINDS_OF_READS))

    def fill_in_parts(self) -> None:
        self._faults({"on": "submit", "kind": "partial_fill", "seconds": 3600})

    def hide_new_orders(self) -> None:
        self._faults(*({"on": on, "kind": "lagging_reads", "seconds": 3600} for on in ("lookup", "list")))

    def block_account(self) -> None:
        self._exchange.admin("accounts", {"key": self._key, "trading_blocked": True})

    def heal(self) -> None:
        self._faults()
        self._exchange.admin("accounts", {"key": self._key, "trading_blocked": False})

    def close(self) -> None:
        self.heal()
        for broker in self._brokers:
            broker.close()

    def _open(self, url: str, secret: SecretStr, timeout_s: float) -> Broker:
        broker = open_broker("alpaca", api_key=self._key, api_secret=secret, base_url=url, timeout_s=timeout_s)
        self._brokers.append(broker)
        return broker

    def _faults(self, *faults: dict[str, Any]) -> None:
        self._exchange.admin("faults", {"faults": [{"key": self._key} | fault for fault in faults]})

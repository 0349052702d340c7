"""Talk to the paper exchange's admin routes: set faults and prices, and read the third ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from pipeline.entrypoints.drill.processes import DrillFailed, wait_until
from pipeline.entrypoints.drill.schedule import Fault
from pipeline.entrypoints.drill.sending import PRICE

#: Enough for any number of signals: buying power is not what is drilled.
_CASH = "1000000000"
_TIMEOUT_S = 10.0


class DrilledExchange:
    """The exchange of one drill."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/admin", timeout=_TIMEOUT_S, trust_env=False)
        self._faults: Sequence[Fault] = ()
        self._seed = 0
        #: How often each kind of fault struck.
        self.strikes: dict[str, int] = {}

    def prepare(self, symbols: Sequence[str], accounts: Sequence[str]) -> None:
        """Pin the prices, fund the accounts and stop the bars, once it answers."""
        wait_until(self.answers, within_s=30.0, what="the exchange answers")
        self._post("prices", dict.fromkeys(symbols, str(PRICE)))
        for key in accounts:
            self._post("accounts", {"key": key, "cash": _CASH})

    def answers(self) -> bool:
        """Say whether it is there."""
        try:
            return self._client.get("faults").is_success
        except httpx.HTTPError:
            return False

    def set_faults(self, faults: Sequence[Fault], *, seed: int) -> bool:
        """Have these faults and no others; False: the exchange is down, and `remind` has to tell it later."""
        self.note_strikes()
        self._faults, self._seed = faults, seed
        return self.remind()

    def remind(self) -> bool:
        """Tell an exchange that was started again its faults, which it keeps in memory only; False while it is down."""
        try:
            self._post("faults", {"seed": self._seed, "faults": list(self._faults)})
        except httpx.HTTPError:
            return False
        return True

    def note_strikes(self) -> None:
        """Add up how often the present faults struck; a later call counts them anew."""
        try:
            plan = self._client.get("faults").json()
        except (httpx.HTTPError, ValueError):
            return
        # What always strikes is how the drill's exchange is, not a fault.
        for fault in (each for each in plan["faults"] if each["probability"] < 1 or "count" in each):
            self.strikes[fault["kind"]] = self.strikes.get(fault["kind"], 0) + fault["hits"]

    def orders(self, account: str) -> list[Mapping[str, Any]]:
        """Return all orders of an account, in the order in which they were accepted.

        Raises:
            DrillFailed: the exchange does not answer.
        """
        try:
            answer = self._client.get("orders", params={"key": account})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise DrillFailed(f"the exchange's ledger cannot be read: {error}") from error
        orders: list[Mapping[str, Any]] = answer.json()
        return orders

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, path: str, body: object) -> None:
        self._client.post(path, json=body).raise_for_status()

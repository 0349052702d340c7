"""Call the paper exchange: set faults and prices, read what it holds, and place orders that tradewire does not know."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import httpx
from pydantic import BaseModel, TypeAdapter

from config.schema.broker_hosts import EXCHANGE_SECRET
from pipeline.entrypoints.drill.ledgers import HeldOrder
from pipeline.entrypoints.drill.processes import DrillFailed, wait_until
from pipeline.entrypoints.drill.schedule import FaultBody
from pipeline.entrypoints.drill.sending import PRICE

#: Dollars in each account: enough for any number of signals, since a drill does not test buying power.
_CASH = "1000000000"
_TIMEOUT_S = 10.0
#: Seconds that an order by hand, or its cancel, may take. Until the answer comes, which a fault may delay, the drill
#: breaks nothing else.
_BY_HAND_TIMEOUT_S = 1.0
_ORDERS = TypeAdapter(list[HeldOrder])


class HeldAccount(BaseModel):
    """An account at the exchange, and its position in each symbol."""

    key: str
    account_number: str
    positions: dict[str, Decimal]


class _State(BaseModel):
    accounts: list[HeldAccount]


class ExchangeAdmin:
    """A drill's exchange."""

    def __init__(self, url: str, token: str) -> None:
        self._orders_url = f"{url}/v2/orders"
        login = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=f"{url}/admin", headers=login, timeout=_TIMEOUT_S, trust_env=False)
        self._faults: Sequence[FaultBody] = ()
        self._seed = 0
        #: How often each kind of fault was applied.
        self.fault_hits: dict[str, int] = {}

    def prepare(self, symbols: Sequence[str], accounts: Sequence[str]) -> None:
        """Wait until the exchange answers, then pin the prices and fund the accounts."""
        wait_until(self.answers, within_s=30.0, what="the exchange answers")
        self._post("prices", dict.fromkeys(symbols, str(PRICE)))
        for key in accounts:
            self._post("accounts", {"key": key, "cash": _CASH})

    def answers(self) -> bool:
        """Return whether the exchange answers."""
        try:
            return self._client.get("faults").is_success
        except httpx.HTTPError:
            return False

    def set_faults(self, faults: Sequence[FaultBody], *, seed: int) -> bool:
        """Replace the active faults; return False when the exchange is down: then call `resend_faults` later."""
        self.count_fault_hits()
        self._faults, self._seed = faults, seed
        return self.resend_faults()

    def resend_faults(self) -> bool:
        """Send the faults again, because the exchange forgets them when it restarts; return False while it is down."""
        try:
            self._post("faults", {"seed": self._seed, "faults": list(self._faults)})
        except httpx.HTTPError:
            return False
        return True

    def count_fault_hits(self) -> None:
        """Add up how often the active faults were applied. Call this once before they are replaced or lost."""
        try:
            plan = self._client.get("faults").json()
        except (httpx.HTTPError, ValueError):
            return
        # The permanent latency is a property of the drill's exchange, so it does not count as a fault.
        for fault in (each for each in plan["faults"] if each["probability"] < 1 or "count" in each):
            self.fault_hits[fault["kind"]] = self.fault_hits.get(fault["kind"], 0) + fault["hits"]

    def orders(self, account: str) -> list[HeldOrder]:
        """Return all orders of an account, in the order in which they were accepted.

        Raises:
            DrillFailed: the exchange does not answer, or answers with an error.
        """
        return _ORDERS.validate_json(self._read("orders", key=account))

    def accounts(self) -> list[HeldAccount]:
        """Return all accounts.

        Raises:
            DrillFailed: the exchange does not answer, or answers with an error.
        """
        return _State.model_validate_json(self._read("state")).accounts

    def restrict(self, account: str, *, liquidation_only: bool) -> None:
        """Set whether the account may only close positions; raises `httpx.HTTPError`."""
        self._post("accounts", {"key": account, "liquidation_only": liquidation_only})

    def place(self, account: str, order: Mapping[str, str]) -> bool:
        """Place an order with the account's keys; return whether the exchange has it. Raises `httpx.HTTPError`."""
        answer = self._client.post(self._orders_url, json=order, headers=_keys(account), timeout=_BY_HAND_TIMEOUT_S)
        if "must be unique" in answer.text:
            return True
        try:
            return answer.is_success and "id" in answer.json()
        except ValueError:
            return False

    def cancel(self, account: str, order_id: str) -> None:
        """Ask to cancel an order, with the account's keys. The order may stay open. Raises `httpx.HTTPError`."""
        address = f"{self._orders_url}/{order_id}"
        self._client.delete(address, headers=_keys(account), timeout=_BY_HAND_TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read(self, path: str, **query: str) -> bytes:
        try:
            answer = self._client.get(path, params=query)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise DrillFailed(f"the exchange's {path} cannot be read: {error}") from error
        return answer.content

    def _post(self, path: str, body: object) -> None:
        self._client.post(path, json=body).raise_for_status()


def _keys(account: str) -> dict[str, str]:
    """Return the headers with the keys of an executor at the paper exchange."""
    return {"APCA-API-KEY-ID": account, "APCA-API-SECRET-KEY": EXCHANGE_SECRET}

"""Open an executor's broker account in this process, with the shared readings of the account."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.outages import Need, outage_of
from pipeline.store.record import Record
from workers.account.address import account_address
from workers.account.assets import AssetCache
from workers.account.calendar import Calendar
from workers.account.open_orders import SharedOpenOrders
from workers.account.snapshots import Snapshots
from workers.brokers.guarded import GuardedBroker
from workers.brokers.rate_budget import RateBudget
from workers.brokers.registry import open_broker
from workers.brokers.request_guard import RequestGuard

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExecutorRuntime:
    """One executor's guarded broker, and the shared readings of its account."""

    executor: ExecutorSettings
    broker: GuardedBroker
    budget: RateBudget
    snapshots: Snapshots
    assets: AssetCache
    calendar: Calendar
    open_orders: SharedOpenOrders

    @property
    def urgent(self) -> GuardedBroker:
        """Return the broker with all its requests paid for as urgent, like those of exits and look-ups."""
        return self.broker.urgent()

    def of_market(self, symbol: str, read: Callable[[str], T | None]) -> T | None:
        """Return the result of *read*; None also when the market data service cannot be read, or refuses the keys."""
        try:
            return read(symbol)
        except (BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable) as error:
            log.debug("price.failed", executor_id=self.executor.id, symbol=symbol, error=str(error))
            return None

    def close(self) -> None:
        """Release the broker's connections."""
        self.broker.close()


def open_runtime(
    executor: ExecutorSettings, *, settings: Settings, exchange_url: str | None, record: Record
) -> ExecutorRuntime:
    """Open the executor's broker account; nothing is sent yet. Raises what `open_account` raises."""
    budget = RateBudget(record, executor_id=executor.id, per_minute=executor.limits.requests_per_minute)
    broker, address = open_account(executor, settings=settings, exchange_url=exchange_url, budget=budget)
    return ExecutorRuntime(
        executor=executor,
        broker=broker,
        budget=budget,
        snapshots=Snapshots(record, executor, broker, keys=broker.keys),
        assets=AssetCache(record, address=address, broker=broker),
        calendar=Calendar(record, executor, broker),
        open_orders=SharedOpenOrders(broker.urgent()),
    )


def open_account(
    executor: ExecutorSettings, *, settings: Settings, exchange_url: str | None, budget: RateBudget | None = None
) -> tuple[GuardedBroker, str]:
    """Return the executor's broker account and its address; nothing is sent yet.

    Without *budget*, which needs the record, its requests are neither counted nor limited.

    Raises:
        ConfigInvalid: there is no address or no key for it, its mode does not allow the address, its broker is not
            registered, or the broker does not accept the values.
    """
    address = account_address(executor, settings=settings, exchange_url=exchange_url)
    broker = open_broker(
        executor.broker,
        api_key=address.api_key,
        api_secret=address.api_secret,
        base_url=address.base_url,
        timeout_s=executor.retry.broker_timeout_s,
    )
    outage = outage_of(Need.BROKER, f"{executor.id} {address.base_url}", executor_id=executor.id)
    named = hashlib.sha256(f"{address.base_url} {address.api_key}".encode()).hexdigest()[:16]
    return GuardedBroker(broker, RequestGuard(outage=outage, budget=budget), keys=named), address.base_url


def open_runtimes(
    executors: Mapping[str, ExecutorSettings], *, settings: Settings, exchange_url: str | None, record: Record
) -> dict[str, ExecutorRuntime]:
    """Open every executor's broker account; nothing is sent yet. Raises what `open_account` raises."""
    return {
        executor.id: open_runtime(executor, settings=settings, exchange_url=exchange_url, record=record)
        for executor in executors.values()
    }

"""Open an executor's broker account in this process, with the shared readings of the account."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from config.schema.broker_hosts import gets_keys, host_fault
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings, executor_keys
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.outages import Need, outage_of
from pipeline.store.record import Record
from workers.account.assets import AssetCache
from workers.account.calendar import Calendar
from workers.account.open_orders import SharedOpenOrders
from workers.account.snapshots import Snapshots
from workers.brokers.guarded import GuardedBroker
from workers.brokers.rate_budget import RateBudget
from workers.brokers.registry import open_broker
from workers.brokers.request_guard import RequestGuard

#: Sent to the paper exchange in place of an account's secret: it opens an account for any key that it has not seen.
EXCHANGE_SECRET = "paper-exchange"  # noqa: S105 -- it opens nothing but play money on this machine


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
    keys = executor_keys(settings, executor.id)
    base_url = executor.base_url
    if executor.mode == "exchange":
        base_url = base_url or exchange_url
        if keys is None or not gets_keys(executor.mode, base_url or ""):
            keys = (executor.id, SecretStr(EXCHANGE_SECRET))
    if base_url is None or keys is None:
        message = "no exchange is known: run beside `tradewire up`, or set TRADEWIRE_EXCHANGE_URL"
        raise ConfigInvalid([Problem(key=f"executors.{executor.id}.base_url", message=message)])
    # Check the address here too: every broker client is opened here, and an address that does not come from the
    # executors file has not been checked before.
    fault = host_fault(executor.mode, base_url, executor.base_url_allowed)
    if fault is not None:
        raise ConfigInvalid([Problem(key=f"executors.{executor.id}.base_url", message=fault)])
    broker = open_broker(
        executor.broker,
        api_key=keys[0],
        api_secret=keys[1],
        base_url=base_url,
        timeout_s=executor.retry.broker_timeout_s,
    )
    outage = outage_of(Need.BROKER, f"{executor.id} {base_url}", executor_id=executor.id)
    named = hashlib.sha256(f"{base_url} {keys[0]}".encode()).hexdigest()[:16]
    return GuardedBroker(broker, RequestGuard(outage=outage, budget=budget), keys=named), base_url


def open_runtimes(
    executors: Mapping[str, ExecutorSettings], *, settings: Settings, exchange_url: str | None, record: Record
) -> dict[str, ExecutorRuntime]:
    """Open every executor's broker account; nothing is sent yet. Raises what `open_account` raises."""
    return {
        executor.id: open_runtime(executor, settings=settings, exchange_url=exchange_url, record=record)
        for executor in executors.values()
    }

"""Find the address and the keys of an executor's account, and refuse an address that its mode does not allow."""

from dataclasses import dataclass

from pydantic import SecretStr

from config.schema.broker_hosts import EXCHANGE_SECRET, gets_keys, host_fault
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings, executor_keys
from pipeline.model.errors import ConfigInvalid, Problem


@dataclass(frozen=True, kw_only=True)
class AccountAddress:
    """Where an executor's account is, and the keys that open it."""

    base_url: str
    api_key: str
    api_secret: SecretStr


def account_address(executor: ExecutorSettings, *, settings: Settings, exchange_url: str | None) -> AccountAddress:
    """Return the address and the keys of the executor's account.

    Raises:
        ConfigInvalid: there is no address or no key for it, or its mode does not allow the address.
    """
    keys = executor_keys(settings, executor.id)
    base_url = executor.base_url
    if executor.mode == "exchange":
        base_url = base_url or exchange_url
        if keys is None or not gets_keys(executor.mode, keys[1].get_secret_value()):
            keys = (executor.id, SecretStr(EXCHANGE_SECRET))
    if base_url is None or keys is None:
        message = "no exchange is known: start `tradewire up`, or set TRADEWIRE_EXCHANGE_URL"
        raise ConfigInvalid([Problem(key=f"executors.{executor.id}.base_url", message=message)])
    # Check the address here too: every connection to a broker is opened with this address, and one that does not come
    # from the executors file has not been checked before.
    fault = host_fault(executor.mode, base_url, executor.base_url_allowed)
    if fault is not None:
        raise ConfigInvalid([Problem(key=f"executors.{executor.id}.base_url", message=fault)])
    return AccountAddress(base_url=base_url, api_key=keys[0], api_secret=keys[1])

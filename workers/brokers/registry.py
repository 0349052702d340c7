"""Open a broker by its registered name."""

from typing import cast

from pydantic import SecretStr

from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.plugins import installed_plugins
from workers.brokers.protocol import Broker


def open_broker(broker: str, *, api_key: str, api_secret: SecretStr, base_url: str, timeout_s: float) -> Broker:
    """Return one account at the broker that is registered as *broker*. Nothing is sent yet.

    *timeout_s* is the seconds that one request may take until its answer is complete.

    Raises:
        ConfigInvalid: no broker is registered under this name, or it does not accept these values.
    """
    known = installed_plugins("tradewire.brokers")
    if broker not in known:
        names = ", ".join(sorted(known)) or "none"
        raise ConfigInvalid([Problem(key="broker", message=f"{broker!r} is not known; known: {names}")])
    opener = known[broker].load()
    return cast("Broker", opener(api_key=api_key, api_secret=api_secret, base_url=base_url, timeout_s=timeout_s))


def registered_brokers() -> list[str]:
    """Return the names of all registered brokers, sorted."""
    return sorted(installed_plugins("tradewire.brokers"))

"""Tell one channel one message, through apprise."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
from pydantic import SecretStr

from pipeline.monitoring.alerts.messages import Message

#: Tells a message at an address; True when it was taken.
Tell = Callable[[SecretStr, Message], bool]

_PING_TIMEOUT_S = 10.0


def tell(address: SecretStr, message: Message) -> bool:
    """Tell *message* at an address of apprise; True when it was taken. Takes at most about ten seconds."""
    apprise = _apprise()
    told = apprise.Apprise()
    if not told.add(address.get_secret_value()):
        return False
    kinds = {"over": apprise.NotifyType.SUCCESS, "warning": apprise.NotifyType.WARNING}
    kind = kinds.get(message.severity, apprise.NotifyType.FAILURE)
    return bool(told.notify(title=message.title, body=message.body, notify_type=kind))


def understands(address: SecretStr) -> bool:
    """Say whether apprise knows how to tell anything at *address*. Nothing is sent."""
    return bool(_apprise().Apprise().add(address.get_secret_value()))


def ping(address: SecretStr) -> bool:
    """Ask for an address, to say that all is watched; True when it answered."""
    try:
        return httpx.get(address.get_secret_value(), timeout=_PING_TIMEOUT_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@cache
def _apprise() -> Any:
    """Return the library, with its log shut: what it says of a failure may hold the address."""
    import apprise  # noqa: PLC0415 -- slow, and only needed when something is told

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise

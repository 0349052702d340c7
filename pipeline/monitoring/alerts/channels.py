"""Send one message to one channel, through apprise."""

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
from pydantic import SecretStr

from pipeline.model.texts import printable
from pipeline.monitoring.alerts.messages import Message

#: Sends a message to an address; True when the channel accepted it.
Send = Callable[[SecretStr, Message], bool]

_PING_TIMEOUT_S = 10.0


def choose_proxies(proxies: str) -> None:
    """If *proxies* is `off`, no message of this process uses a proxy. Other requests of tradewire never use one."""
    if proxies == "off":
        # apprise has no option for it, and requests, which it uses, reads both spellings.
        os.environ.update(NO_PROXY="*", no_proxy="*")


def send(address: SecretStr, message: Message) -> bool:
    """Send *message* to an apprise address; True when it was accepted. Takes at most about ten seconds."""
    apprise = _apprise()
    channel = apprise.Apprise()
    if not channel.add(address.get_secret_value()):  # No service of apprise has such an address.
        return False
    kinds = {"over": apprise.NotifyType.SUCCESS, "warning": apprise.NotifyType.WARNING}
    kind = kinds.get(message.severity, apprise.NotifyType.FAILURE)  # All others are critical.
    texts = {"title": printable(message.title), "body": printable(message.body, lines=True)}
    # apprise escapes plain text for the services that would read it as HTML or Markdown.
    return bool(channel.notify(**texts, notify_type=kind, body_format=apprise.NotifyFormat.TEXT))


def ping(address: SecretStr) -> bool:
    """Request the address of the dead-man service; True when it answered."""
    try:
        return httpx.get(address.get_secret_value(), timeout=_PING_TIMEOUT_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@cache
def _apprise() -> Any:
    # apprise's log is turned off, because its error messages may contain the address, which is a secret.
    import apprise  # noqa: PLC0415 -- slow to import, and only needed when a message is sent

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise

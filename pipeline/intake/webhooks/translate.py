"""Translate a body into a signal: recognise the dialect, read the alert, and choose the id that its re-sends share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks import plain, signalstack, template, traderspost, tradingview
from pipeline.intake.webhooks.body import WebhookBody
from pipeline.intake.webhooks.compose import compose
from pipeline.intake.webhooks.message import Alert, RefusalCode
from pipeline.intake.webhooks.values import FRESH
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import read_signal


class Identity(StrEnum):
    """How a re-send of the same signal is recognised."""

    #: By the id in the body.
    GIVEN = "given"
    #: By the whole body, since it says when the alert fired.
    FIRED = "fired"
    #: By the whole body, within 35 s.
    BODY = "body"


#: For this long after the first delivery, the same body without id and time is a re-send. TradingView's fourth and
#: last try begins at most 24 s after its first.
RESEND_WITHIN = FRESH

#: The sentence that people read for each identity.
IDENTITY_TEXTS = {
    Identity.GIVEN: "the body has an id",
    Identity.FIRED: "the body says when the alert fired, so the same body is the same signal",
    Identity.BODY: (
        f"the body has neither an id nor a time of firing: the same body within {RESEND_WITHIN.seconds} s is a re-send"
    ),
}

_TEXT = "text"
_TRADERSPOST_ONLY = traderspost.OWN | traderspost.OPTIONS | {"sentiment"}
_TRADERSPOST_ACTIONS = frozenset({"add", "cancel", "reverse"})


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The signal of a body, and how a re-send of it is recognised."""

    #: tradingview, traderspost, signalstack, template or text.
    dialect: str
    #: The raw signal, without source and source_id.
    signal: dict[str, Any]
    identity: Identity
    #: None when `deliveries.claim` has to make it.
    source_id: str | None
    notes: tuple[str, ...]


def translate(body: WebhookBody, webhook: WebhookSettings, *, now: datetime) -> Translation:
    """Return the signal of *body*. *now*, by the record's clock, decides whether `time` is the time of the alert.

    Raises:
        InvalidSignal: *body* cannot be read as a signal; the message says what to change in the alert.
    """
    dialect = dialect_of(body.content, webhook)
    alert = _read(body.content, dialect, webhook, now)
    signal, notes = compose(alert, webhook)
    identity, source_id = _identity(alert, body)
    read_signal(signal | ({} if source_id is None else {"source_id": source_id}))
    return Translation(dialect=dialect, signal=signal, identity=identity, source_id=source_id, notes=notes)


def dialect_of(content: Mapping[str, Any] | str, webhook: WebhookSettings) -> str:
    """Return the dialect of a body: the webhook's or, if that is `auto`, the dialect for which its keys are typical.

    Raises:
        InvalidSignal: the body is text, and the webhook's dialect is JSON only.
    """
    if isinstance(content, str):
        if webhook.dialect in ("template", "traderspost"):
            raise InvalidSignal(
                RefusalCode.UNREADABLE, f"the dialect {webhook.dialect} needs a JSON object, and the body is text"
            )
        return _TEXT
    if webhook.dialect != "auto":
        return webhook.dialect
    keys = set(content)
    action = content["action"] if isinstance(content.get("action"), str) else None
    legs = any(isinstance(content.get(key), dict) for key in ("stopLoss", "takeProfit"))
    if "ticker" in keys and (legs or keys & _TRADERSPOST_ONLY or action in _TRADERSPOST_ACTIONS):
        return "traderspost"
    stop_order = "stop_price" in keys and not keys & {"entry_price", "price", "close"}
    if "symbol" in keys and (stop_order or keys & signalstack.OWN or action == "cancel"):
        return "signalstack"
    return "tradingview"


def _read(content: Mapping[str, Any] | str, dialect: str, webhook: WebhookSettings, now: datetime) -> Alert:
    if isinstance(content, str):
        return plain.read(content, now)
    if webhook.template is not None:
        return template.read(content, webhook.template, sizes=webhook.quantity == "use")
    reader = {"traderspost": traderspost.read, "signalstack": signalstack.read}.get(dialect, tradingview.read)
    return reader(content, now)


def _identity(alert: Alert, body: WebhookBody) -> tuple[Identity, str | None]:
    if alert.source_id is not None:
        return Identity.GIVEN, alert.source_id
    if alert.fired_at is not None:
        return Identity.FIRED, f"fired-{body.digest[:40]}"
    return Identity.BODY, None

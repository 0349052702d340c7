"""Compose the signal that an alert means: side, intent, size and price, or a refusal that says what to add."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.message import Alert, RefusalCode, SentPosition, Word
from pipeline.intake.webhooks.ticker import our_symbol
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Action, Intent

_AFTER = {Action.BUY: SentPosition.LONG, Action.SELL: SentPosition.SHORT}
_CLOSES = {SentPosition.LONG: Action.SELL, SentPosition.SHORT: Action.BUY}


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What is to be done, and how much of it."""

    action: Action
    intent: Intent
    quantity: Decimal | None
    note: str | None = None


def compose(alert: Alert, webhook: WebhookSettings) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the signal as `signal send` reads it, without its source and source_id, and what to say of it.

    Raises:
        InvalidSignal: the alert cannot be said as a signal.
    """
    symbol = our_symbol(alert.symbol, webhook)
    meant = _meant(alert, webhook)
    closes = meant.intent is Intent.CLOSE
    if alert.price is None and not closes:
        message = (
            'an entry needs the price at the time of the alert: add "price": "{{close}}" to its message, '
            "or in plain text `buy AAPL at {{close}}`"
        )
        raise InvalidSignal(RefusalCode.NO_PRICE, message)
    fields = {
        "symbol": symbol,
        "action": meant.action.value,
        "intent": meant.intent.value,
        "confidence": webhook.confidence if alert.confidence is None else alert.confidence,
        "entry_price": alert.price,
        "stop_price": None if closes else alert.stop_price,
        "target_price": None if closes else alert.target_price,
        "quantity": meant.quantity if webhook.quantity == "use" else None,
        "strategy": alert.strategy or webhook.strategy,
        "generated_at": alert.fired_at,
        "expires_at": alert.expires_at,
        "executors": _executors(alert, webhook),
    }
    notes = (*alert.notes, *([meant.note] if meant.note else []))
    return {key: value for key, value in fields.items() if value is not None}, notes


def _meant(alert: Alert, webhook: WebhookSettings) -> Meant:
    match alert.word:
        case Word.CLOSE_LONG:
            return Meant(action=Action.SELL, intent=Intent.CLOSE, quantity=alert.quantity)
        case Word.CLOSE_SHORT:
            return Meant(action=Action.BUY, intent=Intent.CLOSE, quantity=alert.quantity)
        case Word.CLOSE:
            return _exit(alert, webhook)
        case Word.BUY:
            return _order(alert, Action.BUY)
        case Word.SELL:
            return _order(alert, Action.SELL)


def _exit(alert: Alert, webhook: WebhookSettings) -> Meant:
    """Find the side of an exit: what the sender held before, what is left of it, or what the webhook's exits close."""
    told = next((side for side in (alert.previous, alert.position) if side in _CLOSES), None)
    side = told or SentPosition(webhook.exits)
    note = None if told else f"which side to close is not told: a {side} position (webhooks.{webhook.name}.exits)"
    return Meant(action=_CLOSES[side], intent=Intent.CLOSE, quantity=alert.quantity, note=note)


def _order(alert: Alert, action: Action) -> Meant:
    """Tell an order that opens from one that closes, by the sender's positions before and after it."""
    after, before = _AFTER[action], alert.previous
    if alert.closes or alert.position not in (None, after):
        # Flat afterwards closes all there is; a position on the other side means that a part of it is closed.
        every = alert.position is SentPosition.FLAT
        return Meant(action=action, intent=Intent.CLOSE, quantity=None if every else alert.quantity)
    if alert.opens or before is SentPosition.FLAT or (before is after and alert.position is after):
        return Meant(action=action, intent=Intent.OPEN, quantity=alert.quantity)
    if before is not None and before is not after and alert.position is after:
        note = "the order turns the position, and its contracts count both ways: "
        note += "the size afterwards is used" if alert.position_size else "the executor sizes"
        return Meant(action=action, intent=Intent.AUTO, quantity=alert.position_size or None, note=note)
    return Meant(action=action, intent=Intent.AUTO, quantity=alert.quantity)


def _executors(alert: Alert, webhook: WebhookSettings) -> list[str] | None:
    """Return whom it is for: the webhook's executors, or those of them that the alert names."""
    if alert.executors is None or webhook.executors is None:
        named = webhook.executors if alert.executors is None else alert.executors
        return None if named is None else list(named)
    beyond = [name for name in alert.executors if name not in webhook.executors]
    if beyond:
        message = f"executors: {beyond[0][:40]} is not among those of this webhook, {', '.join(webhook.executors)}"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    return list(alert.executors)

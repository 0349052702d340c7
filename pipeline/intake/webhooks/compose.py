"""Compose the signal of an alert: side, intent, size and price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode, SentPosition
from pipeline.intake.webhooks.ticker import our_symbol
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Action, Intent

_AFTER = {Action.BUY: SentPosition.LONG, Action.SELL: SentPosition.SHORT}
_CLOSES = {SentPosition.LONG: Action.SELL, SentPosition.SHORT: Action.BUY}

_NO_PRICE = (
    'an entry needs the price at the time of the alert: add "price": "{{close}}" to its message, '
    "or in plain text `buy AAPL at {{close}}`"
)


@dataclass(frozen=True, kw_only=True)
class ComposedOrder:
    """The side, the intent and the quantity of an alert's order, with a note about how they were found."""

    action: Action
    intent: Intent
    quantity: Decimal | None
    note: str | None = None


def compose(alert: Alert, webhook: WebhookSettings) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the raw signal without its source and source_id, and notes about how the alert was read.

    Raises:
        InvalidSignal: the alert cannot be expressed as a signal.
    """
    symbol = our_symbol(alert.symbol, webhook)
    order = _order_of(alert, webhook)
    closes = order.intent is Intent.CLOSE
    if alert.price is None and not closes:
        raise InvalidSignal(RefusalCode.NO_PRICE, _NO_PRICE)
    fields = {
        "symbol": symbol,
        "action": order.action.value,
        "intent": order.intent.value,
        "confidence": webhook.confidence if alert.confidence is None else alert.confidence,
        "entry_price": alert.price,
        "stop_price": None if closes else alert.stop_price,
        "target_price": None if closes else alert.target_price,
        "quantity": order.quantity if webhook.quantity == "use" else None,
        "strategy": alert.strategy or webhook.strategy,
        "generated_at": alert.fired_at,
        "expires_at": alert.expires_at,
        "executors": _executors(alert, webhook),
    }
    notes = (*alert.notes, *([order.note] if order.note else []))
    return {key: value for key, value in fields.items() if value is not None}, notes


def _order_of(alert: Alert, webhook: WebhookSettings) -> ComposedOrder:
    match alert.action:
        case AlertAction.CLOSE_LONG:
            return ComposedOrder(action=Action.SELL, intent=Intent.CLOSE, quantity=alert.quantity)
        case AlertAction.CLOSE_SHORT:
            return ComposedOrder(action=Action.BUY, intent=Intent.CLOSE, quantity=alert.quantity)
        case AlertAction.CLOSE:
            return _exit(alert, webhook)
        case AlertAction.BUY:
            return _entry_or_exit(alert, Action.BUY)
        case AlertAction.SELL:
            return _entry_or_exit(alert, Action.SELL)


def _exit(alert: Alert, webhook: WebhookSettings) -> ComposedOrder:
    """Return the order that closes the sender's position before the order, after it, or the side of `exits`."""
    reported = next((side for side in (alert.previous, alert.position) if side in _CLOSES), None)
    side = reported or SentPosition(webhook.exits)
    note = f"the alert does not name the side to close; it closes a {side} position (webhooks.{webhook.name}.exits)"
    return ComposedOrder(
        action=_CLOSES[side], intent=Intent.CLOSE, quantity=alert.quantity, note=None if reported else note
    )


def _entry_or_exit(alert: Alert, action: Action) -> ComposedOrder:
    after, before = _AFTER[action], alert.previous
    if alert.closes or alert.position not in (None, after):
        # Flat afterwards closes the whole position; a position on the other side means that a part of it is closed.
        whole = alert.position is SentPosition.FLAT
        return ComposedOrder(action=action, intent=Intent.CLOSE, quantity=None if whole else alert.quantity)
    if alert.opens or before is SentPosition.FLAT or (before is after and alert.position is after):
        return ComposedOrder(action=action, intent=Intent.OPEN, quantity=alert.quantity)
    if before is not None and before is not after and alert.position is after:
        note = "the order turns the position, so its contracts count for both sides: "
        note += "the size after the order is used" if alert.position_size else "the executor chooses the size"
        return ComposedOrder(action=action, intent=Intent.AUTO, quantity=alert.position_size or None, note=note)
    return ComposedOrder(action=action, intent=Intent.AUTO, quantity=alert.quantity)


def _executors(alert: Alert, webhook: WebhookSettings) -> list[str] | None:
    """Return the executors that the signal is for: those of the webhook, or those of them that the alert names."""
    if alert.executors is None or webhook.executors is None:
        named = webhook.executors if alert.executors is None else alert.executors
        return None if named is None else list(named)
    others = [name for name in alert.executors if name not in webhook.executors]
    if others:
        message = (
            f"executors: {others[0][:40]} is not an executor of this webhook; it has {', '.join(webhook.executors)}"
        )
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    return list(alert.executors)

"""Compose the signal of an alert: side, intent, size and price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.agreement import refuse_other_orders
from pipeline.intake.webhooks.message import Alert, AlertAction, OrderTerms, RefusalCode, SentPosition, Size, SizeUnit
from pipeline.intake.webhooks.ticker import our_symbol
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Action, Intent
from pipeline.model.symbols import AssetClass, asset_class

_AFTER = {Action.BUY: SentPosition.LONG, Action.SELL: SentPosition.SHORT}
_CLOSES = {SentPosition.LONG: Action.SELL, SentPosition.SHORT: Action.BUY}

_ALL = Decimal(100)
_OF_A_POSITION = (SizeUnit.OF_POSITION, SizeUnit.PERCENT)
_OF_WHAT = "it does not say of what it is a percentage: write equity_percent for an entry"
_FOR_A_CLOSE = 'a share of the position is only closed: write "action": "close", or equity_percent for an entry'
_KIND = (
    "order.type of the executor decides between a market order and a limit order, whatever the alert says: a limit "
    "order accepts prices as far from that of the alert as order.collar_percent"
)
_NO_PRICE = (
    'an entry needs the price at the time of the alert: add "price": "{{close}}" to its message, '
    'or in plain text `buy AAPL at {{close}}`; or "price": "market", for which the market\'s price is read'
)


@dataclass(frozen=True, kw_only=True)
class ComposedOrder:
    """The side, the intent and the size of an alert's order, with a note about how they were found."""

    action: Action
    intent: Intent
    size: Size | None
    note: str | None = None


def compose(alert: Alert, webhook: WebhookSettings) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the raw signal without its source and source_id, and notes about how the alert was read.

    Raises:
        InvalidSignal: the alert cannot be expressed as a signal.
    """
    refuse_other_orders(alert)
    symbol = our_symbol(_at_exchange(alert), webhook)
    _refuse_another_class(alert.terms, symbol)
    order = _order_of(alert, webhook)
    closes = order.intent is Intent.CLOSE
    if not closes:
        _refuse_for_entries(alert.terms, asset_class(symbol))
    at_market = alert.price is None and not closes and (alert.at_market or webhook.price == "market")
    if alert.price is None and not closes and not at_market:
        raise InvalidSignal(RefusalCode.NO_PRICE, _NO_PRICE)
    fields = {
        "symbol": symbol,
        "action": order.action.value,
        "intent": order.intent.value,
        "confidence": webhook.confidence if alert.confidence is None else alert.confidence,
        "entry_price": alert.price,
        "price": "market" if at_market else None,
        "stop_price": None if closes else alert.stop_price,
        "target_price": None if closes else alert.target_price,
        **_size(order, webhook),
        "strategy": alert.strategy or webhook.strategy,
        "generated_at": alert.fired_at,
        "expires_at": alert.expires_at,
        "executors": _executors(alert, webhook),
    }
    unused = f"not used: {', '.join(alert.terms.unused)[:300]}" if alert.terms.unused else None
    kind = _KIND if alert.terms.kind is not None and not closes else None
    notes = (*alert.notes, *(note for note in (order.note, kind, unused) if note is not None))
    return {key: value for key, value in fields.items() if value is not None}, notes


def _at_exchange(alert: Alert) -> str:
    exchange = alert.terms.exchange
    return alert.symbol if exchange is None or ":" in alert.symbol else f"{exchange[1]}:{alert.symbol}"


def _refuse_another_class(terms: OrderTerms, symbol: str) -> None:
    """Refuse a symbol of another class than the alert states: ETH of class crypto is not the share ETH."""
    if terms.asset_class is not None and terms.asset_class[1] is not asset_class(symbol):
        key, named = terms.asset_class
        message = f"{key}: the alert says {named}, and {symbol} is {asset_class(symbol)}: write crypto like BTC/USD"
        raise InvalidSignal(RefusalCode.BAD_SYMBOL, message)


def _order_of(alert: Alert, webhook: WebhookSettings) -> ComposedOrder:
    size = alert.terms.size
    match alert.action:
        case AlertAction.BUY | AlertAction.SELL:
            order = _entry_or_exit(alert, Action(alert.action.upper()))
        case AlertAction.CLOSE:
            order = _exit(alert, webhook)
        case AlertAction.FLAT:
            _refuse_part(size)
            order = ComposedOrder(action=Action.FLAT, intent=Intent.CLOSE, size=None)
        case AlertAction.REVERSE:
            order = ComposedOrder(action=Action.REVERSE, intent=Intent.AUTO, size=size)
        case AlertAction.CLOSE_LONG | AlertAction.CLOSE_SHORT:
            side = Action.SELL if alert.action is AlertAction.CLOSE_LONG else Action.BUY
            order = ComposedOrder(action=side, intent=Intent.CLOSE, size=size)
    if alert.intent not in (None, Intent.AUTO, order.intent):
        message = f"intent: {alert.intent} contradicts the action or the position: send one of them"
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return order


def _exit(alert: Alert, webhook: WebhookSettings) -> ComposedOrder:
    """Return the order that closes the position.

    Its side is the one reported before the order, else the one reported after it, else that of the webhook's `exits`.
    """
    reported = next((side for side in (alert.previous, alert.position) if side in _CLOSES), None)
    side = reported or SentPosition(webhook.exits)
    note = f"the alert does not name the side to close; it closes a {side} position (webhooks.{webhook.name}.exits)"
    return ComposedOrder(
        action=_CLOSES[side], intent=Intent.CLOSE, size=alert.terms.size, note=None if reported else note
    )


def _entry_or_exit(alert: Alert, action: Action) -> ComposedOrder:
    after, before, size = _AFTER[action], alert.previous, alert.terms.size
    # A sale of a percentage of the position closes. A purchase of a percentage may add to it, and is refused.
    of_position = action is Action.SELL and size is not None and size.unit is SizeUnit.OF_POSITION
    if alert.intent is Intent.CLOSE or alert.terms.closes or of_position or alert.position not in (None, after):
        # If the position is flat after the order, all of it is closed; if it is still opposite to the order, a part is.
        if alert.position is not SentPosition.FLAT:
            return ComposedOrder(action=action, intent=Intent.CLOSE, size=size)
        _refuse_part(size)
        return ComposedOrder(action=action, intent=Intent.CLOSE, size=None)
    if alert.intent is Intent.OPEN or before is SentPosition.FLAT or (before is after and alert.position is after):
        return ComposedOrder(action=action, intent=Intent.OPEN, size=size)
    turns = before is not None and before is not after and alert.position is after
    if turns and (size is None or size.unit is SizeUnit.UNITS):
        note = "the order turns the position, so its contracts count for both sides: "
        note += "the size after the order is used" if alert.position_size else "the executor chooses the size"
        left = alert.position_size
        size = Size(unit=SizeUnit.UNITS, value=left, key="market_position_size") if left else None
        return ComposedOrder(action=action, intent=Intent.AUTO, size=size, note=note)
    return ComposedOrder(action=action, intent=Intent.AUTO, size=size)


def _refuse_part(size: Size | None) -> None:
    """Refuse any other size than the whole, which is closed. A number of shares (the sender's position) is ignored."""
    if size is None or size.unit is SizeUnit.UNITS or (size.unit in _OF_A_POSITION and size.value == _ALL):
        return
    message = f"{size.key}: the position after the order is flat, so all of it is closed: send one of them"
    raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _refuse_for_entries(terms: OrderTerms, traded: AssetClass) -> None:
    """Refuse what only exits do (wait for the market, be repeated until done), and a time in force that is not used."""
    if terms.for_exits is not None:
        message = f"{terms.for_exits}: an entry cannot follow it: remove it (see expires_at and hours.closed)"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    if terms.time_in_force is not None:
        key, sent = terms.time_in_force
        carried_out = "gtc" if traded is AssetClass.CRYPTO else "day"
        if sent != carried_out:
            message = f"{key}: {shown(sent)} is not carried out; an entry in {traded} is ordered as {carried_out}"
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _size(order: ComposedOrder, webhook: WebhookSettings) -> dict[str, Decimal]:
    """Return the size under its key in the signal; empty if all is closed or the executor chooses the size."""
    size, closes = order.size, order.intent is Intent.CLOSE
    if size is None or (closes and size.unit in _OF_A_POSITION and size.value == _ALL):
        return {}
    if size.unit in _OF_A_POSITION:
        if not closes:
            message = _OF_WHAT if size.unit is SizeUnit.PERCENT else _FOR_A_CLOSE
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"{size.key}: {message}")
        return {"close_percent": size.value}
    if closes and size.unit is not SizeUnit.UNITS:
        message = f"{size.key}: it is the size of an entry: write quantity or close_percent to close a part"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    return {size.unit.value: size.value} if webhook.quantity == "use" else {}


def _executors(alert: Alert, webhook: WebhookSettings) -> list[str] | None:
    """Return the executors that the signal is for: those that the alert names, else the webhook's; None for all.

    If the webhook has a list of executors, the alert may name only those.
    """
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

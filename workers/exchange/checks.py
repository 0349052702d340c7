"""Decide whether an account may place an order now, and what the order holds back."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from workers.exchange.accounts import QUANTUM, ZERO, ExchangeAccount
from workers.exchange.assets import CRYPTO_MINIMUM, FRACTION_MINIMUM, ListedAsset
from workers.exchange.money import SHORT_MARGIN
from workers.exchange.orders import ExchangeOrder, ExchangeOrderStatus, ExchangeSide, OrderClass, OrderType
from workers.exchange.refusals import RequestRefused, bad_parameter, forbidden, plain, rule
from workers.exchange.tickets import Ticket
from workers.exchange.venue import Venue


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The quantity and buying power that an order holds back while it is open."""

    #: The quantity of a position that the order closes.
    held: Decimal
    #: The buying power for the quantity that the order opens.
    reserved: Decimal
    position_intent: str


def find_asset(venue: Venue, symbol: str) -> ListedAsset:
    """Return the asset to trade; refuse one that does not exist or cannot be traded."""
    asset = venue.assets.find(symbol)
    if asset is None:
        raise rule(f'asset "{symbol}" not found')
    if not asset.active:
        raise bad_parameter(f"asset {asset.symbol} is not active")
    if not asset.tradable:
        raise rule(f'asset "{asset.symbol}" is not tradable')
    return asset


def check_account(account: ExchangeAccount, ticket: Ticket, asset: ListedAsset) -> None:
    """Refuse an order that the account may not place, or whose client id is used already."""
    check_client_id(account, ticket.client_order_id)
    if account.trading_blocked:
        raise forbidden("account is not authorized to trade")
    if account.configurations["suspend_trade"]:
        raise forbidden("new orders are rejected by user request")
    if not (account.configurations["fractional_trading"] or asset.is_crypto) and (ticket.qty is None or ticket.qty % 1):
        raise forbidden("fractional trading is disabled for this account")


def check_client_id(account: ExchangeAccount, client_order_id: str | None) -> None:
    """Refuse a client id that another order of this account has used."""
    if client_order_id is not None and client_order_id in account.by_client_id:
        raise bad_parameter("client_order_id must be unique")


def check_wash_trade(account: ExchangeAccount, ticket: Ticket, symbol: str) -> None:
    """Refuse an order that could trade with another order of the account. Groups and trailing stops are exempt."""
    if ticket.order_class is not OrderClass.SIMPLE or ticket.type is OrderType.TRAILING_STOP:
        return
    for order in account.open[symbol, ticket.side.opposite].values():
        if order.order_class is not OrderClass.SIMPLE or order.type is OrderType.TRAILING_STOP:
            continue
        if _may_cross(ticket, order):
            kind = "limit" if order.type is OrderType.LIMIT else "market/stop"
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=order.id,
                reject_reason=f"opposite side {kind} order exists",
            )


def reserve(venue: Venue, account: ExchangeAccount, ticket: Ticket, asset: ListedAsset) -> Reservation:
    """Return what the order holds back, or refuse the order.

    It is refused if it is too small, if the account may not open it, cannot pay for it or cannot deliver, if it
    contradicts the position, or if no price is known for its symbol.
    """
    price = ticket.limit_price or ticket.stop_price or venue.price(asset.symbol)
    if price is None:
        detail = "place a limit order first, or set one with POST /admin/prices"
        raise rule(f'no price is known for "{asset.symbol}": {detail}')
    qty = ticket.qty if ticket.qty is not None else size_of(ticket.notional or ZERO, price)
    least = CRYPTO_MINIMUM if asset.is_crypto else FRACTION_MINIMUM if qty % 1 else ZERO
    if qty * price < least:
        raise forbidden(f"cost basis must be >= minimal amount of order {plain(least)}")
    position = account.quantity(asset.symbol)
    closes = position < 0 if ticket.side is ExchangeSide.BUY else position > 0
    if ticket.order_class is OrderClass.OCO and not closes:
        raise rule("oco orders must be exit orders")
    intent = f"{ticket.side}_to_{'close' if closes else 'open'}"
    if ticket.position_intent not in (None, "", intent):
        raise rule(f"position intent mismatch, inferred: {intent}, specified: {ticket.position_intent}")
    if closes:
        _check_available(account, ticket, asset, qty)
        return Reservation(held=qty, reserved=ZERO, position_intent=intent)
    if account.liquidation_only:
        raise forbidden("account is restricted to liquidation only")
    if ticket.side is ExchangeSide.SELL:
        _check_short(account, ticket, asset, qty)
        market = venue.price(asset.symbol) or price
        price = max(price, market * SHORT_MARGIN)
    elif position == 0 and _has_open_order(account, asset.symbol, ExchangeSide.SELL):
        raise forbidden("cannot open a long buy while a short sell order is open")
    _check_power(venue, account, asset, qty * price)
    return Reservation(held=ZERO, reserved=qty * price, position_intent=intent)


def size_of(notional: Decimal, price: Decimal) -> Decimal:
    """Return the quantity that *notional* dollars buy at *price*."""
    return (notional / price).quantize(QUANTUM, ROUND_DOWN)


def _may_cross(ticket: Ticket, order: ExchangeOrder) -> bool:
    if ticket.type is not OrderType.LIMIT or order.type is not OrderType.LIMIT:
        return True
    if ticket.limit_price is None or order.limit_price is None:
        return True
    if ticket.side is ExchangeSide.BUY:
        return ticket.limit_price >= order.limit_price
    return ticket.limit_price <= order.limit_price


def _check_available(account: ExchangeAccount, ticket: Ticket, asset: ListedAsset, qty: Decimal) -> None:
    available, position = account.available(asset.symbol), abs(account.quantity(asset.symbol))
    if qty <= available:
        return
    if asset.is_crypto:
        raise _balance(account, asset, qty)
    holders = [order.id for order in account.open[asset.symbol, ticket.side].values() if order.held]
    related = {"related_orders": holders} if holders else {}
    raise forbidden(
        f"insufficient qty available for order (requested: {plain(qty)}, available: {plain(available)})",
        available=plain(available),
        existing_qty=plain(position),
        held_for_orders=plain(position - available),
        symbol=asset.symbol,
        **related,
    )


def _check_short(account: ExchangeAccount, ticket: Ticket, asset: ListedAsset, qty: Decimal) -> None:
    if asset.is_crypto:
        raise _balance(account, asset, qty)
    if not account.may_short:
        raise forbidden("account is not allowed to short")
    if not asset.shortable:
        raise rule(f"asset {asset.symbol} cannot be sold short")
    if ticket.notional is not None or qty % 1:
        raise rule("fractional orders cannot be sold short")
    if account.quantity(asset.symbol) == 0 and _has_open_order(account, asset.symbol, ExchangeSide.BUY):
        raise forbidden("cannot open a short sell while a long buy order is open")


def _has_open_order(account: ExchangeAccount, symbol: str, side: ExchangeSide) -> bool:
    """Return whether an order of *side* is open; held legs do not count."""
    return any(order.status is not ExchangeOrderStatus.HELD for order in account.open[symbol, side].values())


def _check_power(venue: Venue, account: ExchangeAccount, asset: ListedAsset, cost: Decimal) -> None:
    sums = venue.totals(account)
    power = sums.non_marginable if asset.is_crypto else sums.buying_power
    if cost > power:
        raise forbidden(
            "insufficient buying power",
            buying_power=plain(power.quantize(Decimal("0.01"), ROUND_DOWN)),
            cost_basis=plain(cost.quantize(Decimal("0.01"))),
        )


def _balance(account: ExchangeAccount, asset: ListedAsset, qty: Decimal) -> RequestRefused:
    available = plain(account.available(asset.symbol))
    return forbidden(
        f"insufficient balance for {asset.coin} (requested: {plain(qty)}, available: {available})",
        available=available,
        balance=plain(account.quantity(asset.symbol)),
        symbol=asset.coin,
    )

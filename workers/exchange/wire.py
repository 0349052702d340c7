"""Write orders, accounts, positions and activities as the broker's JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from workers.exchange.accounts import ZERO, ExchangeAccount, ExchangePosition, ExchangeTransfer, Fill
from workers.exchange.assets import ListedAsset
from workers.exchange.money import Totals
from workers.exchange.orders import ExchangeOrder
from workers.exchange.refusals import plain
from workers.exchange.trading_days import NEW_YORK

_NANO = 1_000_000_000
_CENT = Decimal("0.01")
_MICRO = Decimal("0.000001")

# The fields of an order: first those that are written unchanged, then the times, then the numbers.
_ORDER_WORDS = (
    "id", "client_order_id", "replaced_by", "replaces", "symbol", "order_class", "type", "side", "position_intent",
    "time_in_force", "status", "extended_hours",
)  # fmt: skip
_ORDER_TIMES = (
    "created", "updated", "submitted", "filled", "expired", "expires", "canceled", "failed", "replaced"
)  # fmt: skip
_ORDER_NUMBERS = (
    "notional", "qty", "filled_qty", "limit_price", "stop_price", "trail_percent", "trail_price", "hwm"
)  # fmt: skip
_ACCOUNT_AMOUNTS = ("buying_power", "regt_buying_power", "equity", "initial_margin", "maintenance_margin")
# Fees and transfers are booked at once, so none of them is ever pending.
_ACCOUNT_ZEROS = (
    "accrued_fees", "pending_reg_taf_fees", "pending_transfer_in", "pending_transfer_out", "intraday_adjustments"
)  # fmt: skip


def optional_timestamp(ns: int | None) -> str | None:
    """Write a time that may be absent."""
    return None if ns is None else timestamp(ns)


def timestamp(ns: int) -> str:
    """Write nanoseconds since 1970 as RFC 3339 in UTC."""
    seconds, rest = divmod(ns, _NANO)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}".rstrip("0") + "Z" if rest else f"{whole}Z"


def cents(value: Decimal) -> str:
    """Write an amount in cents."""
    return plain(value.quantize(_CENT))


def six_decimals(value: Decimal) -> str:
    """Write a figure of a position, with up to six decimals."""
    return plain(value.quantize(_MICRO))


def optional_number(value: Decimal | None) -> str | None:
    """Write a number that may be absent."""
    return None if value is None else plain(value)


def order_json(order: ExchangeOrder, legs: Sequence[ExchangeOrder] = (), *, asset_id: str) -> dict[str, Any]:
    """Return *order* with every field of the broker's schema."""
    average = order.filled_average
    return {
        **{name: getattr(order, name) for name in _ORDER_WORDS},
        **{f"{event}_at": optional_timestamp(getattr(order, f"{event}_ns")) for event in _ORDER_TIMES},
        **{name: optional_number(getattr(order, name)) for name in _ORDER_NUMBERS},
        "asset_id": asset_id,
        "asset_class": "crypto" if order.is_crypto else "us_equity",
        "filled_avg_price": None if average is None else six_decimals(average),
        "order_type": order.type,
        "legs": [order_json(leg, asset_id=asset_id) for leg in legs] or None,
        # Fields of other products of the broker, such as options.
        **dict.fromkeys(("ratio_qty", "subtag", "source")),
    }


def activity_id(activity: Fill | ExchangeTransfer) -> str:
    """Return the activity's id. It begins with the New York time of a fill, or with the New York date of a transfer."""
    local = datetime.fromtimestamp(activity.at_ns / _NANO, NEW_YORK)
    milliseconds = local.microsecond // 1000
    at = f"{local:%H%M%S}{milliseconds:03d}" if isinstance(activity, Fill) else "0" * 9
    return f"{local:%Y%m%d}{at}::{activity.id}"


def fill_json(fill: Fill) -> dict[str, Any]:
    """Return *fill* as an account activity."""
    # The times of activities have microseconds, whereas those of orders have nanoseconds.
    micros = fill.at_ns // 1000 * 1000
    return {
        "activity_type": "FILL",
        "id": activity_id(fill),
        "cum_qty": plain(fill.cum_qty),
        "leaves_qty": plain(fill.leaves_qty),
        "order_id": fill.order_id,
        "order_status": "filled" if fill.is_last else "partially_filled",
        "price": plain(fill.price),
        "qty": plain(fill.qty),
        "side": fill.side,
        "symbol": fill.symbol,
        "transaction_time": timestamp(micros),
        "type": "fill" if fill.is_last else "partial_fill",
        **({"swap_rate": "1"} if "/" in fill.symbol else {}),
    }


def transfer_json(transfer: ExchangeTransfer) -> dict[str, Any]:
    """Return *transfer* as an account activity."""
    body = {
        "activity_type": transfer.kind,
        "id": activity_id(transfer),
        "date": datetime.fromtimestamp(transfer.at_ns / _NANO, NEW_YORK).date().isoformat(),
        "net_amount": plain(transfer.amount),
        "currency": "USD",
        "description": "",
        "status": "executed",
    }
    if not transfer.day_only:
        body["created_at"] = timestamp(transfer.at_ns)
    return body


def account_json(account: ExchangeAccount, sums: Totals, now_ns: int) -> dict[str, Any]:
    """Return the account with every field of the broker's schema."""
    day = datetime.fromtimestamp(now_ns / _NANO, NEW_YORK).date().isoformat()
    return {
        "id": account.id,
        "admin_configurations": {},
        "user_configurations": None,
        "account_number": account.number,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "crypto_tier": 1,
        "currency": "USD",
        **{name: cents(getattr(sums, name)) for name in _ACCOUNT_AMOUNTS},
        "effective_buying_power": cents(sums.buying_power),
        "non_marginable_buying_power": cents(sums.non_marginable),
        "options_buying_power": cents(sums.non_marginable),
        "options_approved_level": 3,
        "options_trading_level": 3,
        "cash": cents(account.cash),
        **dict.fromkeys(_ACCOUNT_ZEROS, "0"),
        "balance_asof": day,
        "created_at": timestamp(account.created_ns),
        "portfolio_value": cents(sums.equity),
        "last_equity": cents(account.last_equity),
        "long_market_value": cents(sums.long_value),
        "short_market_value": cents(sums.short_value),
        "position_market_value": cents(sums.long_value - sums.short_value),
        "last_maintenance_margin": cents(account.last_maintenance),
        "sma": cents(sums.equity),
        "multiplier": plain(account.multiplier),
        "shorting_enabled": account.may_short,
        "trading_blocked": account.trading_blocked,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": account.configurations["suspend_trade"],
    }


def position_json(account: ExchangeAccount, position: ExchangePosition, asset: ListedAsset, *, price: Decimal,
                  previous: Decimal) -> dict[str, Any]:  # fmt: skip
    """Return one position at *price*; *previous* is the price of the previous bar."""
    value, cost = position.qty * price, position.cost
    gain, today = value - cost, position.qty * (price - previous)
    dollars = {
        "avg_entry_price": six_decimals(position.average),
        "market_value": six_decimals(value),
        "cost_basis": six_decimals(cost),
        "unrealized_pl": six_decimals(gain),
        "unrealized_plpc": six_decimals(gain / abs(cost) if cost else ZERO),
        "unrealized_intraday_pl": six_decimals(today),
        "unrealized_intraday_plpc": six_decimals(today / abs(position.qty * previous) if previous else ZERO),
        "current_price": plain(price),
        "lastday_price": plain(previous),
        "change_today": six_decimals(price / previous - 1 if previous else ZERO),
    }
    return {
        "asset_id": asset.id,
        "symbol": asset.position_symbol,
        "exchange": asset.exchange,
        "asset_class": asset.asset_class,
        "asset_marginable": not asset.is_crypto,
        "qty": plain(position.qty),
        "qty_available": plain(account.available(position.symbol).copy_sign(position.qty)),
        "side": "long" if position.qty > 0 else "short",
        **dollars,
        # The account's currency is the dollar.
        **dict.fromkeys(("swap_rate", "avg_entry_swap_rate", "prev_swap_rate"), "1"),
        "usd": dollars,
    }

"""Every answer of the paper exchange has every field of the broker's published schema."""

from __future__ import annotations

from tests.exchange_client import build_client, ended, limit
from tests.exchange_fixtures import ExchangeProcess

_ORDER = {
    "id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at", "expired_at",
    "expires_at", "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces", "asset_id",
    "symbol", "asset_class", "notional", "qty", "filled_qty", "filled_avg_price", "order_class",
    "order_type", "type", "side", "position_intent", "time_in_force", "limit_price", "stop_price", "status",
    "extended_hours", "legs", "trail_percent", "trail_price", "hwm", "ratio_qty",
}  # fmt: skip
_ACCOUNT = {
    "account_blocked", "account_number", "accrued_fees", "balance_asof", "buying_power", "cash",
    "created_at", "crypto_status", "currency", "equity", "id", "initial_margin", "intraday_adjustments",
    "last_equity", "last_maintenance_margin", "long_market_value", "maintenance_margin", "multiplier",
    "non_marginable_buying_power", "options_approved_level", "options_buying_power",
    "options_trading_level", "pending_reg_taf_fees", "pending_transfer_in", "pending_transfer_out",
    "portfolio_value", "regt_buying_power", "short_market_value", "shorting_enabled", "sma", "status",
    "trade_suspended_by_user", "trading_blocked", "transfers_blocked",
}  # fmt: skip
_POSITION = {
    "asset_class", "asset_id", "asset_marginable", "avg_entry_price", "avg_entry_swap_rate", "change_today",
    "cost_basis", "current_price", "exchange", "lastday_price", "market_value", "prev_swap_rate", "qty",
    "qty_available", "side", "swap_rate", "symbol", "unrealized_intraday_pl", "unrealized_intraday_plpc",
    "unrealized_pl", "unrealized_plpc", "usd",
}  # fmt: skip
_ASSET = {
    "attributes", "borrow_status", "class", "cusip", "easy_to_borrow", "exchange", "fractionable", "id",
    "maintenance_margin_requirement", "margin_requirement_long", "margin_requirement_short", "marginable",
    "name", "shortable", "status", "symbol", "tradable",
}  # fmt: skip
_FILL = {
    "activity_type", "cum_qty", "id", "leaves_qty", "order_id", "order_status", "price", "qty", "side",
    "symbol", "transaction_time", "type",
}  # fmt: skip
_DAY = {
    "date", "open", "close", "session_open", "session_close", "settlement_date",
}  # fmt: skip


def test_every_answer_has_every_field_of_the_schema(exchange_process: ExchangeProcess) -> None:
    raw = build_client(exchange_process, raw=True)
    order = raw.submit_order(limit("AAPL", 1, "buy", 100))
    ended(build_client(exchange_process), build_client(exchange_process).get_order_by_id(order["id"]))

    assert _ORDER - set(order) == set()
    assert _ACCOUNT - set(raw.get_account()) == set()
    assert _POSITION - set(raw.get_all_positions()[0]) == set()
    assert _ASSET - set(raw.get_asset("AAPL")) == set()
    assert {"min_order_size", "min_trade_increment", "price_increment"} - set(raw.get_asset("BTCUSD")) == set()
    assert set(raw.get("/account/activities/FILL")[0]) == _FILL
    assert set(raw.get_clock()) == {"timestamp", "is_open", "next_open", "next_close"}
    assert set(raw.get_calendar()[0]) == _DAY


def test_the_configurations_can_be_read_and_changed(exchange_process: ExchangeProcess) -> None:
    broker = build_client(exchange_process)
    changed = broker.get_account_configurations().model_copy(update={"no_shorting": True})

    assert broker.set_account_configurations(changed).no_shorting is True
    assert broker.get_account().shorting_enabled is False

"""Define reasons: a code with figures, for the state of an execution. `reason_catalogue` explains the codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pipeline.model.texts import printable


class Code(StrEnum):
    """A reason's code. `pipeline.model.reason_catalogue.CATALOGUE` has its meaning and remedy."""

    # Routing: decided when the signal is recorded.
    NOT_ADDRESSED = "not_addressed"
    CONFIDENCE_BELOW_MINIMUM = "confidence_below_minimum"
    SYMBOL_NOT_ROUTED = "symbol_not_routed"
    SYMBOL_DENIED = "symbol_denied"
    ASSET_CLASS_NOT_ROUTED = "asset_class_not_routed"
    STRATEGY_NOT_ROUTED = "strategy_not_routed"
    REGIME_NOT_ROUTED = "regime_not_routed"
    ACTION_NOT_ROUTED = "action_not_routed"
    PRACTICE_SOURCE = "practice_source"
    # Rules: decided by the worker before it sends the order. Only `config forget` gives `executor_gone`.
    EXECUTOR_GONE = "executor_gone"
    TOO_OLD = "too_old"
    EXPIRED_SIGNAL = "expired_signal"
    SUPERSEDED = "superseded"
    NO_POSITION = "no_position"
    NO_SHORTING = "no_shorting"
    NO_FLIP = "no_flip"
    POSITION_AGAINST = "position_against"
    STOP_RESTS = "stop_rests"
    BELOW_ONE_SHARE = "below_one_share"
    BELOW_MINIMUM_QUANTITY = "below_minimum_quantity"
    BUYING_POWER_USED_UP = "buying_power_used_up"
    ASSET_NOT_TRADABLE = "asset_not_tradable"
    QUOTED_IN_ANOTHER_CURRENCY = "quoted_in_another_currency"
    ENTRY_WITHOUT_PRICE = "entry_without_price"
    ENTRY_WITHOUT_STOP = "entry_without_stop"
    # Hours and prices.
    MARKET_CLOSED = "market_closed"
    CLOCK_UNREADABLE = "clock_unreadable"
    HELD_TOO_LONG = "held_too_long"
    PRICE_DRIFTED = "price_drifted"
    PRICE_UNKNOWN = "price_unknown"
    SPREAD_TOO_WIDE = "spread_too_wide"
    LEVEL_REACHED = "level_reached"
    # Limits.
    REPEATED_IDEA = "repeated_idea"
    REPEATED_CONTENT = "repeated_content"
    PYRAMIDING_LIMIT = "pyramiding_limit"
    OPEN_POSITIONS_LIMIT = "open_positions_limit"
    GROSS_EXPOSURE_LIMIT = "gross_exposure_limit"
    SYMBOL_EXPOSURE_LIMIT = "symbol_exposure_limit"
    GROUP_POSITIONS_LIMIT = "group_positions_limit"
    GROUP_EXPOSURE_LIMIT = "group_exposure_limit"
    ORDERS_PER_DAY_LIMIT = "orders_per_day_limit"
    DAILY_LOSS_LIMIT = "daily_loss_limit"
    DRAWDOWN_LIMIT = "drawdown_limit"
    STOP_TOO_FAR = "stop_too_far"
    POSITION_SIZE_LIMIT = "position_size_limit"
    CASH_USED_UP = "cash_used_up"
    CONSISTENCY_LIMIT = "consistency_limit"
    FLAT_BY_TIME = "flat_by_time"
    # Switches.
    REDUCING = "reducing"
    REDUCING_DAILY_LOSS = "reducing_daily_loss"
    REDUCING_DRAWDOWN = "reducing_drawdown"
    REDUCING_UNREADABLE = "reducing_unreadable"
    HALTED = "halted"
    HALTED_DAILY_LOSS = "halted_daily_loss"
    HALTED_DRAWDOWN = "halted_drawdown"
    # Holds.
    PAUSED = "paused"
    RATE_BUDGET = "rate_budget"
    REJECTIONS_IN_A_ROW = "rejections_in_a_row"
    MINIMUM_HOLD = "minimum_hold"
    ACCOUNT_UNWATCHED = "account_unwatched"
    NOT_RECONCILED = "not_reconciled"
    QUARANTINED = "quarantined"
    EXIT_NOT_DONE = "exit_not_done"
    QUANTITY_HELD = "quantity_held"
    FOREIGN_CANCELED = "foreign_canceled"
    DUST = "dust"
    BROKER_AWAY = "broker_away"
    RATE_LIMITED = "rate_limited"
    BROKER_REFUSES_ACCOUNT = "broker_refuses_account"
    ENTRIES_REFUSED = "entries_refused"
    ACCOUNT_BLOCKED = "account_blocked"
    ACCOUNT_UNREADABLE = "account_unreadable"
    ORDER_UNDER_WAY = "order_under_way"
    LEASE_TOO_SHORT = "lease_too_short"
    SEND_AGAIN = "send_again"
    # The order ended at the broker.
    REJECTED_BY_BROKER = "rejected_by_broker"
    CANCELED_AT_BROKER = "canceled_at_broker"
    ENTRY_TIMEOUT = "entry_timeout"
    PARTLY_FILLED = "partly_filled"
    STOP_MISSING = "stop_missing"
    EXPIRED_AT_BROKER = "expired_at_broker"
    # Unknown.
    NO_ANSWER = "no_answer"
    LEASE_RAN_OUT = "lease_ran_out"
    DUPLICATE_ID = "duplicate_id"
    # Dead letters.
    ATTEMPTS_USED_UP = "attempts_used_up"
    UNKNOWN_TOO_LONG = "unknown_too_long"
    ORDER_MISMATCH = "order_mismatch"
    ORDER_VANISHED = "order_vanished"
    ACCOUNT_CHANGED = "account_changed"
    INTERNAL_ERROR = "internal_error"
    # A late order: the broker has an order of an execution that had already ended here.
    LATE_ORDER = "late_order"
    # A person decided.
    REQUEUED = "requeued"
    DISCARDED = "discarded"
    ENDED_BY_PERSON = "ended_by_person"
    CANCELED_BY_PERSON = "canceled_by_person"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A code with its figures."""

    code: Code
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return sentence(self.code, self.facts)

    def to_json(self) -> dict[str, Any]:
        """Return the facts as values of JSON: decimals and times become strings, without loss."""
        return {name: _plain(value) for name, value in self.facts.items()}


def with_request_id(reason: Reason, request_id: str | None) -> Reason:
    """Return *reason* with the broker's own id of the request that led to it, if there is one."""
    return replace(reason, facts={**reason.facts, "request_id": request_id}) if request_id else reason


def sentence(code: str, facts: Mapping[str, Any]) -> str:
    """Return a reason as one line of text: `confidence_below_minimum minimum=82 was=75.3`."""
    return " ".join([str(code), *(f"{name}={_shown(value)}" for name, value in facts.items())])


def storable(text: str) -> str:
    """Return *text* without NUL and without unpaired surrogates: PostgreSQL stores neither, and brokers send both."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    return storable(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    """Return one fact on one line. Foreign text can neither break the line nor control the terminal."""
    text = "none" if value is None else str(_plain(value))
    if text and text.isprintable() and not any(mark in text for mark in ' "='):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(quoted)}"'

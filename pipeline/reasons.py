"""The published catalogue of reasons: why an execution is where it is, and what a person can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """A reason's code. Its meaning and remedy stand in `CATALOGUE`."""

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
    # Rules: decided at the broker's door.
    EXECUTOR_GONE = "executor_gone"
    TOO_OLD = "too_old"
    EXPIRED_SIGNAL = "expired_signal"
    SUPERSEDED = "superseded"
    NO_POSITION = "no_position"
    NO_SHORTING = "no_shorting"
    BELOW_ONE_SHARE = "below_one_share"
    BELOW_MINIMUM_QUANTITY = "below_minimum_quantity"
    BUYING_POWER_USED_UP = "buying_power_used_up"
    ASSET_NOT_TRADABLE = "asset_not_tradable"
    SIZE_METHOD_NOT_ENFORCED = "size_method_not_enforced"
    ENTRY_WITHOUT_PRICE = "entry_without_price"
    # Holds.
    BROKER_AWAY = "broker_away"
    RATE_LIMITED = "rate_limited"
    BROKER_REFUSES_ACCOUNT = "broker_refuses_account"
    ACCOUNT_BLOCKED = "account_blocked"
    ACCOUNT_UNREADABLE = "account_unreadable"
    ORDER_UNDER_WAY = "order_under_way"
    LEASE_TOO_SHORT = "lease_too_short"
    SEND_AGAIN = "send_again"
    # The broker's word.
    REJECTED_BY_BROKER = "rejected_by_broker"
    CANCELED_AT_BROKER = "canceled_at_broker"
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
    # A late order: the broker holds what had ended here.
    LATE_ORDER = "late_order"
    # A person's word.
    REQUEUED = "requeued"
    DISCARDED = "discarded"


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a code says and what a person can do about it."""

    says: str
    remedy: str


_NOTHING = "Nothing to do: it goes on by itself."
_ROUTE = "Change `[executors.<name>.route]` if this executor should trade it."

CATALOGUE: Mapping[Code, Meaning] = {
    Code.NOT_ADDRESSED: Meaning(
        says="The signal names other executors.", remedy="Leave `executors` out to address all."
    ),
    Code.CONFIDENCE_BELOW_MINIMUM: Meaning(says="The confidence is below the executor's minimum.", remedy=_ROUTE),
    Code.SYMBOL_NOT_ROUTED: Meaning(says="The symbol is not in the executor's allow list.", remedy=_ROUTE),
    Code.SYMBOL_DENIED: Meaning(says="The symbol is in the executor's deny list.", remedy=_ROUTE),
    Code.ASSET_CLASS_NOT_ROUTED: Meaning(says="The executor does not trade this asset class.", remedy=_ROUTE),
    Code.STRATEGY_NOT_ROUTED: Meaning(says="The executor does not follow this strategy.", remedy=_ROUTE),
    Code.REGIME_NOT_ROUTED: Meaning(says="The executor does not trade in this market regime.", remedy=_ROUTE),
    Code.ACTION_NOT_ROUTED: Meaning(says="The executor does not take this side.", remedy=_ROUTE),
    Code.PRACTICE_SOURCE: Meaning(
        says="Signals of the replay source are practice and never reach a live account.",
        remedy="Use a real source for live executors.",
    ),
    Code.EXECUTOR_GONE: Meaning(
        says="The executor is no longer in the executors file.",
        remedy="Put its table back, or discard the execution.",
    ),
    Code.TOO_OLD: Meaning(
        says="The entry is older than `limits.entry_age_s`.",
        remedy="Send a new signal; look at what held it with `why`.",
    ),
    Code.EXPIRED_SIGNAL: Meaning(says="The signal's own `expires_at` has passed.", remedy="Send a new signal."),
    Code.SUPERSEDED: Meaning(
        says="An exit of the same symbol came before the entry was sent, and ended it.", remedy="Nothing to do."
    ),
    Code.NO_POSITION: Meaning(says="There is no position to close.", remedy="Nothing to do."),
    Code.NO_SHORTING: Meaning(
        says="A SELL without a position would open a short, and shorting is off.",
        remedy="Set `order.allow_short = true` if the account may short.",
    ),
    Code.BELOW_ONE_SHARE: Meaning(
        says="The size comes to less than one share; it is not rounded up.",
        remedy="Raise the size, or trade a cheaper symbol.",
    ),
    Code.BELOW_MINIMUM_QUANTITY: Meaning(
        says="The size is below the broker's minimum for this asset.", remedy="Raise the size."
    ),
    Code.BUYING_POWER_USED_UP: Meaning(
        says="The account's buying power, less what is reserved, does not cover the smallest order.",
        remedy="Close positions or add funds.",
    ),
    Code.ASSET_NOT_TRADABLE: Meaning(says="The broker does not trade this symbol.", remedy="Deny the symbol."),
    Code.SIZE_METHOD_NOT_ENFORCED: Meaning(
        says="The configured size method is not available in this release.",
        remedy="Use equity_percent, notional or quantity.",
    ),
    Code.ENTRY_WITHOUT_PRICE: Meaning(
        says="There is no position to close, and an entry needs a price.",
        remedy="Send `entry_price` with entries.",
    ),
    Code.BROKER_AWAY: Meaning(says="The broker could not be reached and has not seen the order.", remedy=_NOTHING),
    Code.RATE_LIMITED: Meaning(says="The broker's request rate is used up.", remedy=_NOTHING),
    Code.BROKER_REFUSES_ACCOUNT: Meaning(
        says="The broker does not accept the keys or the account.",
        remedy="Mend the keys or the account; one probe a minute finds out.",
    ),
    Code.ACCOUNT_BLOCKED: Meaning(
        says="The broker has blocked trading on the account.",
        remedy="Ask the broker; entries wait until they are too old.",
    ),
    Code.ACCOUNT_UNREADABLE: Meaning(says="The account could not be read, and unknown is never go.", remedy=_NOTHING),
    Code.ORDER_UNDER_WAY: Meaning(
        says="An earlier order of this symbol is still working at the broker; it is canceled first.",
        remedy=_NOTHING,
    ),
    Code.LEASE_TOO_SHORT: Meaning(says="Too little of the lease was left to send safely.", remedy=_NOTHING),
    Code.SEND_AGAIN: Meaning(
        says="The broker does not have the order: the identical order is sent again under the same id.",
        remedy=_NOTHING,
    ),
    Code.REJECTED_BY_BROKER: Meaning(
        says="The broker refused the order; its words are in the facts.",
        remedy="Mend the cause and send a new signal.",
    ),
    Code.CANCELED_AT_BROKER: Meaning(says="The order was canceled at the broker.", remedy="Nothing to do."),
    Code.EXPIRED_AT_BROKER: Meaning(says="The order's time in force ran out.", remedy="Nothing to do."),
    Code.NO_ANSWER: Meaning(says="The broker's answer did not come or could not be read.", remedy=_NOTHING),
    Code.LEASE_RAN_OUT: Meaning(says="The worker was gone before it recorded the answer.", remedy=_NOTHING),
    Code.DUPLICATE_ID: Meaning(says="The broker says that it has had this order already.", remedy=_NOTHING),
    Code.ATTEMPTS_USED_UP: Meaning(
        says="All attempts came back without a usable answer.",
        remedy="`tradewire dead requeue` or `discard`.",
    ),
    Code.UNKNOWN_TOO_LONG: Meaning(
        says="The broker answers, but does not say whether it has the order.",
        remedy="Look at the broker, then `tradewire dead requeue` or `discard`.",
    ),
    Code.ORDER_MISMATCH: Meaning(
        says="The broker holds another order under our id.",
        remedy="Look at the broker; somebody else uses these ids.",
    ),
    Code.ORDER_VANISHED: Meaning(
        says="The broker no longer knows an order that it had accepted.",
        remedy="Look at the broker, then discard.",
    ),
    Code.ACCOUNT_CHANGED: Meaning(
        says="The keys now lead to another account than the one the order was meant for.",
        remedy="Put the right keys back, then requeue or discard.",
    ),
    Code.INTERNAL_ERROR: Meaning(
        says="tradewire itself failed on this execution; the log has the details.",
        remedy="Report it, then requeue or discard.",
    ),
    Code.LATE_ORDER: Meaning(
        says="The broker has an order for an execution that had ended here.",
        remedy="An unfilled entry is canceled at once; look at the position.",
    ),
    Code.REQUEUED: Meaning(says="A person put the dead letter back to work.", remedy="Nothing to do."),
    Code.DISCARDED: Meaning(says="A person closed the dead letter.", remedy="Nothing to do."),
}


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A code with its figures."""

    code: Code
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return sentence(self.code, self.facts)

    def to_json(self) -> dict[str, Any]:
        """Return the facts with every value as JSON can hold it exactly."""
        return {name: _plain(value) for name, value in self.facts.items()}


def sentence(code: str, facts: Mapping[str, Any]) -> str:
    """Return a reason as people read it: `confidence_below_minimum minimum=82 was=75.3`."""
    return " ".join([str(code), *(f"{name}={_shown(value)}" for name, value in facts.items())])


def storable(text: str) -> str:
    """Return *text* as PostgreSQL can hold it: no NUL, no half of a surrogate pair. Brokers and senders write both."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    return storable(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    """Return one fact on one line: foreign text can neither break the line nor speak to the terminal."""
    text = str(_plain(value))
    if text and text.isprintable() and not any(mark in text for mark in ' "='):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in quoted) + '"'

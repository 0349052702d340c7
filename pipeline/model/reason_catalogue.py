"""The published catalogue of reasons: what each code says, and what a person can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.model.reasons import Code


@dataclass(frozen=True)
class Meaning:
    """What a code says and what a person can do about it."""

    says: str
    remedy: str


_NOTHING = "Nothing to do: it goes on by itself."
_DONE = "Nothing to do."
_RESUME = "`tradewire resume <executor>`."
_ROUTE = "Change `[executors.<name>.route]` if this executor should trade it."

CATALOGUE: Mapping[Code, Meaning] = {
    Code.NOT_ADDRESSED: Meaning("The signal names other executors.", "Leave `executors` out to address all."),
    Code.CONFIDENCE_BELOW_MINIMUM: Meaning("The confidence is below the executor's minimum.", _ROUTE),
    Code.SYMBOL_NOT_ROUTED: Meaning("The symbol is not in the executor's allow list.", _ROUTE),
    Code.SYMBOL_DENIED: Meaning("The symbol is in the executor's deny list.", _ROUTE),
    Code.ASSET_CLASS_NOT_ROUTED: Meaning("The executor does not trade this asset class.", _ROUTE),
    Code.STRATEGY_NOT_ROUTED: Meaning("The executor does not follow this strategy.", _ROUTE),
    Code.REGIME_NOT_ROUTED: Meaning("The executor does not trade in this market regime.", _ROUTE),
    Code.ACTION_NOT_ROUTED: Meaning("The executor does not take this side.", _ROUTE),
    Code.PRACTICE_SOURCE: Meaning(
        "Signals of the replay source are practice and never reach a live account.",
        "Use a real source for live executors.",
    ),
    Code.EXECUTOR_GONE: Meaning(
        "The executor is no longer in the executors file, and a person let it go.",
        "Look at its broker by hand; discard dead letters of it with `tradewire dead discard`.",
    ),
    Code.TOO_OLD: Meaning(
        "The entry is older than `limits.entry_age_s`.", "Send a new signal; look at what held it with `why`."
    ),
    Code.EXPIRED_SIGNAL: Meaning("The signal's own `expires_at` has passed.", "Send a new signal."),
    Code.SUPERSEDED: Meaning("An exit of the same symbol came before the entry was sent, and ended it.", _DONE),
    Code.NO_POSITION: Meaning("There is no position to close.", _DONE),
    Code.NO_SHORTING: Meaning(
        "A SELL without a position would open a short, and shorting is off.",
        "Set `order.allow_short = true` if the account may short.",
    ),
    Code.POSITION_AGAINST: Meaning(
        "The signal means to open, and the account holds the other side of the symbol.",
        "Close the position first, or leave `intent` out.",
    ),
    Code.BELOW_ONE_SHARE: Meaning(
        "The size comes to less than one share; it is not rounded up.", "Raise the size, or trade a cheaper symbol."
    ),
    Code.BELOW_MINIMUM_QUANTITY: Meaning("The size is below the broker's minimum for this asset.", "Raise the size."),
    Code.BUYING_POWER_USED_UP: Meaning(
        "The account's buying power, less what is reserved, does not cover the smallest order.",
        "Close positions or add funds.",
    ),
    Code.ASSET_NOT_TRADABLE: Meaning("The broker does not trade this symbol.", "Deny the symbol."),
    Code.ENTRY_WITHOUT_PRICE: Meaning(
        "There is no position to close, and an entry needs a price.", "Send `entry_price` with entries."
    ),
    Code.BROKER_AWAY: Meaning("The broker could not be reached and has not seen the order.", _NOTHING),
    Code.RATE_LIMITED: Meaning("The broker's request rate is used up.", _NOTHING),
    Code.BROKER_REFUSES_ACCOUNT: Meaning(
        "The broker does not accept the keys or the account.",
        "Mend the keys or the account; one probe a minute finds out.",
    ),
    Code.ACCOUNT_BLOCKED: Meaning(
        "The broker has blocked trading on the account.", "Ask the broker; entries wait until they are too old."
    ),
    Code.ACCOUNT_UNREADABLE: Meaning("The account could not be read, and unknown is never go.", _NOTHING),
    Code.ORDER_UNDER_WAY: Meaning(
        "An earlier order of this symbol is still working at the broker; it is canceled first.", _NOTHING
    ),
    Code.LEASE_TOO_SHORT: Meaning("Too little of the lease was left to send safely.", _NOTHING),
    Code.SEND_AGAIN: Meaning(
        "The broker does not have the order: the identical order is sent again under the same id.", _NOTHING
    ),
    Code.REJECTED_BY_BROKER: Meaning(
        "The broker refused the order; its words are in the facts.", "Mend the cause and send a new signal."
    ),
    Code.CANCELED_AT_BROKER: Meaning("The order was canceled at the broker.", _DONE),
    Code.EXPIRED_AT_BROKER: Meaning("The order's time in force ran out.", _DONE),
    Code.NO_ANSWER: Meaning("The broker's answer did not come or could not be read.", _NOTHING),
    Code.LEASE_RAN_OUT: Meaning("The worker was gone before it recorded the answer.", _NOTHING),
    Code.DUPLICATE_ID: Meaning("The broker says that it has had this order already.", _NOTHING),
    Code.ATTEMPTS_USED_UP: Meaning(
        "All attempts came back without a usable answer.", "`tradewire dead requeue` or `discard`."
    ),
    Code.UNKNOWN_TOO_LONG: Meaning(
        "The broker answers, but does not say whether it has the order.",
        "Look at the broker, then `tradewire dead requeue` or `discard`.",
    ),
    Code.ORDER_MISMATCH: Meaning(
        "The broker holds another order under our id.", "Look at the broker; somebody else uses these ids."
    ),
    Code.ORDER_VANISHED: Meaning(
        "The broker no longer knows an order that it had accepted.", "Look at the broker, then discard."
    ),
    Code.ACCOUNT_CHANGED: Meaning(
        "The keys now lead to another account than the one the order was meant for.",
        "Put the right keys back, then requeue or discard.",
    ),
    Code.INTERNAL_ERROR: Meaning(
        "tradewire itself failed on this execution; the log has the details.", "Report it, then requeue or discard."
    ),
    Code.LATE_ORDER: Meaning(
        "The broker has an order for an execution that had ended here.",
        "An unfilled entry is canceled at once; look at the position.",
    ),
    Code.REQUEUED: Meaning("A person put the dead letter back to work.", _DONE),
    Code.DISCARDED: Meaning("A person closed the dead letter.", _DONE),
    Code.MARKET_CLOSED: Meaning(
        "The market is closed; exits wait for the open, entries as `hours.closed` says.",
        "Nothing to do, or set `hours.closed`.",
    ),
    Code.CLOCK_UNREADABLE: Meaning("The broker's clock could not be read, and unknown is never go.", _NOTHING),
    Code.HELD_TOO_LONG: Meaning(
        "The entry waited for the open for longer than `hours.hold_s`.", "Send a new signal, or raise `hours.hold_s`."
    ),
    Code.PRICE_DRIFTED: Meaning(
        "The market has moved from the signal's price by more than `limits.price_drift_percent`.",
        "Send a new signal at the new price.",
    ),
    Code.PRICE_UNKNOWN: Meaning("The market's price could not be read, and the entry may not go without it.", _NOTHING),
    Code.REPEATED_IDEA: Meaning(
        "The same strategy has traded this symbol and side within `limits.repeat_window_s`.",
        "Nothing to do, or change `limits.repeat_window_s`.",
    ),
    Code.REPEATED_CONTENT: Meaning(
        "A signal with the same content was traded within `limits.repeat_window_s`.",
        "Nothing to do, or change `limits.repeat_window_s`.",
    ),
    Code.PYRAMIDING_LIMIT: Meaning(
        "The position is built from as many entries as `limits.pyramiding` allows.",
        "Nothing to do, or raise `limits.pyramiding`.",
    ),
    Code.OPEN_POSITIONS_LIMIT: Meaning(
        "As many positions are open or on their way as `limits.open_positions` allows.",
        "Close a position, or raise the limit.",
    ),
    Code.GROSS_EXPOSURE_LIMIT: Meaning(
        "All positions and orders together leave too little of `limits.gross_exposure_percent`.",
        "Close positions, or raise the limit.",
    ),
    Code.SYMBOL_EXPOSURE_LIMIT: Meaning(
        "The symbol's position and orders leave too little of `limits.symbol_exposure_percent`.",
        "Close some of it, or raise the limit.",
    ),
    Code.GROUP_POSITIONS_LIMIT: Meaning(
        "As many positions of the symbol's group are open as `limits.group_positions` allows.",
        "Close one of the group, or change `groups`.",
    ),
    Code.GROUP_EXPOSURE_LIMIT: Meaning(
        "The symbol's group leaves too little of `limits.group_exposure_percent`.",
        "Close some of the group, or change `groups`.",
    ),
    Code.ORDERS_PER_DAY_LIMIT: Meaning(
        "The day's entries have reached `limits.orders_per_day`.", "Wait for the next day, or raise the limit."
    ),
    Code.DAILY_LOSS_LIMIT: Meaning(
        "The day's loss, the risk of what is open and this entry's risk exceed `limits.daily_loss_percent`.",
        "Wait for the next day, or lower the risk.",
    ),
    Code.DRAWDOWN_LIMIT: Meaning(
        "The drawdown, the risk of what is open and this entry's risk exceed `limits.drawdown_percent`.",
        "Close positions, or lower the risk.",
    ),
    Code.STOP_TOO_FAR: Meaning(
        "The signal's stop is farther from its price than `limits.stop_distance_percent`.",
        "Send a closer stop, or raise the limit.",
    ),
    Code.POSITION_SIZE_LIMIT: Meaning(
        "The largest size that one position may have leaves too little for the smallest order.",
        "Raise `size.maximum_percent` or `firm.maximum_quantity`.",
    ),
    Code.CASH_USED_UP: Meaning(
        "Crypto is bought with settled cash, and too little of it is left.", "Close positions or add funds."
    ),
    Code.CONSISTENCY_LIMIT: Meaning(
        "The day's profit is as large a part of all profit as `firm.consistency_percent` allows.",
        "Wait for the next day.",
    ),
    Code.FLAT_BY_TIME: Meaning(
        "It is too close to the market's close for an entry: `firm.flat_before_close_s`.", "Wait for the next session."
    ),
    Code.REDUCING: Meaning("A person set the account to reducing: entries are skipped, exits go.", _RESUME),
    Code.REDUCING_DAILY_LOSS: Meaning(
        "The day's loss has reached nine tenths of its limit: entries are skipped, exits go.",
        "It ends by itself when the loss shrinks or the day is over.",
    ),
    Code.REDUCING_DRAWDOWN: Meaning(
        "The drawdown has reached nine tenths of its limit: entries are skipped, exits go.",
        "It ends by itself when equity recovers.",
    ),
    Code.REDUCING_UNREADABLE: Meaning(
        "The account's equity could not be read for 30 s: entries are skipped, exits go.",
        "It ends by itself when the account can be read.",
    ),
    Code.HALTED: Meaning("A person halted the account: entries are skipped, exits go.", _RESUME),
    Code.HALTED_DAILY_LOSS: Meaning(
        "The day's loss reached its limit, and the account is halted.",
        "`tradewire resume <executor> --why …` when it may trade again.",
    ),
    Code.HALTED_DRAWDOWN: Meaning(
        "The drawdown reached its limit, and the account is halted.",
        "`tradewire resume <executor> --why …` when it may trade again.",
    ),
    Code.PAUSED: Meaning("A person paused the account: entries are held, exits go.", _RESUME),
    Code.RATE_BUDGET: Meaning("The account's requests of the last minute leave no room for this one.", _NOTHING),
    Code.REJECTIONS_IN_A_ROW: Meaning(
        "The broker has refused so many orders in a row that only one a minute is tried.",
        "Look at the refused orders with `executions --status rejected`.",
    ),
    Code.MINIMUM_HOLD: Meaning("The position is younger than `firm.minimum_hold_s`; the exit waits.", _NOTHING),
    Code.ACCOUNT_UNWATCHED: Meaning(
        "Nobody has read the account's day and peak yet, or not lately, and a loss limit needs them.",
        "Start the keeper, or look at the broker with `doctor`.",
    ),
    Code.EXIT_NOT_DONE: Meaning(
        "An exit's order ended with position left; it is tried again until the position is flat.",
        "Close it at the broker, or `tradewire end` to give up.",
    ),
    Code.ENDED_BY_PERSON: Meaning("A person ended the execution.", _DONE),
}

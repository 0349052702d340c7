"""The catalogue of reasons: the meaning of each code, and what a person can do about it."""

from collections.abc import Mapping

from pipeline.model.limit_reasons import LIMIT_REASONS
from pipeline.model.reason_meaning import Meaning
from pipeline.model.reasons import Code

_NOTHING = "Nothing to do: tradewire goes on by itself."
_DONE = "Nothing to do."
_UNREADABLE = "Nothing to do while it is held. If it is a dead letter: `tradewire dead requeue` or `discard`."
_DECIDE = "Check the account at the broker, then `tradewire dead requeue` or `discard`."
_REPEAT = "Nothing to do, or change `limits.repeat_window_s`."
_FOREIGN = "Cancel them (ours with `orders cancel`), or set `order.cancel_foreign`. The exit goes when they are gone."
_RESUME = "`tradewire resume <executor>`."
_ROUTE = "If the account should take it, change `[executors.<name>.route]`."

CATALOGUE: Mapping[Code, Meaning] = {
    Code.NOT_ADDRESSED: Meaning(
        "The signal is addressed to other executors.", "To address all executors, leave `executors` out of the signal."
    ),
    Code.CONFIDENCE_BELOW_MINIMUM: Meaning("The confidence is below `route.minimum_confidence`.", _ROUTE),
    Code.SYMBOL_NOT_ROUTED: Meaning("`route.symbols` does not list the symbol.", _ROUTE),
    Code.SYMBOL_DENIED: Meaning("`route.deny` lists the symbol.", _ROUTE),
    Code.ASSET_CLASS_NOT_ROUTED: Meaning("`route.asset_classes` does not list the asset class.", _ROUTE),
    Code.STRATEGY_NOT_ROUTED: Meaning("`route.strategies` does not list the strategy.", _ROUTE),
    Code.REGIME_NOT_ROUTED: Meaning("`route.regimes` does not list the market regime.", _ROUTE),
    Code.ACTION_NOT_ROUTED: Meaning("`route.actions` does not list the action.", _ROUTE),
    Code.PRACTICE_SOURCE: Meaning(
        "The replay source gives practice signals, which no account of real money takes.",
        "For real money, use another source.",
    ),
    Code.EXECUTOR_GONE: Meaning(
        "executors.toml has no such executor any more, and a person ran `tradewire config forget`.",
        "Check the account at the broker; close its dead letters with `tradewire dead discard`.",
    ),
    Code.TOO_OLD: Meaning(
        "The entry is older than `limits.entry_age_s`.",
        "Send a new signal; `tradewire why` shows what delayed the entry.",
    ),
    Code.EXPIRED_SIGNAL: Meaning("The signal's own `expires_at` has passed.", "Send a new signal."),
    Code.SUPERSEDED: Meaning(
        "A later exit replaced this entry, stop order or limit close, or a smaller stop order replaced a larger one.",
        _DONE,
    ),
    Code.NO_POSITION: Meaning(
        "There is no position that the signal may close.",
        "Nothing to do, unless `held_by` names a holder: to close that, send the exit with the holder's `strategy`, "
        'set `order.close_scope = "account"`, or run `tradewire flatten`.',
    ),
    Code.NO_SHORTING: Meaning(
        "A SELL without a position would open a short position, and `order.allow_short` is false.",
        "Set `order.allow_short = true` if the account may short.",
    ),
    Code.NO_FLIP: Meaning(
        'A REVERSE closed the position. The other side is not opened, since `order.flip` is "close".',
        'Set `order.flip = "reverse"`, and `order.allow_short = true` where the other side is short.',
    ),
    Code.POSITION_AGAINST: Meaning(
        "The account holds a position on the other side: `intent` forbids a close, or other strategies hold it.",
        "Close the position first, or let the strategy that holds it close it.",
    ),
    Code.STOP_RESTS: Meaning(
        "The broker would refuse the entry as a wash trade with the position's stop order.",
        "Nothing to do: the entry adds to a position only while no stop order of the symbol rests.",
    ),
    Code.BELOW_ONE_SHARE: Meaning(
        "The size is less than one share, and it is not rounded up.", "Raise `size.value`, or trade a cheaper symbol."
    ),
    Code.BELOW_MINIMUM_QUANTITY: Meaning(
        "The size is below the broker's minimum for this asset.", "Raise `size.value`."
    ),
    Code.BUYING_POWER_USED_UP: Meaning(
        "The buying power that is left does not cover the smallest order.", "Close positions or add funds."
    ),
    Code.ASSET_NOT_TRADABLE: Meaning("The broker does not trade this symbol.", "Add the symbol to `route.deny`."),
    Code.QUOTED_IN_ANOTHER_CURRENCY: Meaning(
        "The pair is priced in another coin than the account's money, so its size and limits cannot be computed.",
        "Trade the pair in dollars, such as ETH/USD. Exits of such a pair are sent.",
    ),
    Code.ENTRY_WITHOUT_PRICE: Meaning(
        "There is no position to close, and an entry needs a price.", "Send `entry_price` with entries."
    ),
    Code.BROKER_AWAY: Meaning("The broker could not be reached and has not seen the order.", _NOTHING),
    Code.RATE_LIMITED: Meaning("The broker's request rate is used up.", _NOTHING),
    Code.BROKER_REFUSES_ACCOUNT: Meaning(
        "The broker does not accept the keys or the account.",
        "Correct the keys, or ask the broker. tradewire tries again once a minute.",
    ),
    Code.ENTRIES_REFUSED: Meaning(
        "The broker refuses orders that open a position. Exits go on.",
        "Ask the broker. tradewire sends one entry a minute as a trial, and entries end when they are too old.",
    ),
    Code.ACCOUNT_BLOCKED: Meaning(
        "The broker has blocked trading on the account.", "Ask the broker. Entries wait until they are too old."
    ),
    Code.ACCOUNT_UNREADABLE: Meaning(
        "The account could not be read reliably, and no order is sent until it can be read.", _UNREADABLE
    ),
    Code.ORDER_UNDER_WAY: Meaning(
        "An earlier order of this symbol may still fill. Exits and entries wait for its end; a stop order is skipped.",
        _NOTHING,
    ),
    Code.LEASE_TOO_SHORT: Meaning("The worker's lease had too little time left to send the order safely.", _NOTHING),
    Code.SEND_AGAIN: Meaning(
        "The broker does not have the order. The identical order is sent again under the same id.", _NOTHING
    ),
    Code.REJECTED_BY_BROKER: Meaning(
        "The broker refused the order; the reason has its message.", "Correct the cause, then send a new signal."
    ),
    Code.CANCELED_AT_BROKER: Meaning("The order was canceled at the broker, or by tradewire for an exit.", _DONE),
    Code.ENTRY_TIMEOUT: Meaning(
        "The entry's order was not filled within `order.entry_timeout_s` of open market, and tradewire canceled it.",
        "Nothing to do, or change `order.entry_timeout_s` or `order.collar_percent`.",
    ),
    Code.PARTLY_FILLED: Meaning(
        "After a partial fill tradewire canceled the entry: the broker takes no stop order while an entry is open.",
        _DONE,
    ),
    Code.STOP_MISSING: Meaning(
        "tradewire canceled the entry, because the broker refuses the position's stop order while the entry is open.",
        _DONE,
    ),
    Code.EXPIRED_AT_BROKER: Meaning("The order's time in force ran out.", _DONE),
    Code.NO_ANSWER: Meaning("The broker's answer did not come or could not be read.", _NOTHING),
    Code.LEASE_RAN_OUT: Meaning("The worker ended before it recorded the broker's answer.", _NOTHING),
    Code.DUPLICATE_ID: Meaning("The broker reports that it already has an order of this id.", _NOTHING),
    Code.ATTEMPTS_USED_UP: Meaning("No attempt got a usable answer from the broker.", _DECIDE),
    Code.UNKNOWN_TOO_LONG: Meaning("The broker answers, but does not say whether it has the order.", _DECIDE),
    Code.ORDER_MISMATCH: Meaning(
        "The broker has another order under this execution's id.",
        "Check the orders at the broker: another program uses ids of tradewire.",
    ),
    Code.ORDER_VANISHED: Meaning(
        "The broker no longer knows an order that it had accepted.",
        "Check the account at the broker, then `tradewire dead discard`.",
    ),
    Code.ACCOUNT_CHANGED: Meaning(
        "The keys now belong to another account than the one that the order was meant for.",
        "Put the right keys back, then `tradewire dead requeue` or `discard`.",
    ),
    Code.INTERNAL_ERROR: Meaning(
        "tradewire itself failed on this execution; the log has the details.",
        "Report the error, then `tradewire dead requeue` or `discard`.",
    ),
    Code.LATE_ORDER: Meaning(
        "The broker has an order of an execution that had already ended in tradewire.",
        "Check the position. tradewire cancels an entry that is not filled.",
    ),
    Code.REQUEUED: Meaning("A person requeued the dead letter.", _DONE),
    Code.DISCARDED: Meaning("A person closed the dead letter.", _DONE),
    Code.MARKET_CLOSED: Meaning(
        "The market is closed. Exits wait for the open; entries do what `hours.closed` says.",
        "Nothing to do, or change `hours.closed`.",
    ),
    Code.CLOCK_UNREADABLE: Meaning(
        "The broker's clock could not be read, and the order is not sent without it.", _NOTHING
    ),
    Code.HELD_TOO_LONG: Meaning(
        "The entry has waited for the open for longer than `hours.hold_s`.",
        "Send a new signal, or raise `hours.hold_s`.",
    ),
    Code.PRICE_DRIFTED: Meaning(
        "The market has moved from the signal's price by more than `limits.price_drift_percent`.",
        "Send a new signal at the new price.",
    ),
    Code.PRICE_UNKNOWN: Meaning(
        "The market's price could not be read, and the entry is not sent without it.", _NOTHING
    ),
    Code.SPREAD_TOO_WIDE: Meaning(
        "The entry asks for the market's price, and bid and ask are farther apart than `order.collar_percent`.",
        "Send a price (`entry_price`), or trade a symbol with a smaller spread.",
    ),
    Code.LEVEL_REACHED: Meaning(
        "The market's price has reached the entry's stop, or the target of an entry at the market's price.",
        "Nothing to do, or send another stop or target.",
    ),
    Code.REPEATED_IDEA: Meaning(
        "The strategy has already ordered this symbol and side within `limits.repeat_window_s`.", _REPEAT
    ),
    Code.REPEATED_CONTENT: Meaning(
        "A signal with the same content was ordered within `limits.repeat_window_s`.", _REPEAT
    ),
    **LIMIT_REASONS,
    Code.FLAT_BY_TIME: Meaning(
        "The market closes within `firm.flat_before_close_s`: the account takes no entry.", "Wait for the next session."
    ),
    Code.REDUCING: Meaning("A person set the account to closing only: entries are skipped, exits are sent.", _RESUME),
    Code.REDUCING_DAILY_LOSS: Meaning(
        "The day's loss has reached nine tenths of its limit: the account is closing only. Entries are skipped.",
        "It ends by itself when the loss shrinks or the day is over.",
    ),
    Code.REDUCING_DRAWDOWN: Meaning(
        "The drawdown has reached nine tenths of its limit: the account is closing only. Entries are skipped.",
        "It ends by itself when equity recovers.",
    ),
    Code.REDUCING_UNREADABLE: Meaning(
        "The equity could not be read for 30 s: the account is closing only. Entries are skipped.",
        "It ends by itself when the account can be read.",
    ),
    Code.HALTED: Meaning("A person halted the account: entries are skipped, exits are sent.", _RESUME),
    Code.HALTED_DAILY_LOSS: Meaning(
        "The day's loss has reached its limit, and the account is halted: entries are skipped, exits are sent.",
        "`tradewire resume <executor> --why …` when it may trade again.",
    ),
    Code.HALTED_DRAWDOWN: Meaning(
        "The drawdown has reached its limit, and the account is halted: entries are skipped, exits are sent.",
        "`tradewire resume <executor> --why …` when it may trade again.",
    ),
    Code.PAUSED: Meaning("A person paused the account: entries are held, exits are sent.", _RESUME),
    Code.RATE_BUDGET: Meaning(
        "The last minute's requests have used up the part of `limits.requests_per_minute` for this kind of request.",
        _NOTHING,
    ),
    Code.REJECTIONS_IN_A_ROW: Meaning(
        "The broker has refused so many orders in a row that only one a minute is tried.",
        "Read the broker's messages with `tradewire executions --status rejected`, and correct the cause.",
    ),
    Code.MINIMUM_HOLD: Meaning(
        "The position has been held for less than `firm.minimum_hold_s`, so the exit waits.", _NOTHING
    ),
    Code.ACCOUNT_UNWATCHED: Meaning(
        "A loss limit needs the account's figures of today, and the keeper has not read them in the last 90 s.",
        "Start the keeper, or run `tradewire doctor`.",
    ),
    Code.NOT_RECONCILED: Meaning(
        "The account was not compared with the record for 5 min or since the last restore. Entries wait, and after a "
        "restore also exits of a position that the record lacks.",
        "Start the keeper, or run `tradewire reconcile`.",
    ),
    Code.QUARANTINED: Meaning(
        "Record and broker differ in this symbol. Entries wait until they are too old; exits are sent.",
        "`tradewire reconcile` shows the difference and its remedy.",
    ),
    Code.EXIT_NOT_DONE: Meaning(
        "An exit or a stop order ended before the position was closed. It is placed again for the rest.",
        "Close the position at the broker, or give the exit up with `tradewire end`.",
    ),
    Code.QUANTITY_HELD: Meaning(
        "Other orders hold the quantity of an exit or a stop, or oppose it (a wash trade). A limit close is skipped.",
        _FOREIGN,
    ),
    Code.FOREIGN_CANCELED: Meaning("An exit cancels orders of others. A stop is placed again afterwards.", _NOTHING),
    Code.DUST: Meaning("The broker takes no order of the quantity that is left.", "Close it by hand, or keep it."),
    Code.ENDED_BY_PERSON: Meaning("A person ended the execution.", _DONE),
    Code.CANCELED_BY_PERSON: Meaning(
        "A person had the order canceled: `by` names the person.",
        "Nothing to do. If it was an exit, the position is still open: `tradewire orders close`.",
    ),
}

"""The words by which an alert changes its order: one list for all dialects, of every usual spelling."""

import re
from collections.abc import Sequence
from enum import StrEnum, auto
from typing import Any

from pipeline.model.symbols import AssetClass


def one_of(words: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(words.split())


class Term(StrEnum):
    """One statement about an order besides its symbol, side, prices and times."""

    #: A size in shares or coins.
    QUANTITY = auto()
    #: A size whose unit has to be named.
    AMOUNT = auto()
    #: A size in `key=value` lines; beside the fields of a bar it is the bar's.
    VOLUME = auto()
    #: A size in dollars.
    NOTIONAL = auto()
    #: A size in percent of the account's equity.
    EQUITY_PERCENT = auto()
    #: A share of the position.
    CLOSE_PERCENT = auto()
    #: A percentage of something that is not named.
    PERCENT = auto()
    #: The unit of the size.
    UNIT = auto()
    #: Market, limit, stop …
    KIND = auto()
    #: A kind, an action, a class, or the sender's word for something else.
    TYPE = auto()
    #: The price of a limit order.
    LIMIT = auto()
    TIME_IN_FORCE = auto()
    #: Only reduce a position.
    REDUCE_ONLY = auto()
    #: Whether the order opens or closes, or of which side, in words that are not read.
    EFFECT = auto()
    #: Instructions that every exit follows, and no entry can.
    FOR_EXITS = auto()
    LEVERAGE = auto()
    #: Shares, crypto, options …
    ASSET_CLASS = auto()
    OPTION = auto()
    #: Instructions that no order follows here.
    OTHER = auto()
    #: Not a real order when it is true.
    TEST = auto()
    #: Not a real order when it is false.
    LIVE = auto()
    #: Live, paper …
    MODE = auto()


_SPELLINGS = {
    Term.QUANTITY: """quantity qty contracts order_contracts order_quantity order_qty shares share units coins q
        num_shares number_of_shares share_count trade_quantity trade_qty""",
    Term.AMOUNT: "amount amt size sz order_size order_amount trade_size trade_amount amount_per_trade pos_size",
    Term.VOLUME: "volume vol",
    Term.NOTIONAL: """notional notional_usd notional_value notional_amount dollar_amount dollars usd usd_amount
        amount_usd amount_in_usd usd_size quote_amount quote_qty quote_quantity quote_order_qty quote_size cash
        cash_amount cash_order_qty order_value trade_value dollar_value""",
    Term.EQUITY_PERCENT: """equity_percent equity_pct equity_percentage percent_of_equity pct_of_equity
        percentage_of_equity percent_equity""",
    Term.CLOSE_PERCENT: """close_percent close_pct close_percentage percent_of_position pct_of_position
        percentage_of_position position_percent position_pct position_percentage exit_percent exit_pct
        exit_percentage percent_to_close""",
    Term.PERCENT: """percent pct percentage perc quantity_percent quantity_pct qty_percent qty_pct size_percent
        size_pct order_percent amount_percent""",
    Term.UNIT: """quantity_type qty_type size_type amount_type volume_type quantity_unit qty_unit size_unit
        amount_unit unit unit_type units_type sizing sizing_method sizing_type size_method quantity_method
        quantity_mode qty_mode order_size_type order_qty_type trade_size_type amount_per_trade_type currency_type
        investment_type position_size_type position_sizing qt""",
    Term.KIND: "order_type ord_type order_kind type_of_order entry_type execution_type price_type order_class",
    Term.TYPE: "type order trade_type signal_type alert_type trade_action command cmd operation op event",
    Term.LIMIT: "limit_price limit limit_px limit_value price_limit lmt lmt_price",
    Term.TIME_IN_FORCE: "time_in_force tif duration order_duration order_tif good_till good_til validity",
    Term.REDUCE_ONLY: "reduce_only close_only only_close",
    Term.EFFECT: """position_side pos_side position_effect order_effect position_intent open_close trade_side
        order_side close_position is_close close_all is_exit exit_position flatten exit reverse flip""",
    Term.FOR_EXITS: """extended_hours extended_trading ext_hours outside_rth after_hours pre_market
        allow_extended_hours cancel cancel_orders cancel_open_orders""",
    Term.LEVERAGE: "leverage lev",
    Term.ASSET_CLASS: """class asset_class asset_type instrument_type instrument_class security_type sec_type
        product_type market_type""",
    Term.OPTION: """option_type option options option_symbol option_contract call_put put_call right strike
        strike_price strikes strike_count strikes_away intrinsic_value expiration expiration_date expiration_type
        expiry expiry_date exp_date maturity dte days_to_expiration legs leg moneyness""",
    Term.OTHER: """post_only maker_only callback callback_rate activation_price cancel_after delay delay_s delay_ms
        delay_seconds delay_minutes execute_after execute_at""",
    Term.TEST: """disabled is_disabled paused is_paused alert_only alerts_only signal_only notify_only notification_only
        no_trade do_not_trade log_only test is_test testing test_mode test_order test_only test_net is_test_net
        use_test_net dry_run is_dry_run
        dry simulate simulated simulation sim is_simulated sandbox use_sandbox is_sandbox paper is_paper
        paper_trading paper_trade paper_mode demo is_demo demo_mode mock validate_only validate preview what_if
        backtest is_backtest practice""",
    Term.LIVE: """live is_live live_trading live_mode enabled is_enabled active is_active real real_money
        execute do_execute trade_enabled trading_enabled enable_trading auto_trade auto_trading place_order
        send_order""",
    Term.MODE: """mode env environment trading_mode trade_mode account_type account_mode execution_mode order_mode
        run_mode flag flags""",
}

# A key with one of these words may change the order. Some words of the spellings above are left out, since they also
# name other things: type, order, mode, volume, price.
_WORDS = one_of(
    """
    quantity qty size sizing share shares lot lots contract contracts unit units coins amount notional dollar dollars
    usd cash percent pct percentage perc leverage lev margin risk reduce
    trail trailing stop sl tp take target targets trigger oco oto bracket iceberg hidden aon
    tif duration gtc gtd ioc fok
    option options strike strikes expiry expiration leg legs call put dte
    test testing testnet dry paper demo sandbox simulate simulated simulation
    """
)
# These are found at the beginning or the end of joined words; shorter ones are parts of other words.
_LONG_WORDS = tuple(word for word in _WORDS if len(word) >= 5 and word != "testing")  # noqa: PLR2004 -- `latest`
# These are the beginning or the end of other words: `mistake`, `proportion`, `capitalization`.
_AMBIGUOUS = one_of(
    """
    allocation allocate investment invest capital budget stake fraction portion multiplier multiple limit limits
    callback activation cancel delay exposure
    """
)
_WORDS |= _AMBIGUOUS | one_of("amt sz lmt")
# In these, a word of the list belongs to something that is no order: a service, a feed, the change of a price.
_OTHER_LIMITS = re.compile(
    r"""(?:^|_)(?:(?:rate|api|request|message|character)_?limits?(?:_(?:remaining|reset|used|left))?
    |(?:data|feed|quote|exchange)_?delay)$
    |^(?:(?:price|day|daily|bar)_)?(?:(?:percent|percentage|pct)_?change|change_?(?:percent|percentage|pct))$""",
    re.VERBOSE,
)
# The last word of a key is the noun, and the words before it describe it: `cancel_url`, `capital_city`.
_ADDRESSES = one_of("url uri link href")
_LABELS = one_of("city label title color colour icon emoji")
_PRACTICE = one_of("test testing testnet dry paper demo sandbox simulate simulated simulation")
_YES_OR_NO = one_of("true false yes no on off y n t f none null")
# A key that consists of these and of the words above is several words that are joined.
_BESIDE = one_of(
    """
    account base buy by close daily day entry exit fixed for id initial is long loss max min mode my number num of only
    open order orders per position price profit quote rate ratio sell short symbol the to total trade trading type
    use value
    """
)
_LONGEST = 64
_EVERY = _WORDS | _BESIDE

#: The words for the classes that are traded; spot may be of either.
CLASSES: dict[str, AssetClass | None] = (
    dict.fromkeys(one_of("crypto cryptocurrency coin"), AssetClass.CRYPTO)
    | dict.fromkeys(
        one_of("equity equities etf fund dr share shares stock stocks stk usequity usstock commonstock"),
        AssetClass.US_EQUITY,
    )
    | {"spot": None}
)
# Under `type`, other words are the sender's own.
_OTHER_CLASSES = one_of("option options call put future futures forex fx cfd perp perpetual perpetuals swap index bond")
#: Keys that describe the sender's position, and not the order.
POSITION_SIZES = one_of("market_position_size prev_market_position_size position_size prev_position_size")


def words_of(key: str) -> list[str]:
    """Return the words of a key: `quantityType`, `QTY_TYPE` and `qty%` have two each."""
    spelled = key.replace("%", " percent ").replace("$", " dollars ")
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", spelled)]


def joined(key: str) -> str:
    """Return the words of a key without anything between them, by which spellings are compared."""
    return "".join(words_of(key))


def term_of(key: str) -> Term | None:
    """Return the term that a key spells."""
    return _TERMS.get(joined(key))


def term_with(key: str, value: Any) -> Term | None:
    """Return the term that a key spells, which under `type` depends on the value."""
    term = term_of(key)
    word = joined(value) if term is Term.TYPE and isinstance(value, str) else ""
    return Term.ASSET_CLASS if word in CLASSES or word in _OTHER_CLASSES else term


def may_change_the_order(key: str, value: Any) -> bool:
    """Return whether the name of an unknown key has a word of the list in it, and *value* may be an instruction."""
    words = words_of(_OTHER_LIMITS.sub("", "_".join(words_of(key))))
    if _names_something_else(words, value):
        return False
    if not _WORDS.isdisjoint(words) or any(map(_is_joined, words)):
        return True
    return len(words) == 1 and (words[0].startswith(_LONG_WORDS) or words[0].endswith(_LONG_WORDS))


def _names_something_else(words: Sequence[str], value: Any) -> bool:
    """Return whether the last word makes an address or a label of the others, and *value* is one."""
    if len(words) < 2 or not isinstance(value, str):  # noqa: PLR2004 -- a word, and the noun that it describes
        return False
    if words[-1] in _ADDRESSES:
        return value.startswith(("http://", "https://")) and _PRACTICE.isdisjoint(words)
    is_text = len(value.split()) > 0 and not any(map(str.isdigit, value)) and value.strip().lower() not in _YES_OR_NO
    return words[-1] in _LABELS and is_text and not any(word in _WORDS - _AMBIGUOUS for word in words)


def _is_joined(word: str) -> bool:
    """Return whether *word* is several words without anything between them, one of which is of the list."""
    if len(word) > _LONGEST:
        return False
    # Where a word may end, and where one may end after a word of the list.
    ends, listed = {0}, set[int]()
    for begin in range(len(word)):
        for each in _EVERY if begin in ends else ():
            if word.startswith(each, begin):
                end = begin + len(each)
                ends.add(end)
                if begin in listed or each in _WORDS:
                    listed.add(end)
    return len(word) in listed


_TERMS = {joined(name): term for term, names in _SPELLINGS.items() for name in names.split()}

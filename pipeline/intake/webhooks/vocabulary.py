"""The words with which an alert changes its order: one list for all dialects, with every usual spelling."""

import re
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
    #: A percentage of the position.
    CLOSE_PERCENT = auto()
    #: A percentage of something that is not named.
    PERCENT = auto()
    #: The unit of the size.
    UNIT = auto()
    #: Market, limit, stop …
    KIND = auto()
    #: A kind, an action, a class, or the sender's word for something else.
    TYPE = auto()
    #: An action, or the sender's word for something else.
    WORD = auto()
    #: The price of a limit order.
    LIMIT = auto()
    TIME_IN_FORCE = auto()
    #: Only reduce a position.
    REDUCE_ONLY = auto()
    #: Other keys that say whether the order opens or closes, or the side of the position.
    EFFECT = auto()
    #: Instructions that every exit follows, and that an entry cannot follow.
    FOR_EXITS = auto()
    LEVERAGE = auto()
    #: Shares, crypto, options …
    ASSET_CLASS = auto()
    OPTION = auto()
    #: Instructions that tradewire does not carry out.
    OTHER = auto()
    #: More symbols, or accounts, for the same order.
    MORE = auto()
    #: The currency of the price.
    CURRENCY = auto()
    #: The order is not a real one when this is true.
    TEST = auto()
    #: The order is not a real one when this is false.
    LIVE = auto()
    #: Live, paper …
    MODE = auto()


_SPELLINGS = {
    Term.QUANTITY: """quantity qty contracts order_contracts order_quantity order_qty shares share units coins q
        qtty qnty quant num_shares number_of_shares share_count trade_quantity trade_qty""",
    Term.AMOUNT: "amount amt size sz order_size order_amount trade_size trade_amount amount_per_trade pos_size nominal",
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
    Term.TYPE: "type order kind",
    Term.WORD: """trade_type signal_type alert_type trade_action command cmd operation op event instruction
        transaction_type buy_sell trade trade_direction entry_side action_type position_action status state""",
    Term.LIMIT: "limit_price limit limit_px limit_value price_limit lmt lmt_price",
    Term.TIME_IN_FORCE: "time_in_force tif duration order_duration order_tif good_till good_til validity",
    Term.REDUCE_ONLY: "reduce_only close_only only_close",
    Term.EFFECT: """position_side pos_side position_effect order_effect position_intent open_close trade_side
        order_side close_position is_close close_all is_exit exit_position flatten exit reverse flip close_opposite
        close_previous close_existing close_before close_first close_positions close_orders close_trades close_reverse
        exit_all exit_positions exit_opposite exit_previous reverse_order_close reverse_position reverse_order
        entry_only exit_only open_only pos new_position strategy_position current_position""",
    Term.FOR_EXITS: """extended_hours extended_trading ext_hours outside_rth after_hours pre_market
        allow_extended_hours cancel cancel_orders cancel_open_orders valid_until valid_till valid_for valid_to
        good_until good_for expire expire_at expires expires_in expire_time ttl time_to_live max_age
        exit_price""",
    Term.LEVERAGE: "leverage lev",
    Term.ASSET_CLASS: """class asset_class asset_type instrument_type instrument_class security_type sec_type
        product_type market_type""",
    Term.OPTION: """option_type option options option_symbol option_contract call_put put_call right strike
        strike_price strikes strike_count strikes_away intrinsic_value expiration expiration_date expiration_type
        expiry expiry_date exp_date maturity dte days_to_expiration legs leg moneyness""",
    Term.OTHER: """post_only maker_only callback callback_rate activation_price cancel_after delay delay_s delay_ms
        delay_seconds delay_minutes execute_after execute_at max_price maximum_price price_max min_price
        minimum_price price_min worst_price slippage max_slippage start_at not_before""",
    Term.MORE: """account accounts account_id account_ids account_name account_number sub_account broker_account
        executor symbols tickers""",
    Term.CURRENCY: "currency quote_currency price_currency settle_currency",
    Term.TEST: """dont_trade skip ignore do_nothing hold approval_required needs_approval requires_approval
        disabled is_disabled paused is_paused alert_only alerts_only signal_only notify_only notification_only
        no_trade do_not_trade log_only test is_test testing test_mode test_order test_only test_net
        is_test_net use_test_net dry_run is_dry_run dry simulate simulated simulation sim is_simulated sandbox
        use_sandbox is_sandbox paper is_paper paper_trading paper_trade paper_mode demo is_demo demo_mode mock
        validate_only validate preview what_if backtest is_backtest practice""",
    Term.LIVE: """live is_live live_trading live_mode enabled is_enabled active is_active real real_money
        execute do_execute trade_enabled trading_enabled enable_trading auto_trade auto_trading place_order
        send_order armed confirmed is_confirmed valid is_valid approved is_approved""",
    Term.MODE: """mode env environment trading_mode trade_mode account_type account_mode execution_mode order_mode
        run_mode flag flags""",
}

#: The words for the classes that are traded; `spot` may be either.
CLASSES: dict[str, AssetClass | None] = (
    dict.fromkeys(one_of("crypto cryptocurrency coin"), AssetClass.CRYPTO)
    | dict.fromkeys(
        one_of("equity equities etf fund dr share shares stock stocks stk usequity usstock commonstock"),
        AssetClass.US_EQUITY,
    )
    | {"spot": None}
)
# A word under `type` that is not one of these, an action or a kind of order has a meaning of the sender's own.
_OTHER_CLASSES = one_of("option options call put future futures forex fx cfd perp perpetual perpetuals swap index bond")
_MAY_NAME_A_CLASS = one_of("market product tradetype")
# Words for a change of an order that was sent before.
_OF_ANOTHER_ORDER = one_of(
    """cancel canceled cancelled cancelorder cancelorders cancelall cancelallorders modify modifyorder replaceorder
    updateorder changeorder reduce reduceonly closeonly"""
)
#: The words which say that an order is not for real.
TESTS = one_of(
    """test testing paper demo sandbox sim simulation simulated dryrun dry backtest backtesting testnet practice mock
    replay virtual staging off dev development disabled"""
)
#: Keys that describe the sender's position, and not the order.
POSITION_SIZES = one_of("market_position_size prev_market_position_size position_size prev_position_size")


def words_of(key: str) -> list[str]:
    """Return the words of a key: `quantityType`, `QTY_TYPE` and `qty%` have two each."""
    spelled = key.replace("%", " percent ").replace("$", " dollars ")
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", spelled)]


def joined(key: str) -> str:
    """Return the words of a key written together; spellings are compared in this form."""
    return "".join(words_of(key))


def term_of(key: str) -> Term | None:
    """Return the term that a key spells."""
    return _TERMS.get(joined(key))


def term_with(key: str, value: Any) -> Term | None:
    """Return the term that a key spells. For keys such as `type` and `event`, the term depends on the value."""
    term = term_of(key)
    names_class = term is Term.TYPE or joined(key) in _MAY_NAME_A_CLASS
    if not isinstance(value, str) or not (names_class or may_name_an_action(key)):
        return term
    word = joined(value)
    if names_class and (word in CLASSES or word in _OTHER_CLASSES):
        return Term.ASSET_CLASS
    if term is not None and word in _OF_ANOTHER_ORDER:
        return Term.KIND
    return Term.MODE if term is not None and word in TESTS else term


def may_name_an_action(key: str) -> bool:
    """Return whether senders write actions under *key*, among other words."""
    return term_of(key) in (Term.TYPE, Term.WORD)


_TERMS = {joined(name): term for term, names in _SPELLINGS.items() for name in names.split()}

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from pipeline.accounts.exposure import Book, Pending
from pipeline.model.findings import EntryGate, FindingKind
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Intent
from pipeline.store.rows import Role
from tests.rule_cases import NOW, STANDING, case, earlier, go, position, signal, tuned
from workers.rules.case import EntriesRefused, Hold, Recent
from workers.rules.decide import decide, still_go
from workers.rules.holds import hold

CIRCUIT = {"consecutive_rejections": 3}


def seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def code(**changes: Any) -> str | None:
    found = hold(case(signal(), **changes), OrderSide.BUY)
    if found is None:
        return None
    assert found.wait > timedelta(0)
    return found.reason.code.value


def test_a_blocked_account_is_waited_for() -> None:
    account = replace(case(signal()).account, blocked=True)

    assert code(account=account) == "account_blocked"


def test_only_an_entry_in_crypto_waits_for_what_may_be_spent_on_crypto() -> None:
    account = replace(case(signal()).account, non_marginable_buying_power=None)

    assert code(account=account) is None
    coin = hold(case(replace(signal(), asset_class="crypto"), account=account), OrderSide.BUY)
    assert coin is not None
    assert coin.reason.code == "account_unreadable"


@pytest.mark.parametrize(("probe_in_s", "waits"), [(30, "entries_refused"), (0, None), (-1, None)])
def test_entries_wait_while_the_broker_refuses_them_until_one_may_be_sent(probe_in_s: int, waits: str | None) -> None:
    refused = EntriesRefused(message="liquidation only", probe_in=timedelta(seconds=probe_in_s))

    assert code(entries_refused=refused) == waits


@pytest.mark.parametrize(
    "tables",
    [
        {"limits": {"daily_loss_percent": 5}},
        {"limits": {"drawdown_percent": 5}},
        {"firm": {"consistency_percent": 30}},
    ],
)
def test_an_entry_waits_for_the_start_of_the_day_where_a_limit_counts_from_it(tables: dict[str, Any]) -> None:
    settings = tuned(**tables)

    assert code(settings=settings, baseline=None) == "account_unwatched"
    # A new day has begun, and the account was not read at its beginning.
    assert (
        code(settings=settings, baseline=replace(STANDING, day=NOW.date() - timedelta(days=1))) == "account_unwatched"
    )
    # The keeper is gone.
    late = replace(STANDING, read_at=NOW - timedelta(seconds=91))
    assert code(settings=settings, baseline=late) == "account_unwatched"
    assert code(settings=settings, baseline=replace(STANDING, read_at=NOW - timedelta(seconds=90))) is None
    # The day's start was recorded under other settings, with an earlier hour or another time zone.
    assert code(settings=settings, baseline=replace(STANDING, day=NOW.date() + timedelta(days=1))) is None
    assert code(baseline=None) is None


def test_an_account_that_is_to_be_flat_before_the_close_waits_for_the_clock() -> None:
    assert code(settings=tuned(firm={"flat_before_close_s": 600}), market=None) == "clock_unreadable"
    assert code(settings=tuned(firm={"flat_before_close_s": 600})) is None


def pending(quantity: int) -> Pending:
    return Pending(symbol="AAPL", quantity=Decimal(quantity), value=Decimal(1), risk=Decimal(1))


@pytest.mark.parametrize(
    ("read", "newest", "filled", "held"),
    [
        (0, 0, 0, False),
        (5, 5, 0, False),
        # A short was filled after the account was read, so a BUY would close it.
        (0, 0, -5, True),
        (3, 3, -5, True),
        (0, 0, 5, False),
        # A newer reading shows that the position is now flat or long.
        (-5, 0, 0, False),
        (0, 5, -5, False),
    ],
)
def test_what_we_filled_on_the_other_side_is_waited_for_until_it_is_seen(
    read: int,
    newest: int,
    filled: int,
    held: bool,  # noqa: FBT001 -- a parameter
) -> None:
    book = Book(
        positions=(position(read), position(-50, "MSFT")) if read else (position(-50, "MSFT"),),
        pending=(pending(filled),) if filled else (),
    )

    assert (code(held=newest, book=book) == "account_unreadable") is held


def test_a_sell_waits_for_a_long_position_that_is_not_seen_yet() -> None:
    judged = case(signal("SELL"), book=Book(pending=(pending(5),)))

    found = hold(judged, OrderSide.SELL)
    assert found is not None
    assert found.reason.to_json() == {"symbol": "AAPL", "read": "0", "with_our_orders": "5"}


@pytest.mark.parametrize(
    ("rejections", "rejected_s", "tried_s", "held"),
    [
        (2, 1, 1, False),
        (3, 1, 1, True),
        (3, 59, None, True),
        # After a minute one entry is tried.
        (3, 61, None, False),
        # No other entry is tried while the answer to that one is missing, or within a minute after it.
        (3, 61, 5, True),
        (3, 5, None, True),
        (3, 61, 60, False),
        (3, None, None, True),
    ],
)
def test_refused_entries_in_a_row_open_a_circuit_that_lets_one_a_minute_pass(
    rejections: int,
    rejected_s: float | None,
    tried_s: float | None,
    held: bool,  # noqa: FBT001 -- a parameter
) -> None:
    recent = Recent(rejections=rejections, rejected_ago=seconds(rejected_s), tried_ago=seconds(tried_s))

    found = code(settings=tuned(limits=CIRCUIT), recent=recent)
    assert found == ("rejections_in_a_row" if held else None)
    assert code(recent=recent) is None


def test_the_circuit_says_when_it_tries_next() -> None:
    recent = Recent(rejections=3, rejected_ago=timedelta(seconds=20))

    found = hold(case(signal(), settings=tuned(limits=CIRCUIT), recent=recent), OrderSide.BUY)
    assert found is not None
    assert found.reason.facts == {"limit": 3, "rejections": 3, "next_try_s": 40}


def test_an_entry_waits_while_the_value_of_a_position_is_not_known() -> None:
    unpriced = replace(position(1, "MSFT"), average_entry_price=None, current_price=None)

    assert code(book=Book(unreadable=("XY Z",))) == "account_unreadable"
    assert code(book=Book(positions=(unpriced,))) == "account_unreadable"
    assert code(book=Book(positions=(replace(unpriced, current_price=Decimal(5)),))) is None


def test_entries_wait_for_a_reconcile_and_while_record_and_broker_differ() -> None:
    differs = EntryGate(is_reconciled=True, finding_id=UUID(int=7), kind=FindingKind.FOREIGN_ORDER)

    assert code(gate=EntryGate(is_reconciled=False)) == "not_reconciled"
    assert code(gate=differs) == "quarantined"
    assert code(gate=EntryGate(is_reconciled=True)) is None


@pytest.mark.parametrize("kind", [None, FindingKind.ORDER_GONE])
def test_the_same_entry_is_not_sent_again_meanwhile_and_an_exit_always_goes(kind: FindingKind | None) -> None:
    gate = EntryGate(is_reconciled=kind is not None, kind=kind)
    again = still_go(case(signal(), gate=gate), earlier(side="buy"))
    closing = case(signal("SELL", intent=Intent.CLOSE), held=5, gate=gate)

    assert isinstance(again, Hold)
    assert go(decide(closing)).role is Role.EXIT
    assert still_go(closing, earlier(side="sell", role=Role.EXIT)) is None

"""The order type and the quantity of an exit, and the rest that it leaves to a further exit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code
from pipeline.model.signals import Intent
from pipeline.store.rows import Role
from tests.rule_cases import case, signal
from workers.brokers.protocol import RefusalKind
from workers.rules.case import ExitRefusal, Go, Hold, Skip
from workers.rules.decide import decide
from workers.rules.exit_forms import take_form

SHARE = Asset(symbol="AAPL", asset_class="us_equity", tradable=True, fractionable=True, shortable=True)


def sale(quantity: str, **changes: Any) -> Go:
    whole: dict[str, Any] = {
        "role": Role.EXIT,
        "side": OrderSide.SELL,
        "quantity": Decimal(quantity),
        "type": "market",
        "limit_price": None,
        "time_in_force": "day",
        "reference_price": Decimal(100),
    }
    return Go(**whole | changes)


@pytest.mark.parametrize(
    ("quantity", "asset", "refused", "sent", "dust"),
    [
        ("10", SHARE, None, "10", "0"),
        ("1.65", SHARE, None, "1.65", "0"),
        ("1.65", replace(SHARE, fractionable=False, whole_only=True), None, "1", "0.65"),
        ("1.65", SHARE, RefusalKind.NOT_FRACTIONABLE, "1", "0.65"),
        # Without data on the asset, the order is sent and the broker decides.
        ("1.65", None, None, "1.65", "0"),
        ("0.1234567899", SHARE, None, "0.123456789", "0.0000000009"),
    ],
)
def test_an_exit_is_rounded_toward_less(
    quantity: str, asset: Asset | None, refused: RefusalKind | None, sent: str, dust: str
) -> None:
    given = replace(case(signal("SELL"), held=10), asset=asset, refused=ExitRefusal(kind=refused))

    found = take_form(given, sale(quantity))

    assert isinstance(found, Go)
    assert (found.quantity, found.dust, found.rest) == (Decimal(sent), Decimal(dust), Decimal(0))


def test_a_fraction_that_only_trades_in_regular_hours_is_the_rest() -> None:
    found = take_form(
        replace(case(signal("SELL"), held=10), asset=SHARE), sale("2.5", extended_hours=True, rest=Decimal(1))
    )

    assert isinstance(found, Go)
    assert (found.quantity, found.rest, found.dust) == (Decimal(2), Decimal("1.5"), Decimal(0))


def test_a_fraction_that_trades_at_all_hours_goes_whole() -> None:
    given = replace(case(signal("SELL"), held=10), asset=replace(SHARE, fractional_extended=True))

    assert take_form(given, sale("2.5", extended_hours=True)) == sale("2.5", extended_hours=True)


def test_nothing_but_dust_is_skipped() -> None:
    found = take_form(
        replace(case(signal("SELL"), held=10), asset=replace(SHARE, fractionable=False, whole_only=True)), sale("0.65")
    )

    assert isinstance(found, Skip)
    assert [(reason.code, reason.facts["dust"]) for reason in found.reasons] == [(Code.DUST, Decimal("0.65"))]


@pytest.mark.parametrize(("available", "sent", "rest"), [("4.5", "4", "6.5"), ("0.5", None, None)])
def test_a_part_that_is_never_taken_waits_with_what_other_orders_hold(
    available: str, sent: str | None, rest: str | None
) -> None:
    given = case(signal("SELL", intent=Intent.CLOSE, entry_price=None), held="10.5")
    position = replace(given.position, available=Decimal(available))
    given = replace(given, position=position, asset=replace(SHARE, fractionable=False, whole_only=True))

    found = decide(given)

    if sent is None:
        assert isinstance(found, Hold)
        assert found.reason.code == Code.QUANTITY_HELD
        return
    assert isinstance(found, Go)
    assert (found.quantity, found.rest) == (Decimal(sent), Decimal(str(rest)))


def test_a_long_fraction_is_never_rounded_up() -> None:
    given = replace(case(signal("SELL"), held=10), asset=replace(SHARE, fractionable=False, whole_only=True))

    assert isinstance(take_form(given, sale("0." + "9" * 32)), Skip)

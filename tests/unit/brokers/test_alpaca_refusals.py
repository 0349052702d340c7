"""The adapter reads refusals that name a blocking order, or an order type that would be accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.brokers import payloads
from workers.brokers.alpaca.outcomes import outcome_of
from workers.brokers.alpaca.session import HttpAnswer
from workers.brokers.protocol import RefusalKind, Rejected

_SQQQ = next(each["body"] for each in payloads.recorded("multi-207-close-with-403-shapes") if each["status"] == 403)


@pytest.mark.parametrize(
    ("body", "refusal", "orders"),
    [
        pytest.param(_SQQQ, RefusalKind.HELD, (), id="recorded"),
        pytest.param(_SQQQ | {"related_orders": ["o-1", "o-2"]}, RefusalKind.HELD, ("o-1", "o-2"), id="related"),
        pytest.param(_SQQQ | {"related_orders": [None, 7, "é"]}, RefusalKind.HELD, (), id="unreadable ids"),
        pytest.param(
            {"message": "insufficient balance for BTC (requested: 0.0002, available: 0.000199499)"},
            RefusalKind.HELD,
            (),
            id="coin",
        ),
        pytest.param(
            {
                "message": "potential wash trade detected. use complex orders",
                "existing_order_id": "o-1",
                "reject_reason": "opposite side market/stop order exists",
            },
            RefusalKind.OPPOSED,
            ("o-1",),
            id="wash trade",
        ),
        pytest.param({"message": 'asset "OCGN" is not fractionable'}, RefusalKind.NOT_FRACTIONABLE, (), id="fraction"),
        pytest.param({"message": "requested asset is not fractionable"}, RefusalKind.NOT_FRACTIONABLE, (), id="older"),
        pytest.param(
            {"message": "cost basis must be >= minimal amount of order 10"}, RefusalKind.TOO_SMALL, (), id="cost basis"
        ),
        pytest.param({"message": "insufficient buying power"}, None, (), id="funds"),
        pytest.param({"message": "account is not allowed to short"}, None, (), id="short"),
    ],
)
def test_a_refusal_tells_what_is_in_the_way_of_an_order(
    body: dict[str, Any], refusal: RefusalKind | None, orders: tuple[str, ...]
) -> None:
    outcome = outcome_of(HttpAnswer(status=403, text=json.dumps({"code": 40310000} | body)), payloads.request())

    assert isinstance(outcome, Rejected)
    assert (outcome.refusal, outcome.orders) == (refusal, orders)

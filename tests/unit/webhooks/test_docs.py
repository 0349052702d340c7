from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.body import SECRET_KEYS, read_body
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.tradingview import SOURCE_ID
from pipeline.intake.webhooks.translate import RESEND_WITHIN, Identity, translate
from pipeline.intake.webhooks.values import FIRED
from tests.unit.webhooks.test_translate import read, refusal

PAGE = (Path(__file__).parents[3] / "pipeline/docs/webhooks.md").read_text("utf-8")
NOW = datetime(2026, 1, 30, 14, 31, 7, tzinfo=UTC)
FILLED = {
    "{{exchange}}": "NASDAQ",
    "{{ticker}}": "AAPL",
    "{{strategy.order.action}}": "buy",
    "{{strategy.market_position}}": "long",
    "{{strategy.prev_market_position}}": "flat",
    "{{strategy.market_position_size}}": "10",
    "{{strategy.order.contracts}}": "10",
    "{{strategy.order.price}}": "190.1",
    "{{close}}": "190.1",
    "{{timenow}}": "2026-01-30T14:31:07Z",
}


def test_the_page_names_every_code() -> None:
    assert [code for code in RefusalCode if f"`{code}`" not in PAGE] == []


def test_the_page_names_every_key_that_makes_an_identity() -> None:
    assert [key for key in (*SOURCE_ID, *FIRED) if f"`{key}`" not in PAGE] == []
    assert f"within {RESEND_WITHIN.seconds} s of its first delivery" in " ".join(PAGE.split())
    assert set(re.findall(r'`"(\w+)"`', PAGE)) <= set(SECRET_KEYS)


def test_the_messages_that_the_page_proposes_become_entries() -> None:
    proposed = re.findall(r"^ *(\{\n.*?^ *\})$", PAGE, re.MULTILINE | re.DOTALL) + re.findall(
        r'`(\{"ticker.*?\})`', PAGE
    )
    assert len(proposed) == 2
    for message in proposed:
        filled = re.sub(r"\{\{.*?\}\}", lambda placeholder: FILLED[placeholder[0]], message)
        json.loads(filled)
        translation = translate(read_body(filled.encode()), WebhookSettings(name="mine"), now=NOW)
        assert translation.identity is Identity.FIRED
        assert translation.signal["symbol"] == "AAPL"


@pytest.mark.parametrize("key", ["sl", "tp", "quantity", "orderType", "timeInForce", "quantityType"])
@pytest.mark.parametrize("no", [0, False, "none"])
def test_a_no_is_refused_where_the_page_says_so(key: str, no: Any) -> None:
    refusal({"symbol": "AAPL", "action": "buy", "price": "71", key: no})


@pytest.mark.parametrize("key", ["sl", "quantity", "orderType", "reduce_only", "test", "something"])
@pytest.mark.parametrize("nothing", [None, "", False])
def test_nothing_counts_as_a_missing_key(key: str, nothing: Any) -> None:
    if nothing is False and key in ("sl", "quantity", "orderType"):
        return
    assert read({"symbol": "AAPL", "action": "buy", "price": "71", key: nothing}).signal["intent"] == "auto"

"""Every delivery becomes a signal or a refusal, and never raises an error."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.body import kept, read_body
from pipeline.intake.webhooks.translate import translate
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import read_signal

NOW = datetime(2026, 1, 30, 14, 31, 7, tzinfo=UTC)
KEYS = """
symbol ticker exchange action side price signalPrice limitPrice quantity contracts quantityType orderType sentiment
market_position prev_market_position market_position_size stopLoss takeProfit stop_price stop_loss_price class
quantity_type time timenow timestamp expires_at alert_id secret executors confidence strategy bar test intent percent
""".split()  # noqa: SIM905 -- thirty words in a list are thirty lines
WORDS = [
    "AAPL",
    "BTCUSDT",
    "NASDAQ:",
    "buy",
    "sell",
    "exit",
    "add",
    "long",
    "flat",
    "limit",
    "1e999",
    "1e-999999",
    "9e999999",
    "-0",
    "{{close}}",
    "",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)
BODIES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=10)
DIALECTS = st.sampled_from(["auto", "tradingview", "traderspost", "signalstack"])
TEXTS = st.lists(st.sampled_from([*WORDS, *KEYS, "=", "@", "at", "10", "190.1"]) | st.text(max_size=6), max_size=8).map(
    " ".join
)


def deliver(raw: bytes, dialect: Any) -> None:
    kept(raw)
    with suppress(InvalidSignal):
        body = read_body(raw)
        kept(body.content, secrets=body.secrets)
        translation = translate(body, WebhookSettings(name="mine", dialect=dialect), now=NOW)
        read_signal(translation.signal | {"source": "mine", "source_id": translation.source_id or "first"})


@settings(max_examples=300, deadline=None)
@given(body=BODIES, dialect=DIALECTS)
@example(body={"ticker": "AAPL", "action": []}, dialect="auto")
@example(
    body={"ticker": "AAPL", "action": "buy", "price": "9e999999", "stopLoss": {"percent": "9e999999"}}, dialect="auto"
)
def test_any_object_is_a_signal_or_a_refusal(body: dict[str, Any], dialect: str) -> None:
    deliver(json.dumps(body).encode(), dialect)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, dialect=DIALECTS)
def test_any_text_is_a_signal_or_a_refusal(text: str, dialect: str) -> None:
    deliver(text.encode("utf-8", "replace"), dialect)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=64))
def test_any_bytes_are_a_signal_or_a_refusal(raw: bytes) -> None:
    deliver(raw, "auto")

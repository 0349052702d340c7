"""Alerts in the style of TradingView, TradersPost, SignalStack, 3Commas and others are read, or refused by name.

Each line of `plausible_alerts.jsonl` has an alert, and the intended signal or the refusal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.webhooks.test_translate import read, refusal

ALERTS = [
    json.loads(line) for line in (Path(__file__).parent / "plausible_alerts.jsonl").read_text("utf-8").splitlines()
]
FIGURES = ("entry_price", "price", "quantity", "notional", "equity_percent", "close_percent", "stop_price")


@pytest.mark.parametrize("row", [row for row in ALERTS if "reads" in row], ids=lambda row: row["reads"])
def test_an_alert_is_carried_out_as_its_writer_means_it(row: dict[str, Any]) -> None:
    signal = read(row["alert"]).signal
    figures = [f"{key}={signal[key]}" for key in (*FIGURES, "target_price") if key in signal]

    assert " ".join([signal["symbol"], signal["action"], signal["intent"], *figures]) == row["reads"]


@pytest.mark.parametrize("row", [row for row in ALERTS if "refused" in row], ids=lambda row: row["names"])
def test_an_alert_that_is_not_carried_out_is_refused_by_name(row: dict[str, Any]) -> None:
    code, message = refusal(row["alert"])

    assert code == row["refused"]
    assert message.startswith(row["names"])

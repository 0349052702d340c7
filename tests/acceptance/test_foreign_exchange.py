"""Every execution ends in exactly one recorded order, also at an exchange that fails to answer."""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.foreign_exchange import FAULTS, ForeignExchange
from tests.acceptance.system import ROOT, System, a_signal, symbols

log = logging.getLogger(__name__)

MakeSystem = Callable[..., System]
#: FOREIGN_SYMBOLS sets a larger number for a run by hand, such as 1000.
SYMBOLS = int(os.environ.get("FOREIGN_SYMBOLS", "100"))
WITHIN_S = max(100.0, 0.6 * SYMBOLS)
SECRET = "a-secret-of-the-foreign-exchange"
BOTH = ("argo", "prop_firm")


def paper_executors(path: Path, url: str) -> Path:
    """Write the executors for load tests with *url* as their broker's address."""
    text = (ROOT / "config" / "executors.load.toml").read_text()
    path.write_text(re.sub(r'mode = "exchange"', f'mode = "paper"\nbase_url = "{url}"', text))
    return path


def keys() -> dict[str, str]:
    return {
        f"{name.upper()}_API_{part}": value
        for name in BOTH
        for part, value in (("KEY", f"key-of-{name}"), ("SECRET", SECRET))
    }


@pytest.mark.timeout(WITHIN_S + 60)
def test_every_execution_ends_in_exactly_one_order_that_is_recorded(system: MakeSystem, tmp_path: Path) -> None:
    with ForeignExchange(secret=SECRET, percent=5, seed=1) as exchange:
        one = system(executors=paper_executors(tmp_path / "executors.toml", exchange.url), **keys())
        one.up("--source", "none")
        services = one.services()
        began = time.monotonic()
        answers = one.send(a_signal(symbol) for symbol in symbols(SYMBOLS))

        def open_ones() -> int:
            by_status = one.json("report")["by_status"]
            return sum(by_status.get(state, 0) for state in ("queued", "held", "submitting", "unknown"))

        one.until(lambda: open_ones() == 0, within_s=WITHIN_S, what="everything is decided")
        log.info("%d executions decided after %.1f s; %s", 2 * SYMBOLS, time.monotonic() - began, exchange.book.faults)
        rows = one.json("executions", "--limit", "5000")
        report = one.json("report")
        exchange.percent = 0
        orders = {name: list(exchange.book.orders[f"key-of-{name}"]) for name in BOTH}

    assert services["exchange_url"] is None
    assert "exchange" not in services["pids"]
    assert all("signal_id" in answer for answer in answers)
    for name in BOTH:
        theirs = {order["client_order_id"]: order["id"] for order in orders[name]}
        ours = {row["client_order_id"]: row["order_id"] for row in rows if row["executor_id"] == name}
        assert Counter(order["symbol"] for order in orders[name]) == Counter(symbols(SYMBOLS))
        assert ours == theirs
    assert {row["mode"] for row in rows} == {"paper"}
    assert report["execution_rate"] == 1.0
    assert all(exchange.book.faults[fault] for fault in FAULTS)

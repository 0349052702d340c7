from __future__ import annotations

import subprocess
import sys

_WORKER = """
import sys
import workers.brokers.alpaca.adapter
print("pandas" in sys.modules)
from alpaca.data.historical.stock import StockHistoricalDataClient
import pandas
print(pandas.Timestamp("2026-11-30").year)
"""
_SOURCE = """
import sys
from alpaca.data.historical.stock import StockHistoricalDataClient
import workers.brokers.alpaca.adapter
print(sys.modules["pandas"].Timestamp("2026-11-30").year)
"""


def prints(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_worker_does_without_pandas_and_what_needs_pandas_still_gets_it() -> None:
    assert prints(_WORKER) == ["False", "2026"]


def test_pandas_stays_where_it_was_imported_before() -> None:
    assert prints(_SOURCE) == ["2026"]

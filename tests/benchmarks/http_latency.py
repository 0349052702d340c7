"""Print how long `POST /api/v1/signals` takes: `python -m tests.benchmarks.http_latency URL --rate 200 --seconds 10`.

The token is TRADEWIRE_API_TOKEN, or that of a running `up`. Requests start at fixed times, so a slow answer does not
delay the next request. Every signal is new, and closes a position in a symbol that the account does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from string import ascii_uppercase
from uuid import uuid4

import httpx

from config.schema.settings import load_settings
from config.services import effective


def main() -> None:
    """Send, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure POST /api/v1/signals.")
    parser.add_argument("url", help="like http://127.0.0.1:8000")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    took, statuses = asyncio.run(_measure(chosen.url, chosen.rate, chosen.seconds))
    p50, p95, p99 = (statistics.quantiles(took, n=100)[percent - 1] for percent in (50, 95, 99))
    sys.stdout.write(
        f"{len(took)} requests, {chosen.rate:g} a second, statuses {dict(statuses)}\n"
        f"ms: p50 {p50:.1f}  p95 {p95:.1f}  p99 {p99:.1f}  longest {max(took):.1f}\n"
    )


async def _measure(url: str, rate: float, seconds: float) -> tuple[list[float], Counter[int | str]]:
    token = effective(load_settings()).api_token
    assert token is not None, "no token: set TRADEWIRE_API_TOKEN, or start `tradewire up`"
    took: list[float] = []
    statuses: Counter[int | str] = Counter()
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, limits=limits) as client:

        async def one(due: float) -> None:
            # The symbols vary, because signals of one symbol are recorded one after the other.
            symbol = f"ZZ{random.choice(ascii_uppercase)}{random.choice(ascii_uppercase)}"
            raw = {"source_id": str(uuid4()), "symbol": symbol, "action": "SELL", "intent": "close"}
            try:
                statuses[(await client.post("/api/v1/signals", json=raw)).status_code] += 1
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
            took.append((time.perf_counter() - due) * 1000)

        await one(time.perf_counter())  # The first request opens the connection.
        took.clear()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(one(due))
    return took, statuses


if __name__ == "__main__":
    main()

"""Print how soon the record has a fill of the exchange: `python -m tests.benchmarks.fill_latency --orders 60`.

A whole tradewire runs in a temporary folder, once with the tracker and once without it. Each order fills half a second
after the exchange accepted it, so that the time until the worker records the acceptance does not count. The figures are
the time of the record minus the time of the exchange, which share the clock of this machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import psycopg

from tests.acceptance.system import System, a_signal, symbols

_FILLS_AFTER_S = 0.5


def main() -> None:
    """Measure both ways, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure the time from a fill to its record.")
    parser.add_argument("--orders", type=int, default=60)
    orders = parser.parse_args().orders
    for name, without in (("stream", ""), ("polling", "tracker")):
        took = sorted(_measure(orders, without))
        figures = f"median {statistics.median(took):.1f}  p95 {took[int(len(took) * 0.95)]:.1f}  longest {took[-1]:.1f}"
        sys.stdout.write(f"{name:8} {len(took)} fills, ms: {figures}\n")
        sys.stdout.flush()


def _measure(orders: int, without: str) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="tradewire-fills-") as folder:
        system = System(Path(folder) / "home", executors="config/executors.load.toml")
        try:
            system.up("--source", "none", "--without", ",".join(["web", "rq_dashboard", *without.split()]))
            names = symbols(orders)
            system.admin("prices", dict.fromkeys(names, "20"))
            system.admin("faults", {"faults": [{"on": "submit", "kind": "no_fill", "seconds": _FILLS_AFTER_S}]})
            system.send(a_signal(name, executors=["argo"]) for name in names)
            filled = "every order is filled"
            system.until(lambda: len(_recorded(system)) == orders, within_s=60.0, what=filled)
            at_exchange = {order["id"]: datetime.fromisoformat(order["filled_at"]) for order in system.orders("argo")}
            recorded = _recorded(system)
            return [(at - at_exchange[order_id]).total_seconds() * 1000 for order_id, at in recorded.items()]
        finally:
            system.stop()


def _recorded(system: System) -> dict[str, datetime]:
    """Return when the record got the fill of each order."""
    with psycopg.connect(system.services()["database_url"]) as connection:
        found = connection.execute(
            "SELECT order_id, filled_at FROM broker_order WHERE filled_at IS NOT NULL"
        ).fetchall()
    return dict(found)


if __name__ == "__main__":
    main()

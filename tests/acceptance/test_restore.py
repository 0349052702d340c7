"""A backup that was taken under load is restored: nothing is sent twice, and after one reconcile the books agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tests.acceptance.system import System, a_signal, symbols

MakeSystem = Callable[..., System]

EXECUTORS = ("argo", "prop_firm")
BEFORE, DURING, SINCE = symbols(15), symbols(40)[15:30], symbols(40)[30:]


def orders(one: System) -> list[tuple[str, str, str]]:
    """Return the executor, symbol and side of every order that the exchange ever had."""
    return sorted((name, order["symbol"], order["side"]) for name in EXECUTORS for order in one.orders(name))


def held(one: System) -> dict[tuple[str, str], Decimal]:
    """Return the positions at the exchange, by executor and symbol."""
    accounts = one.admin("state")["accounts"]
    return {
        (account["key"], symbol): Decimal(quantity)
        for account in accounts
        if account["key"] in EXECUTORS
        for symbol, quantity in account["positions"].items()
    }


def recorded(one: System) -> dict[tuple[str, str], Decimal]:
    """Return the positions in the record, by executor and symbol; the strategies' parts are added up."""
    totals: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in one.json("positions"):
        totals[row["executor_id"], row["symbol"]] += Decimal(row["quantity"])
    return {key: quantity for key, quantity in totals.items() if quantity}


@pytest.mark.timeout(300)
def test_after_a_restore_nothing_is_sent_twice_and_one_reconcile_makes_the_books_agree(system: MakeSystem) -> None:
    one = system(executors="config/executors.load.toml").up("--source", "none")
    one.admin("prices", dict.fromkeys(BEFORE + DURING + SINCE, "20"))

    one.send(map(a_signal, BEFORE))
    # The backup has entries of one account that are sent only after it.
    assert one.run("pause", "prop_firm", "--why", "a backup").returncode == 0
    one.send(map(a_signal, DURING[:5]))
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(one.send, map(a_signal, DURING[5:]))
        backup = one.run("backup", "record.backup")
        load.result()
    assert backup.returncode == 0, backup.stderr
    assert one.run("resume", "prop_firm", "--why", "the backup is done").returncode == 0
    # Since the backup: new positions, closed ones, and one that an exit of the record has to find again.
    one.send([*map(a_signal, SINCE), *(a_signal(symbol, action="SELL") for symbol in BEFORE[:5])])
    one.until(one.all_ended, within_s=60, what="every order has ended")
    before, positions = orders(one), held(one)
    one.stop()

    restored = one.run("restore", "record.backup")
    assert restored.returncode == 0, restored.stderr
    one.up("--source", "none")
    one.until(one.all_ended, within_s=60, what="what the backup had waiting has ended")
    assert one.run("resume", "prop_firm", "--why", "it was paused in the backup").returncode == 0
    one.until(lambda: one.run("reconcile").returncode == 1, within_s=30, what="the new positions are findings")
    adopted = one.run("reconcile", "--adopt", "--why", "restored from a backup")
    assert adopted.returncode == 0, adopted.stdout + adopted.stderr

    one.until(lambda: recorded(one) == held(one), within_s=30, what="the books agree")
    assert one.run("reconcile").returncode == 0
    assert held(one) == positions
    # No order was sent since the restore, and no signal was ever ordered twice.
    assert orders(one) == before
    assert len(set(before)) == len(before) == 2 * (len(BEFORE + DURING + SINCE) + 5)

    # The exit of a position that the record had lost, and the entry of a symbol that it never knew, both go.
    (sold,) = one.send([a_signal(SINCE[0], action="SELL", strategy="manual")], "--wait", "60")
    (bought,) = one.send([a_signal(symbols(41)[40])], "--wait", "60")
    assert all(row["order_id"] for row in [*sold["executions"], *bought["executions"]])

"""The first process that needs an asset asks the broker once; every other process reads the stored answer."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from pipeline.model.account import Asset
from pipeline.model.errors import BrokerUnavailable
from tests.factories import Core
from workers.account.assets import AssetCache


def another_process(core: Core, *, address: str | None = None) -> AssetCache:
    """Return the asset cache of a newly started process."""
    runtime = core.runtimes["argo"]
    return AssetCache(core.record, address=address or core.exchange.url, broker=runtime.broker)


def asked(core: Core) -> int:
    """Return how often the exchange was asked for an asset."""
    routes = core.exchange.requests("argo")["routes"]
    return sum(count for route, count in routes.items() if "assets" in route)


def test_an_asset_is_asked_for_once_by_all_processes(core: Core) -> None:
    before = asked(core)
    first, second = another_process(core), another_process(core)

    answers = [first.get("BTC/USD"), first.get("BTC/USD"), second.get("BTC/USD")]

    assert asked(core) == before + 1
    assert isinstance(answers[0], Asset)
    assert answers[1:] == answers[:1] * 2
    assert isinstance(answers[2].min_order_size, Decimal)
    assert (answers[2].asset_class, answers[2].fractionable) == ("crypto", True)


def test_it_is_asked_for_again_after_an_hour(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    first = another_process(core)
    first.get("AAPL")
    before = asked(core)
    core.rows("UPDATE asset SET read_at = read_at - interval '59 minutes 50 seconds'")
    young = another_process(core)
    young.get("AAPL")
    assert asked(core) == before

    # The age of a stored answer counts from its reading at the broker, even if another process read it.
    core.rows("UPDATE asset SET read_at = read_at - interval '20 seconds'")
    later = time.monotonic() + 30
    monkeypatch.setattr("workers.account.assets.time.monotonic", lambda: later)
    young.get("AAPL")

    assert asked(core) == before + 1
    assert core.rows("SELECT count(*) AS n FROM asset WHERE read_at > now() - interval '1 minute'") == [{"n": 1}]


def test_a_symbol_that_the_broker_does_not_know_is_asked_for_again_after_a_minute(core: Core) -> None:
    before = asked(core)
    for _ in range(2):
        assert another_process(core).get("NOSUCHTHING") is None
    assert asked(core) == before + 1
    core.rows("UPDATE asset SET read_at = read_at - interval '61 seconds'")

    another_process(core).get("NOSUCHTHING")

    assert asked(core) == before + 2


def test_another_broker_says_other_things(core: Core) -> None:
    another_process(core).get("AAPL")
    before = asked(core)

    another_process(core, address="https://paper-api.example").get("AAPL")

    assert asked(core) == before + 1


def test_a_broker_that_is_away_is_no_unknown_symbol(core: Core) -> None:
    known = another_process(core)
    known.get("AAPL")
    core.exchange.kill9()

    with pytest.raises(BrokerUnavailable):
        another_process(core).get("MSFT")

    assert another_process(core).get("AAPL") == known.get("AAPL")
    assert core.rows("SELECT symbol FROM asset") == [{"symbol": "AAPL"}]

"""Run the contract suite for every registered adapter.

A new adapter needs a stage here; the tests of the suite stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.contract.alpaca_stage import AlpacaStage
from tests.contract.asking import PRICE
from tests.contract.stages import Stage
from workers.brokers.protocol import Broker
from workers.brokers.registry import registered_brokers


def _alpaca(request: pytest.FixtureRequest) -> AlpacaStage:
    return AlpacaStage(request.getfixturevalue("exchange_process"))


STAGES: Mapping[str, Callable[[pytest.FixtureRequest], Stage]] = {"alpaca": _alpaca}


@pytest.fixture(params=registered_brokers())
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage of one adapter. The suite fails for an adapter without one, because nothing shows that it works."""
    opened = STAGES[request.param](request)
    yield opened
    opened.close()


@pytest.fixture
def broker(stage: Stage) -> Broker:
    """The adapter, connected to its stage; `AAPL` trades at the price of the suite's orders."""
    stage.price("AAPL", PRICE)
    return stage.open()

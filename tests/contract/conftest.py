"""Set the stage for every adapter that is registered.

Who adds an adapter adds its stage here; the suite stays as it is.
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
    """The stage of one adapter. An adapter without one fails the suite: it has not been shown to work."""
    opened = STAGES[request.param](request)
    yield opened
    opened.close()


@pytest.fixture
def broker(stage: Stage) -> Broker:
    """The adapter at its stage; `AAPL` trades at the price of the suite's orders."""
    stage.price("AAPL", PRICE)
    return stage.open()

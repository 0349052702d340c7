"""Every reader of JSON from outside refuses a value that is nested too deeply, without an error of its own."""

from __future__ import annotations

import json

import pytest

from pipeline.intake.sources.strict_json import decode
from pipeline.intake.webhooks.body import read_body
from pipeline.model.errors import BrokerUnreadable, InvalidSignal
from pipeline.model.nesting import DEEPEST
from workers.brokers.alpaca.fields import read_json as read_answer
from workers.exchange.refusals import RequestRefused
from workers.exchange.tickets import read_json as read_ticket_json

DEEP = [DEEPEST + 1, 500, 700, 900, 5000]


def nested(levels: int, kind: str) -> str:
    opens, closes = {"arrays": ("[", "]"), "objects": ('{"a":', "}")}[kind]
    inner = levels - 1
    return '{"ticker": "AAPL", "x": ' + opens * inner + "1" + closes * inner + "}"


@pytest.mark.parametrize("kind", ["arrays", "objects"])
@pytest.mark.parametrize("levels", DEEP)
def test_a_value_that_is_nested_too_deeply_is_refused_by_every_reader(levels: int, kind: str) -> None:
    text = nested(levels, kind)

    with pytest.raises(InvalidSignal, match="nested too deeply"):
        read_body(text.encode())
    with pytest.raises(BrokerUnreadable):
        read_answer(text)
    with pytest.raises(RequestRefused):
        read_ticket_json(text)


@pytest.mark.parametrize("kind", ["arrays", "objects"])
def test_the_deepest_value_is_read_by_every_reader(kind: str) -> None:
    text = nested(DEEPEST, kind)

    assert read_body(text.encode()).digest
    assert read_answer(text) == read_ticket_json(text) == json.loads(text)


def test_an_element_that_is_too_deep_does_not_refuse_the_others() -> None:
    first, second = decode(f'[{nested(DEEP[0], "arrays")}, {{"symbol": "AAPL"}}]')

    assert (first.error, second.value) == ("not a signal: nested too deeply", {"symbol": "AAPL"})

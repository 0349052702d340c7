"""An alert that says two things, or names nothing that can be traded, is refused: neither is guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.webhooks.test_translate import read, refusal

BUY = {"symbol": "AAPL", "action": "buy", "price": "71"}


@pytest.mark.parametrize("symbol", ["\u017fPY", "A\ufb00", "BR\u212a.B", "NASDAQ:\u017fPY", "BTCU\u017fDT"])
def test_letters_that_become_others_in_upper_case_name_no_symbol(symbol: str) -> None:
    code, message = refusal(json.dumps(BUY | {"symbol": symbol}))

    assert code == "bad_symbol", message

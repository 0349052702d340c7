from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.symbols import AssetClass, asset_class, canonical, of_broker


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("AAPL", "AAPL"),
        (" aapl ", "AAPL"),
        ("A", "A"),
        ("GOOGL", "GOOGL"),
        ("BRK.B", "BRK.B"),
        ("brk.b", "BRK.B"),
        ("BRK-B", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("brk-b", "BRK.B"),
        ("BF/A", "BF.A"),
        ("ETH-BTC", "ETH/BTC"),
        ("BTC/USD", "BTC/USD"),
        ("BTC-USD", "BTC/USD"),
        ("BTCUSD", "BTC/USD"),
        ("btcusd", "BTC/USD"),
        ("BTCUSDT", "BTC/USDT"),
        ("ETHUSDC", "ETH/USDC"),
        ("ETH/BTC", "ETH/BTC"),
        ("1INCHUSD", "1INCH/USD"),
        ("AUSD", "AUSD"),
    ],
)
def test_a_symbol_has_one_form(written: str, meant: str) -> None:
    assert canonical(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "TOOLONG",
        "AA PL",
        "AAPL\nMSFT",
        "BRK_B",
        "BRK/",
        "BTC/EUR",
        "/USD",
        "BTC/",
        "A.BCD",
        "\u017fpy",
        "\uff21\uff21\uff30\uff2c",
        "AAPL;",
        "123",
    ],
)
def test_text_that_is_not_a_symbol_is_refused_with_the_known_forms(written: str) -> None:
    with pytest.raises(ValueError, match=r"AAPL, BRK\.B or BTC/USD"):
        canonical(written)


def test_a_long_mistake_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match="is not a symbol") as caught:
        canonical("X" * 10_000)

    assert len(str(caught.value)) < 200


@given(st.text(alphabet=string.ascii_letters + string.digits + "/-. ", max_size=14))
def test_the_canonical_form_of_a_canonical_form_is_itself(text: str) -> None:
    try:
        symbol = canonical(text)
    except ValueError:
        return
    assert canonical(symbol) == symbol


@pytest.mark.parametrize(("symbol", "kind"), [("AAPL", "us_equity"), ("BRK.B", "us_equity"), ("BTC/USD", "crypto")])
def test_a_symbol_with_a_slash_is_crypto(symbol: str, kind: str) -> None:
    assert asset_class(symbol) is AssetClass(kind)


@pytest.mark.parametrize(
    ("symbol", "broker_class", "expected"),
    [
        ("BTCUSD", "crypto", "BTC/USD"),
        ("BTC/USD", "crypto", "BTC/USD"),
        ("ETHBTC", "crypto", "ETH/BTC"),
        ("ETHUSDT", "crypto", "ETH/USDT"),
        ("USDTUSD", "crypto", "USDT/USD"),
        ("USD", "crypto", "USD"),
        ("XYZ", "crypto", "XYZ"),
        ("BTCUSD", "us_equity", "BTCUSD"),
        ("BRK.B", "us_equity", "BRK.B"),
        ("AAPL", None, "AAPL"),
        ("BTCUSD", None, "BTC/USD"),
        ("SUSD", "crypto", "S/USD"),
        ("AAPL260116C00150000", "us_option", "AAPL260116C00150000"),
        ("BTCUSDT", "crypto_perp", "BTCUSDT"),
    ],
)
def test_a_pair_that_the_broker_reports_gets_its_slash(symbol: str, broker_class: str | None, expected: str) -> None:
    assert of_broker(symbol, broker_class) == expected

"""The name of an entry point opens its broker."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pipeline.model.errors import ConfigInvalid
from workers.brokers.alpaca.adapter import AlpacaBroker
from workers.brokers.registry import open_broker, registered_brokers


def test_alpaca_is_registered_and_opens_without_sending_anything() -> None:
    broker = open_broker(
        "alpaca", api_key="key", api_secret=SecretStr("secret"), base_url="http://127.0.0.1:1", timeout_s=1
    )

    assert isinstance(broker, AlpacaBroker)
    assert "alpaca" in registered_brokers()


def test_an_unknown_word_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ConfigInvalid, match=r"broker: 'alpacca' is not known; known: .*alpaca") as caught:
        open_broker(
            "alpacca",
            api_key="key",
            api_secret=SecretStr("s3cret-s3cret"),
            base_url="http://127.0.0.1:1",
            timeout_s=1,
        )

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["", "paper-api.alpaca.markets", "ftp://127.0.0.1", "http://", "http://127.0.0.1:nine", "http://[bad"],
)
def test_what_is_not_an_address_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigInvalid, match="base_url"):
        open_broker("alpaca", api_key="key", api_secret=SecretStr("secret"), base_url=base_url, timeout_s=1)


@pytest.mark.parametrize("ending", ["", "/", "/v2", "/v2/"])
def test_an_address_may_end_in_what_the_documents_show(ending: str) -> None:
    broker = open_broker(
        "alpaca",
        api_key="key",
        api_secret=SecretStr("secret"),
        base_url=f"https://paper-api.alpaca.markets{ending}",
        timeout_s=1,
    )

    assert repr(broker) == "AlpacaBroker(AlpacaSession('https://paper-api.alpaca.markets'))"

"""The stream is at the host that was checked, and the keys are in no text."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from websockets.uri import parse_uri

from config.executors import load_executors
from config.schema.addresses import host_of
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid
from tests.factories import executor_toml
from workers.brokers.alpaca.stream_connection import StreamAddress, stream_url
from workers.tracker.process import stream_addresses


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://paper-api.alpaca.markets", "wss://paper-api.alpaca.markets/stream"),
        ("https://paper-api.alpaca.markets/v2/", "wss://paper-api.alpaca.markets/stream"),
        ("https://paper-api.alpaca.markets./", "wss://paper-api.alpaca.markets/stream"),
        ("http://127.0.0.1:8100", "ws://127.0.0.1:8100/stream"),
        ("http://[::1]:8100/", "ws://[::1]:8100/stream"),
        ("HTTPS://Exchange.Example.org/trade", "wss://exchange.example.org/trade/stream"),
    ],
)
def test_the_stream_is_beside_the_api(base_url: str, url: str) -> None:
    assert stream_url(base_url) == url
    assert parse_uri(url).host == host_of(base_url)


@pytest.mark.parametrize("base_url", ["https://127.0.0.1@api.alpaca.markets", "https://a.example#@api.alpaca.markets"])
def test_no_spelling_leads_to_another_host_than_the_checked_one(base_url: str) -> None:
    assert parse_uri(stream_url(base_url)).host == host_of(base_url)


def test_the_keys_are_in_no_text() -> None:
    address = StreamAddress(url="wss://x/stream", api_key="PKTEST", api_secret=SecretStr("s3cr3t"))

    assert address.without_keys("no key PKTEST with s3cr3t") == "no key *** with ***"
    assert "s3cr3t" not in repr(address)


@pytest.mark.parametrize(
    "url", ["https://api.alpaca.markets", "https://paper-api.alpaca.markets", "https://elsewhere.org"]
)
def test_an_address_that_no_file_was_checked_for_is_refused_too(url: str, tmp_path: Path) -> None:
    (tmp_path / "executors.toml").write_text(executor_toml())
    settings = Settings(executors=tmp_path / "executors.toml", home=tmp_path)
    executors = load_executors(settings.executors, settings=settings)

    with pytest.raises(ConfigInvalid):
        stream_addresses(executors, settings=settings, exchange_url=url)

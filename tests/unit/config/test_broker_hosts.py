"""An executor may send its keys and orders only to hosts of its mode, in any spelling of the host."""

from __future__ import annotations

import pytest

from config.schema.addresses import base_url_faults, host_of, normal_address
from config.schema.broker_hosts import gets_keys, host_fault, is_alpacas

#: Spellings that HTTP clients or name servers resolve to the live host.
LIVE_SPELLINGS = [
    "https://api.alpaca.markets",
    "https://api.alpaca.markets.",
    "https://api.alpaca.markets./",
    "https://API.Alpaca.Markets",
    "HTTPS://api.alpaca.markets",
    "https://api.alpaca.markets:443",
    "https://api.alpaca.markets.:8443/trade",
    "https://me:secret@api.alpaca.markets",
    "https://api\u3002alpaca\u3002markets",
    "https://\uff41pi.alpaca.markets",
    "https://api.alp\u00adaca.markets",
]

#: Addresses in which different parsers find different hosts.
AMBIGUOUS = [
    "https://%61pi.alpaca.markets",
    "https://api.alpaca.markets\\.x.org",
    "https://api.alpaca.markets\\@paper-api.alpaca.markets",
    "https://api.alpaca.mar\tkets",
    "https://api.alpaca.markets%00.example.org",
    " https://api.alpaca.markets",
]


@pytest.mark.parametrize("url", LIVE_SPELLINGS)
def test_each_spelling_of_the_live_host_is_the_live_host(url: str) -> None:
    assert host_of(url) == "api.alpaca.markets"
    assert is_alpacas(url)


@pytest.mark.parametrize("url", [*LIVE_SPELLINGS, *AMBIGUOUS])
@pytest.mark.parametrize("mode", ["exchange", "paper"])
@pytest.mark.parametrize("allowed", [None, "api.alpaca.markets", "API.alpaca.markets.", "api.alpaca.markets\\.x.org"])
def test_no_other_mode_gets_to_the_live_host(mode: str, url: str, allowed: str | None) -> None:
    assert host_fault(mode, url, allowed) is not None


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_an_address_that_two_readers_understand_differently_is_none(url: str) -> None:
    assert base_url_faults(url)
    with pytest.raises(ValueError, match="expected"):
        normal_address(url)


@pytest.mark.parametrize(
    ("mode", "url"),
    [
        ("exchange", "http://127.0.0.1:8100"),
        ("exchange", "http://[::1]:8100"),
        ("exchange", "https://LOCALHOST./"),
        ("paper", "http://127.0.0.1:8100"),
        ("paper", "https://paper-api.alpaca.markets"),
        ("paper", "https://Paper-API.alpaca.markets.:443/"),
        ("live", "https://api.alpaca.markets"),
        ("live", "https://API.alpaca.markets."),
    ],
)
def test_the_hosts_of_each_mode_need_no_further_key(mode: str, url: str) -> None:
    assert host_fault(mode, url, None) is None


@pytest.mark.parametrize("mode", ["exchange", "paper", "live"])
@pytest.mark.parametrize(
    "url",
    [
        "https://broker.example.org",
        "https://api.alpaca.markets.example.org",
        "https://notalpaca.markets",
        "https://10.0.0.1:8100",
        "https://0x7f.1",
        "https://localhost.example.org",
    ],
)
def test_any_other_host_must_be_named(mode: str, url: str) -> None:
    fault = host_fault(mode, url, None)

    assert fault is not None
    assert "base_url_allowed" in fault
    assert host_fault(mode, url, "elsewhere.example.org") is not None
    assert host_fault(mode, url, host_of(url).upper() + ".") is None


@pytest.mark.parametrize(
    ("mode", "host"),
    [
        ("exchange", "paper-api.alpaca.markets"),
        ("exchange", "alpaca.markets"),
        ("paper", "broker-api.alpaca.markets"),
        ("paper", "authx.alpaca.markets"),
        ("live", "paper-api.alpaca.markets"),
        ("live", "broker-api.sandbox.alpaca.markets"),
        ("live", "127.0.0.1"),
        ("live", "localhost"),
    ],
)
def test_naming_a_host_of_another_mode_does_not_admit_it(mode: str, host: str) -> None:
    assert host_fault(mode, f"https://{host}", host) is not None


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://Paper-API.Alpaca.Markets.:443/", "https://paper-api.alpaca.markets"),
        ("https://broker.example.org:8443/alpaca/", "https://broker.example.org:8443/alpaca"),
        ("http://[::0001]:80/", "http://[::1]"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_address_is_kept_in_the_form_that_was_checked(url: str, normal: str) -> None:
    assert normal_address(url) == normal


def test_the_paper_exchange_gets_no_secret_of_a_broker() -> None:
    assert not gets_keys("exchange", "a-broker's")
    assert gets_keys("exchange", "paper-exchange")
    assert gets_keys("paper", "a-broker's")
    assert gets_keys("live", "a-broker's")

"""An account that is not in mode live can never be connected to the host for real money, whatever the settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.executors import load_executors
from config.schema.executor import Executors, ExecutorSettings
from config.schema.settings import Settings, load_settings
from config.services import Services, effective
from pipeline.model.errors import ConfigInvalid
from workers.account.runtime import open_account
from workers.tracker.process import stream_addresses

SPELLINGS = [
    "https://api.alpaca.markets",
    "https://api.alpaca.markets/",
    "https://api.alpaca.markets.",
    "https://api.alpaca.markets./v2",
    "https://API.Alpaca.MARKETS",
    "HTTPS://api.alpaca.markets",
    "http://api.alpaca.markets",
    "https://api.alpaca.markets:443",
    "https://api.alpaca.markets.:8443/trade",
    "https://127.0.0.1@api.alpaca.markets",
    "https://127.0.0.1:8100@api.alpaca.markets:443",
    "https://%61pi.alpaca.markets",
    "https://api%2ealpaca.markets",
    "https://api\u3002alpaca\uff0emarkets",
    "https://\uff41pi.alpaca.markets",
    "https://api.alp\u00adaca.markets",
    "https://api.alpaca.markets?127.0.0.1",
    "https://api.alpaca.markets#127.0.0.1",
    "https://api.alpaca.markets\\@127.0.0.1",
    "https://api.alpaca.markets\\.127.0.0.1",
    "https://api.alpaca.mar\tkets",
    "//api.alpaca.markets",
    "api.alpaca.markets",
    # An IP address such as the host for real money has, also written as IPv6 and as a number.
    "https://203.0.113.7",
    "https://[::ffff:203.0.113.7]",
    "https://[::ffff:cb00:7107]",
    "https://[64:ff9b::203.0.113.7]",
    "https://3405803783",
    "https://0xcb007107",
]

FILE = """
[executors.argo]
mode = "{mode}"
{lines}
size = {{ method = "quantity", value = 1 }}
limits = {{ open_positions = 1 }}
"""

#: Every setting with an address, and whether a broker's client can be opened at that address.
HOLDS_AN_ADDRESS = {
    "Settings.database_url": False,
    "Settings.redis_url": False,
    "Settings.exchange_url": True,
    "Services.database_url": False,
    "Services.redis_url": False,
    "Services.exchange_url": True,
    "Services.web_url": False,
    "Services.rq_dashboard_url": False,
    # Names of our own servers, to which nothing is sent.
    "Settings.allowed_hosts": False,
    "Settings.database_direct_url": False,
    "ExecutorSettings.base_url": True,
    "ExecutorSettings.base_url_allowed": True,
}


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace("\t", "\\t") + '"'


def in_the_environment(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", url)
    return ""


def in_env_file(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / ".env").write_text(f"TRADEWIRE_EXCHANGE_URL='{url}'\n", encoding="utf-8")
    return ""


def in_services_json(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    text = f'{{"exchange_url": {quoted(url)}, "pids": {{"up": {os.getpid()}}}}}'
    (folder / "services.json").write_text(text, encoding="utf-8")
    return ""


def in_the_file(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return f"base_url = {quoted(url)}"


def named_as_allowed(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return f'base_url = "https://api.alpaca.markets."\nbase_url_allowed = {quoted(url)}'


WAYS = {
    "Settings.exchange_url": (in_the_environment, in_env_file),
    "Services.exchange_url": (in_services_json,),
    "ExecutorSettings.base_url": (in_the_file,),
    "ExecutorSettings.base_url_allowed": (named_as_allowed,),
}

Way = Callable[[str, Path, pytest.MonkeyPatch], str]


def test_every_setting_that_holds_an_address_is_tried() -> None:
    named = {
        f"{model.__name__}.{field}"
        for model in (Settings, Services, ExecutorSettings)
        for field in model.model_fields
        if "url" in field or "address" in field or "host" in field
    }

    assert named == set(HOLDS_AN_ADDRESS)
    assert set(WAYS) == {name for name, holds in HOLDS_AN_ADDRESS.items() if holds}


@pytest.mark.parametrize("mode", ["exchange", "paper"])
@pytest.mark.parametrize("way", [way for ways in WAYS.values() for way in ways])
@pytest.mark.parametrize("url", SPELLINGS)
def test_no_setting_leads_a_practice_account_to_the_live_host(
    url: str, way: Way, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigInvalid):
        started(mode, way, url, tmp_path, monkeypatch)
    with pytest.raises(ConfigInvalid):
        streams(mode, way, url, tmp_path, monkeypatch)


def started(mode: str, way: Way, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Open the account as each process does, and return the arguments with which the broker's client was opened."""
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr("workers.account.runtime.open_broker", lambda *_, **values: opened.append(values))
    executors, settings = loaded(mode, way, url, folder, monkeypatch)
    open_account(executors["argo"], settings=settings, exchange_url=settings.exchange_url)
    return opened


def streams(mode: str, way: Way, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses at which the tracker opens streams."""
    executors, settings = loaded(mode, way, url, folder, monkeypatch)
    addresses = stream_addresses(executors, settings=settings, exchange_url=settings.exchange_url)
    return [address.url for address in addresses.values()]


def loaded(mode: str, way: Way, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Executors, Settings]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TRADEWIRE_HOME", str(folder))
    monkeypatch.setenv("ARGO_API_KEY", "argo-key")
    monkeypatch.setenv("ARGO_API_SECRET", "argo-secret")
    path = folder / "executors.toml"
    path.write_text(FILE.format(mode=mode, lines=way(url, folder, monkeypatch)), encoding="utf-8")
    settings = effective(load_settings())
    return load_executors(path, settings=settings), settings


HERE, PAPER = "http://127.0.0.1:8100", "https://paper-api.alpaca.markets"


@pytest.mark.parametrize(
    ("mode", "way", "url"),
    [
        ("exchange", in_the_environment, HERE),
        ("exchange", in_env_file, HERE),
        ("exchange", in_services_json, HERE),
        ("exchange", in_the_file, HERE),
        ("paper", in_the_file, PAPER),
    ],
)
def test_the_same_start_opens_the_address_of_its_mode(
    mode: str, way: Way, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [values["base_url"] for values in started(mode, way, url, tmp_path, monkeypatch)] == [url]
    assert streams(mode, way, url, tmp_path, monkeypatch) == [url.replace("http", "ws", 1) + "/stream"]

"""A broker's client is opened only at a host of the executor's mode, whichever setting has the address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config.schema.executor import ExecutorSettings
from config.schema.sections import LimitSettings, SizeSettings
from config.schema.settings import Settings, load_settings
from config.services import effective
from pipeline.model.errors import ConfigInvalid, TradewireError
from tests.unit.brokers.scripted import ScriptedServer, reply
from workers.account.runtime import open_account


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADEWIRE_EXCHANGE_URL", raising=False)
    monkeypatch.setenv("ARGO_API_KEY", "argo-key")
    monkeypatch.setenv("ARGO_API_SECRET", "argo-secret")


@pytest.fixture
def here() -> Iterator[ScriptedServer]:
    with ScriptedServer([reply(404, {"message": "none"})]) as server:
        yield server


def executor(mode: str, **values: Any) -> ExecutorSettings:
    size, limits = SizeSettings(method="quantity", value=Decimal(1)), LimitSettings(open_positions=1)
    return ExecutorSettings.model_validate({"id": "argo", "mode": mode, "size": size, "limits": limits, **values})


def keys_sent(settings: Settings, at: ExecutorSettings, server: ScriptedServer) -> tuple[str, str]:
    broker, _ = open_account(at, settings=settings, exchange_url=server.url)
    with pytest.raises(TradewireError):
        broker.account()
    broker.close()
    sent = {name.lower(): value for name, value in server.seen[0].headers.items()}
    return sent["apca-api-key-id"], sent["apca-api-secret-key"]


@pytest.mark.parametrize("allowed", [None, "api.alpaca.markets"])
@pytest.mark.parametrize("mode", ["exchange", "paper"])
def test_a_dot_does_not_open_real_money(mode: str, allowed: str | None) -> None:
    at = executor(mode, base_url="https://api.alpaca.markets.", base_url_allowed=allowed)

    with pytest.raises(ConfigInvalid, match=r"argo\.base_url"):
        open_account(at, settings=load_settings(), exchange_url=None)


@pytest.mark.parametrize("url", ["https://api.alpaca.markets.", "https://%61pi.alpaca.markets", "https://example.org"])
def test_the_address_of_the_exchange_is_checked_as_one_of_the_file(url: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"argo\.base_url"):
        open_account(executor("exchange"), settings=load_settings(), exchange_url=url)


def test_the_environment_names_no_broker_as_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", "https://API.alpaca.markets.:443")

    with pytest.raises(ConfigInvalid, match="TRADEWIRE_EXCHANGE_URL"):
        load_settings()


def test_services_json_names_no_broker_as_the_exchange(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = f'{{"exchange_url": "https://api.alpaca.markets.", "pids": {{"up": {os.getpid()}}}}}'
    (tmp_path / "services.json").write_text(text, encoding="utf-8")
    monkeypatch.setenv("TRADEWIRE_HOME", str(tmp_path))

    with pytest.raises(ConfigInvalid, match=r"services\.json"):
        effective(load_settings())


def test_an_exchange_on_this_machine_gets_no_keys_of_a_broker(here: ScriptedServer) -> None:
    assert keys_sent(load_settings(), executor("exchange"), here) == ("argo", "paper-exchange")


def test_a_key_with_the_secret_of_the_exchange_names_an_account_there(
    monkeypatch: pytest.MonkeyPatch, here: ScriptedServer
) -> None:
    monkeypatch.setenv("ARGO_API_SECRET", "paper-exchange")

    assert keys_sent(load_settings(), executor("exchange"), here) == ("argo-key", "paper-exchange")


def test_a_practice_account_of_a_broker_gets_the_executors_keys(here: ScriptedServer) -> None:
    at = executor("paper", base_url=here.url)

    assert keys_sent(load_settings(), at, here) == ("argo-key", "argo-secret")


def test_another_exchange_gets_the_name_of_the_executor_as_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: dict[str, Any] = {}

    def record(broker: str, **values: Any) -> Any:
        opened.update(values)
        return broker

    monkeypatch.setattr("workers.account.runtime.open_broker", record)
    at = executor("exchange", base_url_allowed="Exchange.example.org.")
    open_account(at, settings=load_settings(), exchange_url="https://exchange.example.org")

    assert opened["api_key"] == "argo"
    assert opened["api_secret"].get_secret_value() != "argo-secret"
    assert opened["base_url"] == "https://exchange.example.org"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, here: ScriptedServer, name: str
) -> None:
    with ScriptedServer([reply(404, {"message": "none"})]) as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv(name, proxy.url)

        broker, _ = open_account(executor("paper", base_url=here.url), settings=load_settings(), exchange_url=None)
        for read in (broker.account, lambda: broker.price("AAPL")):
            with pytest.raises(TradewireError):
                read()
        broker.close()

        assert len(here.seen) == 2
        assert proxy.seen == []

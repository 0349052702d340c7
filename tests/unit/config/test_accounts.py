from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.executors import load_executors
from config.schema.addresses import base_url_faults
from config.schema.settings import load_settings

Faults = Callable[[str], dict[str, str]]

PAPER = 'base_url = "https://paper-api.alpaca.markets"'
LIVE = 'base_url = "https://api.alpaca.markets"\naccount = "123"'


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARGO", "PROP_FIRM"):
        monkeypatch.setenv(f"{name}_API_KEY", f"{name}-key")
        monkeypatch.setenv(f"{name}_API_SECRET", f"{name}-secret")


@pytest.fixture
def table(smallest: str) -> Callable[..., str]:
    def write(mode: str, lines: str = "", *, executor_id: str = "argo") -> str:
        text = smallest.replace('mode = "exchange"', f'mode = "{mode}"\n{lines}')
        return text.replace("executors.argo", f"executors.{executor_id}")

    return write


def starts(tmp_path: Path, text: str) -> bool:
    path = tmp_path / "executors.toml"
    path.write_text(text, encoding="utf-8")
    return bool(load_executors(path, settings=load_settings()))


def test_the_exchange_needs_neither_address_nor_keys(tmp_path: Path, table: Callable[..., str]) -> None:
    assert starts(tmp_path, table("exchange"))


def test_paper_with_address_and_keys_starts(keys: None, tmp_path: Path, table: Callable[..., str]) -> None:
    assert starts(tmp_path, table("paper", PAPER))


def test_paper_may_be_any_server_on_this_machine(keys: None, tmp_path: Path, table: Callable[..., str]) -> None:
    assert starts(tmp_path, table("paper", 'base_url = "http://127.0.0.1:9000"'))


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_paper_and_live_need_address_and_keys(faults_in: Faults, table: Callable[..., str], mode: str) -> None:
    expected = {"executors.argo.base_url", "ARGO_API_KEY", "ARGO_API_SECRET"}

    assert expected <= faults_in(table(mode)).keys()


def test_one_missing_key_is_named_alone(
    faults_in: Faults, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGO_API_KEY", "key")

    assert faults_in(table("paper", PAPER)).keys() == {"ARGO_API_SECRET"}


def test_keys_of_the_env_file_count(faults_in: Faults, tmp_path: Path, table: Callable[..., str]) -> None:
    (tmp_path / ".env").write_text("ARGO_API_KEY=k\nARGO_API_SECRET=s\n", encoding="utf-8")

    assert starts(tmp_path, table("paper", PAPER))


@pytest.mark.parametrize(
    ("mode", "url"),
    [
        ("exchange", "https://api.alpaca.markets"),
        ("exchange", "https://paper-api.alpaca.markets"),
        ("paper", "https://api.alpaca.markets"),
        ("live", "https://paper-api.alpaca.markets"),
        ("live", "https://broker-api.sandbox.alpaca.markets"),
        ("live", "https://127.0.0.1:8100"),
        ("live", "http://localhost:8100"),
        ("paper", "http://10.0.0.1:8100"),
        ("exchange", "http://exchange.example"),
        ("paper", "https://api.alpaca.markets."),
        ("exchange", "https://api.alpaca.markets."),
        ("paper", "https://%61pi.alpaca.markets"),
        ("paper", "https://broker.example.org"),
        ("live", "https://broker.example.org"),
    ],
)
def test_an_address_that_does_not_fit_its_mode_is_refused(
    keys: None, faults_in: Faults, table: Callable[..., str], mode: str, url: str
) -> None:
    assert "executors.argo.base_url" in faults_in(table(mode, f'base_url = "{url}"'))


def test_a_named_host_starts_but_never_real_money_in_mode_paper(
    keys: None, tmp_path: Path, faults_in: Faults, table: Callable[..., str]
) -> None:
    lines = 'base_url = "https://broker.example.org:8443"\nbase_url_allowed = "Broker.example.org"'
    live = 'base_url = "https://api.alpaca.markets."\nbase_url_allowed = "api.alpaca.markets"'

    assert starts(tmp_path, table("paper", lines))
    assert faults_in(table("paper", live)).keys() == {"executors.argo.base_url"}


def test_the_exchange_of_another_machine_must_be_named(
    faults_in: Faults, tmp_path: Path, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", "https://exchange.example.org")

    assert faults_in(table("exchange")).keys() == {"executors.argo.base_url_allowed"}
    assert starts(tmp_path, table("exchange", 'base_url_allowed = "exchange.example.org"'))


@pytest.mark.parametrize(
    "url",
    [
        "api.alpaca.markets",
        "ftp://127.0.0.1",
        "https://",
        "https://h:port",
        "https://[::1",
        "https://key:secret@api.alpaca.markets",
        "https://h/?key=secret",
        "https://h/v2",
        "https://h/v2/",
        "http://h",
    ],
)
def test_the_faults_of_an_address_do_not_repeat_it(url: str) -> None:
    faults = base_url_faults(url)

    assert faults
    assert "secret" not in " ".join(faults)


@pytest.mark.parametrize("url", ["https://h", "https://h:8443/alpaca", "http://127.0.0.1:8100", "http://[::1]:1"])
def test_a_valid_address_has_no_fault(url: str) -> None:
    assert base_url_faults(url) == []


def test_a_login_in_an_address_is_not_repeated_in_the_problem(faults_in: Faults, table: Callable[..., str]) -> None:
    faults = faults_in(table("exchange", 'base_url = "http://me:hunter2@127.0.0.1"'))

    assert "hunter2" not in faults["executors.argo.base_url"]


def test_live_needs_the_pinned_account_and_the_sentence(
    keys: None, faults_in: Faults, table: Callable[..., str]
) -> None:
    without_account = faults_in(table("live", 'base_url = "https://api.alpaca.markets"'))
    without_sentence = faults_in(table("live", LIVE))

    assert without_account.keys() == {"executors.argo.account"}
    assert without_sentence.keys() == {"TRADEWIRE_LIVE"}
    assert '"I accept real orders on account 123"' in without_sentence["TRADEWIRE_LIVE"]


@pytest.mark.parametrize(
    "sentence",
    [
        "I accept real orders on account 124",
        "I accept real orders on account 1234",
        "i accept real orders on account 123",
        "I accept real orders on account 123.",
        "yes",
    ],
)
def test_no_other_sentence_will_do(
    keys: None,
    faults_in: Faults,
    table: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    sentence: str,
) -> None:
    monkeypatch.setenv("TRADEWIRE_LIVE", sentence)

    assert faults_in(table("live", LIVE)).keys() == {"TRADEWIRE_LIVE"}


def test_several_live_accounts_need_a_sentence_each(
    keys: None,
    tmp_path: Path,
    faults_in: Faults,
    table: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = table("live", LIVE) + table("live", LIVE.replace("123", "456"), executor_id="prop_firm")
    monkeypatch.setenv("TRADEWIRE_LIVE", "I accept real orders on account 123")
    with_one = faults_in(text)
    monkeypatch.setenv("TRADEWIRE_LIVE", "I accept real orders on account 123; I accept real orders on account 456")

    assert with_one.keys() == {"TRADEWIRE_LIVE"}
    assert starts(tmp_path, text)


@pytest.mark.parametrize("limit", ["daily_loss_percent", "drawdown_percent", "gross_exposure_percent"])
def test_real_money_does_not_start_without_limits_on_losses_and_exposure(
    keys: None,
    tmp_path: Path,
    faults_in: Faults,
    table: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    monkeypatch.setenv("TRADEWIRE_LIVE", "I accept real orders on account 123")
    lines = table("live", LIVE).splitlines()
    text = "\n".join(f'{limit} = "off"' if line.startswith(limit) else line for line in lines)

    assert faults_in(text).keys() == {f"executors.argo.limits.{limit}"}
    assert starts(tmp_path, text.replace('"live"', '"paper"').replace("//api.", "//paper-api."))


@pytest.mark.parametrize("ending", ["markets/", "MARKETS", "markets.", "markets:443"])
def test_two_executors_on_one_key_are_refused(
    keys: None, faults_in: Faults, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setenv("PROP_FIRM_API_KEY", "ARGO-key")
    other = PAPER.replace('markets"', f'{ending}"')

    faults = faults_in(table("paper", PAPER) + table("paper", other, executor_id="prop_firm"))

    assert faults.keys() == {"PROP_FIRM_API_KEY"}
    assert "argo" in faults["PROP_FIRM_API_KEY"]
    assert "ARGO-key" not in faults["PROP_FIRM_API_KEY"]


def test_two_executors_with_one_pinned_account_are_refused(faults_in: Faults, table: Callable[..., str]) -> None:
    pinned = 'account = "PA1"'

    faults = faults_in(table("exchange", pinned) + table("exchange", pinned, executor_id="prop_firm"))

    assert faults.keys() == {"executors.prop_firm.account"}


def test_one_key_at_two_addresses_is_two_accounts(
    keys: None, tmp_path: Path, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROP_FIRM_API_KEY", "ARGO-key")
    here, there = ('base_url = "http://127.0.0.1:1"', 'base_url = "http://127.0.0.1:2"')

    assert starts(tmp_path, table("paper", here) + table("paper", there, executor_id="prop_firm"))

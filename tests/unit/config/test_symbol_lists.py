from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.checks.changes import differences, loosened
from config.checks.reachability import unreachable_by
from config.checks.warnings import warnings_of
from config.schema.executor import Executors, settings_hash
from config.schema.settings import Settings
from config.webhooks import load_webhooks

Loads = Callable[..., Executors]
Fault = Callable[[str], dict[str, str]]

SPELLINGS = ["BTCUSD", "btcusd", "btc-usd", "BTC-USD", "btc/usd", " BTC/USD "]


def routed(name: str, *symbols: str) -> str:
    return f"[executors.argo.route]\n{name} = {list(symbols)}\n"


@pytest.mark.parametrize("written", SPELLINGS)
@pytest.mark.parametrize("name", ["symbols", "deny"])
def test_each_spelling_of_a_symbol_is_read_as_the_canonical_one(loads: Loads, name: str, written: str) -> None:
    executor = loads(routed(name, "AAPL", written))["argo"]

    assert getattr(executor.route, name) == ("AAPL", "BTC/USD")


@pytest.mark.parametrize("written", SPELLINGS)
def test_groups_hold_canonical_symbols(loads: Loads, written: str) -> None:
    executor = loads(f'[executors.argo.groups]\ncoins = ["{written}", "eth-usd"]')["argo"]

    assert executor.groups == {"coins": ("BTC/USD", "ETH/USD")}


@pytest.mark.parametrize("written", SPELLINGS)
def test_a_pack_and_an_executor_may_spell_a_symbol_differently(loads: Loads, tmp_path: Path, written: str) -> None:
    head = 'name = "mine"\ndescription = "Mine."\n'
    rules = f'[route]\nsymbols = ["{written}", "AAPL"]\ndeny = ["{written}"]\n'
    (tmp_path / "mine.toml").write_text(head + rules)

    executors = loads(
        routed("symbols", "BTC/USD", "MSFT") + 'deny = ["ethusd"]\n', mode='"exchange"\npack = "mine.toml"'
    )

    route = executors["argo"].route
    assert (route.symbols, route.deny) == (("BTC/USD",), ("ETH/USD", "BTC/USD"))


def test_a_pack_that_says_the_same_in_another_spelling_overrules_nothing(loads: Loads, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ndescription = "Mine."\n[route]\nsymbols = ["BTCUSD"]\n')

    executors = loads(routed("symbols", "btc-usd"), mode='"exchange"\npack = "mine.toml"')

    assert executors.overruled["argo"] == {}


def test_webhooks_may_name_a_symbol_in_each_spelling(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.toml"
    path.write_text('[webhooks.mine]\nsymbols = { XBT = "btcusd", XETH = "ETH-USD" }\n')

    webhook = load_webhooks(Settings(webhooks=path))["mine"]

    assert webhook.settings.symbols == {"XBT": "BTC/USD", "XETH": "ETH/USD"}


@pytest.mark.parametrize("name", ["route.symbols.0", "route.deny.0", "groups.mine.0"])
@pytest.mark.parametrize("written", ["XYZ//", "BTC/EUR", "BRK_B", "123", "TOOLONG", ""])
def test_an_unknown_form_is_an_error_that_names_the_key_and_the_forms(
    smallest: str, faults_in: Fault, name: str, written: str
) -> None:
    table, key, _ = name.split(".")
    section = f'[executors.argo.{table}]\n{key} = ["{written}"]\n'

    faults = faults_in(smallest + section)

    assert faults.keys() == {f"executors.argo.{name}"}
    assert "AAPL, BRK.B or BTC/USD" in faults[f"executors.argo.{name}"]
    assert f'"{written}"' in faults[f"executors.argo.{name}"]


def test_an_unknown_form_in_a_pack_is_an_error_that_names_the_file(
    smallest: str, faults_in: Fault, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ndescription = "Mine."\n[route]\ndeny = ["XYZ//"]\n')

    faults = faults_in(smallest.replace('mode = "exchange"', 'mode = "exchange"\npack = "mine.toml"'))

    assert faults.keys() == {f"{tmp_path / 'mine.toml'}: route.deny.0"}


@pytest.mark.parametrize("section", ["route]\ndeny", "groups]\ncoins"])
def test_a_symbol_that_is_named_twice_counts_once(loads: Loads, section: str) -> None:
    text = f'[executors.argo.{section} = ["ETH/USD", "BTCUSD", "btc-usd", "BTC/USD"]'

    executor = loads(text)["argo"]

    assert (executor.route.deny or executor.groups["coins"]) == ("ETH/USD", "BTC/USD")


def test_the_hash_does_not_depend_on_the_spelling(loads: Loads) -> None:
    canonical = settings_hash(loads(routed("deny", "BTC/USD"))["argo"])

    assert {settings_hash(loads(routed("deny", written))["argo"]) for written in SPELLINGS} == {canonical}


def test_the_hash_of_canonical_symbols_is_the_one_of_the_release_before(loads: Loads) -> None:
    text = routed("symbols", "AAPL", "BTC/USD") + '[executors.argo.groups]\ntech = ["AAPL", "BRK.B"]'

    assert settings_hash(loads(text)["argo"]) == "05c03d7291825c34c12f0859d6236b79641c5ee50fc5abd63388a183dea87142"


@pytest.mark.parametrize("written", SPELLINGS)
def test_settings_kept_by_an_older_release_are_compared_in_canonical_form(loads: Loads, written: str) -> None:
    text = routed("symbols", "BTC/USD") + 'deny = ["ETH/USD"]\n[executors.argo.groups]\ncoins = ["BTC/USD", "ETH/USD"]'
    new = loads(text)["argo"].model_dump(mode="json")
    route = new["route"] | {"deny": ["ETHUSD", "ETH/USD"]}
    old = new | {"route": route, "groups": {"coins": [written.strip(), "ETHUSD"]}}

    assert differences(old, new) == []
    assert loosened(old, new) == []


def test_a_pair_that_an_older_release_did_not_understand_is_accepted_before_a_live_account_trades_it(
    loads: Loads,
) -> None:
    new = loads(routed("symbols", "BTCUSD"))["argo"].model_dump(mode="json")
    old = new | {"route": new["route"] | {"symbols": ["BTCUSD"]}}

    assert [str(change) for change in loosened(old, new)] == ["route.symbols: BTCUSD -> BTC/USD"]


def test_text_of_an_older_release_that_is_not_a_symbol_is_compared_as_it_is(loads: Loads) -> None:
    new = loads(routed("deny", "BTC/USD"))["argo"].model_dump(mode="json")
    old = new | {"route": new["route"] | {"deny": ["BTC/USD", "123"]}}

    assert [str(change) for change in loosened(old, new)] == ["route.deny: BTC/USD, 123 -> BTC/USD"]


@pytest.mark.parametrize("written", SPELLINGS)
def test_warnings_compare_canonical_symbols(loads: Loads, settings: Settings, written: str) -> None:
    text = routed("symbols", "BTC/USD", "AAPL") + f'deny = ["{written}"]\nasset_classes = ["us_equity"]\n'

    assert [(problem.key, problem.message.partition(" is ")[0]) for problem in warnings_of(loads(text), settings)] == [
        ("executors.argo.route.deny", "BTC/USD"),
        ("executors.argo.route.symbols", "BTC/USD"),
    ]


def test_the_symbols_of_a_source_are_compared_in_canonical_form(loads: Loads) -> None:
    executor = loads(routed("deny", "BTC/USD", "AAPL"))["argo"]

    (problem,) = unreachable_by(executor, symbols=("btcusd", "AAPL", "BTC-USD"))

    assert problem.key == "executors.argo.route.deny"
    assert problem.message.endswith(": AAPL, BTC/USD")

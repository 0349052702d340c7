from __future__ import annotations

from pathlib import Path

import pytest

from config.schema.settings import Settings
from config.webhooks import Webhook, load_webhooks
from pipeline.model.errors import ConfigInvalid

REPOSITORY = Path(__file__).parents[3]
SECRET = "0123456789abcdef"


def load(tmp_path: Path, text: str) -> dict[str, Webhook]:
    file = tmp_path / "webhooks.toml"
    file.write_text(text)
    return load_webhooks(Settings(webhooks=file), executors=("argo", "prop_firm"))


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as raised:
        load(tmp_path, text)
    return [str(problem) for problem in raised.value.problems]


def test_without_a_file_there_is_tradingview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    (webhook,) = load_webhooks(Settings()).values()

    assert (webhook.name, webhook.secret, webhook.settings.dialect) == ("tradingview", None, "auto")


def test_a_file_that_is_named_and_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="TRADEWIRE_WEBHOOKS names the file"):
        load_webhooks(Settings(webhooks=tmp_path / "nowhere.toml"))


def test_the_file_that_ships_is_right_as_it_is_and_with_its_examples_switched_on(tmp_path: Path) -> None:
    text = (REPOSITORY / "config/webhooks.toml").read_text("utf-8")
    lines = text.split("# [webhooks.tradingview]")[1].splitlines()
    examples = "[webhooks.tradingview]\n" + "\n".join(
        line.removeprefix("# ") for line in lines if "=" in line or line.startswith("# [")
    )

    assert list(load(tmp_path, text)) == ["tradingview"]
    shipped = load(tmp_path, examples)
    assert list(shipped) == ["tradingview", "screener"]
    assert shipped["tradingview"].settings.symbols == {"XBTUSD": "BTC/USD", "NYSE:BRK/B": "BRK.B"}
    assert shipped["screener"].settings.template is not None


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_MY_SCREENER_SECRET", SECRET)

    webhook = load(tmp_path, "[webhooks.my_screener]")["my_screener"]

    assert webhook.secret is not None
    assert webhook.secret.get_secret_value() == SECRET
    assert SECRET not in repr(webhook)


@pytest.mark.parametrize("secret", ["short", "has a space in it all", "slash/slash/slash/slash"])
def test_a_secret_that_is_short_or_does_not_fit_an_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("WEBHOOK_TRADINGVIEW_SECRET", secret)

    (problem,) = problems(tmp_path, "")

    assert problem.startswith("WEBHOOK_TRADINGVIEW_SECRET: 16 to 200")
    assert secret not in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[webhook.mine]", 'webhook: is not a key here; did you mean "webhooks" (known: webhooks)'),
        ("[webhooks.replay]", "webhooks.replay: is the name of another source of signals; choose another name"),
        ("[webhooks.My-Own]", "webhooks.My-Own: is not a name for a webhook"),
        ('[webhooks.a]\nsecret = "x"', "webhooks.a.secret: is not a key here: the variable WEBHOOK_A_SECRET holds it"),
        ('[webhooks.a]\ndialekt = "auto"', 'webhooks.a.dialekt: is not a key here; did you mean "dialect"'),
        ('[webhooks.a]\ndialect = "ninja"', 'webhooks.a.dialect: "ninja" is none of'),
        ('[webhooks.a]\naddresses = ["nowhere"]', "webhooks.a.addresses.0: "),
        (
            '[webhooks.a]\nexecutors = ["agro"]',
            'webhooks.a.executors: there is no executor "agro"',
        ),
        ("[webhooks.a]\nconfidence = 101", "webhooks.a.confidence: 101 is out of range"),
        ('[webhooks.a]\ndialect = "template"', "webhooks.a.template: needs dialect"),
        ('[webhooks.a.template]\nsymbol = "A"\naction = "buy"', "webhooks.a.template: needs dialect"),
        (
            '[webhooks.a]\ndialect = "template"\n[webhooks.a.template]\nsymbol = "{a}{b}"\naction = "buy"',
            "webhooks.a.template.symbol: ",
        ),
        ('[webhooks.a]\nsymbols = { X = "no symbol" }', "webhooks.a.symbols.X: "),
        ("webhooks = 3", "webhooks: is not a table"),
    ],
)
def test_each_fault_is_told_by_its_key(tmp_path: Path, text: str, problem: str) -> None:
    assert [said for said in problems(tmp_path, text) if said.startswith(problem)]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("52.89.214.238", True),
        ("::ffff:52.89.214.238", True),
        ("10.1.200.3", True),
        ("52.89.214.239", False),
        ("testclient", False),
        (None, False),
    ],
)
def test_a_list_of_addresses_lets_in_those_and_no_others(tmp_path: Path, address: str | None, expected: bool) -> None:  # noqa: FBT001 -- a table
    webhook = load(tmp_path, '[webhooks.a]\naddresses = ["52.89.214.238", "10.1.0.0/16"]')["a"]

    assert webhook.takes_from(address) is expected
    assert load(tmp_path, "")["tradingview"].takes_from(address)

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.schema.addresses import is_loopback
from config.schema.settings import (
    Settings,
    executor_keys,
    load_settings,
    unknown_variables,
    variable,
)
from pipeline.model.errors import ConfigInvalid


def test_without_any_variable_the_documented_defaults_hold() -> None:
    settings = load_settings()

    assert Path("config/executors.toml") == settings.executors
    assert Path(".tradewire") == settings.home
    assert settings.log == "console"
    assert settings.source == "replay"
    assert settings.cadence_s == 5
    assert settings.delivery == "queue"
    assert settings.fallback == "off"
    assert settings.database_url is settings.redis_url is settings.api_token is settings.live is None


def test_every_variable_of_the_contract_reaches_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = {
        "DATABASE_URL": "postgresql://u:p@h/d",
        "REDIS_URL": "redis://h:6379/1",
        "PORT": "8001",
        "TRADEWIRE_EXECUTORS": "mine.toml",
        "TRADEWIRE_HOME": "there",
        "TRADEWIRE_API_TOKEN": "abc-123-def-456-ghi",
        "TRADEWIRE_LOG": "json",
        "TRADEWIRE_LIVE": "I accept real orders on account 1",
        "TRADEWIRE_EXCHANGE_URL": "http://127.0.0.1:8100/",
        "TRADEWIRE_SOURCE": "none",
        "TRADEWIRE_CADENCE_S": "0.5",
    }
    for name, value in contract.items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://h:6379/1"
    assert settings.port == 8001
    assert settings.executors == Path("mine.toml")
    assert settings.home == Path("there")
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "abc-123-def-456-ghi"
    assert settings.log == "json"
    assert settings.live == "I accept real orders on account 1"
    assert settings.exchange_url == "http://127.0.0.1:8100"
    assert settings.source == "none"
    assert settings.cadence_s == 0.5
    assert unknown_variables(settings) == []


def test_the_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1\nTRADEWIRE_LOG=json\nOTHER=x\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "2")

    settings = load_settings()

    assert (settings.port, settings.log) == (2, "json")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("PORT", "")

    settings = load_settings()

    assert settings.database_url is None
    assert settings.port is None


def test_all_bad_variables_are_listed_at_once_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "DATABASE_URL": "mysql://u:hunter2@h/x",
        "REDIS_URL": "http://h",
        "PORT": "65536",
        "TRADEWIRE_LOG": "jsno",
        "TRADEWIRE_API_TOKEN": "two words",
        "TRADEWIRE_CADENCE_S": "inf",
        "TRADEWIRE_EXCHANGE_URL": "http://exchange.example:8100",
        "TRADEWIRE_DELIVERY": "pigeon",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigInvalid) as caught:
        load_settings()

    messages = {problem.key: problem.message for problem in caught.value.problems}
    assert messages.keys() == bad.keys()
    assert "postgresql://" in messages["DATABASE_URL"]
    assert "at most 65535" in messages["PORT"]
    assert 'did you mean "json"' in messages["TRADEWIRE_LOG"]
    assert "https://" in messages["TRADEWIRE_EXCHANGE_URL"]
    assert "hunter2" not in str(caught.value)
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://trader:ge%zzheimnis@10.1.2.3/books",
        "postgresql://trader:s@geheimnis@10.1.2.3/books",
        "postgresql://trader:geh/eimnis@10.1.2.3/books",
        "postgresql://trader:p[geheimnis]w@10.1.2.3/books",
        "postgresql://trader:geheimnis 1@10.1.2.3/books",
        "postgresql://10.1.2.3:geheimnis/books",
        "postgresql://10.1.2.3/books?geheimnis=1",
        "postgresql://10.1.2.3/books?user=u&password=ge@heimnis",
        "redis://:geh/eimnis@10.1.2.3/0",
        "redis://:s@geheimnis@10.1.2.3/0",
        "redis://:ge%zzheimnis@10.1.2.3/0",
        "redis://:p[geheimnis]w@10.1.2.3/0",
        "redis://:geh#eimnis@10.1.2.3/0",
        "redis://:geh?eimnis@10.1.2.3/0",
        "redis://10.1.2.3:geheimnis/0",
        "redis://[geheimnis]/0",
    ],
)
def test_an_address_whose_login_has_to_be_encoded_is_refused_without_a_part_of_it(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    name = "REDIS_URL" if address.startswith("redis") else "DATABASE_URL"
    monkeypatch.setenv(name, address)

    with pytest.raises(ConfigInvalid) as caught:
        load_settings()

    (problem,) = caught.value.problems
    assert problem.key == name
    assert "% as %25, @ as %40" in problem.message
    assert not any(part in problem.message for part in ("geh", "heimnis", "eimnis", "10.1.2.3"))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DATABASE_URL", "postgresql://u:p%40%25%2F@h:5432/d"),
        ("DATABASE_URL", "postgres://u:p#?=&w@h/d"),
        ("DATABASE_URL", "postgresql://postgres@/tradewire?host=%2Ftmp%2Fhome"),
        ("DATABASE_URL", "postgresql://u:p@h1:5432,h2:5433/d?sslmode=require&password=x"),
        ("DATABASE_URL", "postgresql://u:p@[::1]:5432/d"),
        ("DATABASE_URL", "postgresql:///d"),
        ("REDIS_URL", "redis://:p%40%25%2F@h:6379/1"),
        ("REDIS_URL", "rediss://u:p@[::1]:6379/1?password=x"),
        ("REDIS_URL", "unix://u:p@/tmp/valkey.sock?db=1"),
        ("REDIS_URL", "unix:///tmp/valkey.sock"),
        ("REDIS_URL", "redis://h"),
    ],
)
def test_addresses_that_the_clients_understand_are_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)

    settings = load_settings()

    value = settings.database_url or settings.redis_url
    assert value is not None
    assert value.get_secret_value() == address


def test_settings_are_frozen_and_their_repr_holds_no_secret() -> None:
    settings = Settings(database_url="postgresql://u:hunter2@h/d", api_token="hunter3-and-nine-more")

    assert "hunter" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_keys_come_from_the_environment_over_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROP_FIRM_API_KEY=file-key\nPROP_FIRM_API_SECRET=file-secret\n", encoding="utf-8")
    monkeypatch.setenv("PROP_FIRM_API_KEY", "own-key")

    keys = executor_keys(load_settings(), "prop_firm")

    assert keys is not None
    assert (keys[0], keys[1].get_secret_value()) == ("own-key", "file-secret")
    assert "file-secret" not in repr(keys)


def test_a_key_without_its_secret_counts_as_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_API_KEY", "key")

    assert executor_keys(load_settings(), "argo") is None


def test_a_variable_that_only_looks_like_ours_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_LGO", "json")
    monkeypatch.setenv("TRADEWIRE_LIFELINE", "3")

    assert unknown_variables(load_settings()) == ["TRADEWIRE_LGO"]


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_described(field: str) -> None:
    assert Settings.model_fields[field].description


def test_every_setting_is_in_the_env_example() -> None:
    example = (Path(__file__).parents[3] / ".env.example").read_text(encoding="utf-8")

    assert [field for field in Settings.model_fields if f"# {variable(field)}=" not in example] == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        (None, False),
    ],
)
def test_only_this_machine_is_loopback(host: str | None, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "8_000"), ("TRADEWIRE_API_RATE", "\uff16"), ("TRADEWIRE_CADENCE_S", "1_0.5")]
)
def test_a_number_has_plain_digits(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigInvalid, match=name):
        load_settings()


def test_a_token_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_API_TOKEN", "t" * 15)
    with pytest.raises(ConfigInvalid, match="at least 16"):
        load_settings()

    monkeypatch.setenv("TRADEWIRE_API_TOKEN", "t" * 16)
    assert load_settings().api_token is not None


def test_allowed_hosts_are_kept_in_their_normal_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_ALLOWED_HOSTS", "Tunnel.Example.org., 10.0.0.7,[::1]")
    assert load_settings().allowed_hosts == ("tunnel.example.org", "10.0.0.7", "::1")

    monkeypatch.setenv("TRADEWIRE_ALLOWED_HOSTS", "tunnel.example.org, https://other.example.org")
    with pytest.raises(ConfigInvalid, match="TRADEWIRE_ALLOWED_HOSTS"):
        load_settings()


def test_trusted_proxies_are_addresses_or_networks_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().trusted_proxies == ("127.0.0.1",)

    for given, read in (("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")), ("none", ())):
        monkeypatch.setenv("TRADEWIRE_TRUSTED_PROXIES", given)
        assert load_settings().trusted_proxies == read

    for wrong in ("*", "proxy.example.org", "10.0.0.1/8"):
        monkeypatch.setenv("TRADEWIRE_TRUSTED_PROXIES", wrong)
        with pytest.raises(ConfigInvalid, match="TRADEWIRE_TRUSTED_PROXIES"):
            load_settings()

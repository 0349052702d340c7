"""Read webhooks.toml into frozen settings, one per webhook, with the secrets of the environment beside them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from config.schema.fields import Confidence, Figure, Section, Symbol, Word, Words
from config.schema.keys import description_at, keys_at
from config.schema.problems import did_you_mean, problems_of
from config.schema.settings import Settings
from config.schema.toml_tables import parsed_toml
from pipeline.model.errors import ConfigInvalid, Problem

#: The webhook that is there without being named in the file.
DEFAULT = "tradingview"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# A signal's source is its webhook's name: these are somebody else's.
_TAKEN = frozenset({"alpaca", "api", "drill", "file", "manual", "page", "replay", "web"})
_SECRET = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_PATH = re.compile(r"\{[^{}\s]{1,200}\}")


def _address(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError('an address like "52.89.214.238", or a network like "10.1.0.0/16", is expected') from None
    return value


def _mapped(value: str) -> str:
    if ("{" in value or "}" in value) and not _PATH.fullmatch(value):
        raise ValueError('either a constant, or one path in braces like "{order.price}", is expected')
    return value


Mapped = Annotated[str, AfterValidator(_mapped)]


class Template(Section):
    """Where a signal's fields stand in other JSON: a path in braces like "{order.items.0.price}", or a constant."""

    symbol: Mapped
    """What is traded. Required."""

    action: Mapped
    """What to do: buy, sell, close, close_long, close_short, or a word that `words` explains. Required."""

    price: Mapped | None = None
    """The price at the time of the signal; an entry without one is refused."""

    quantity: Mapped | None = None
    """Shares or units. Default: the executor sizes."""

    confidence: Mapped | Figure | None = None
    """Percent, 0 to 100. Default: the webhook's."""

    stop_price: Mapped | None = None
    """Where the loss is cut."""

    target_price: Mapped | None = None
    """Where the profit is taken."""

    strategy: Mapped | None = None
    """The strategy's name. Default: the webhook's."""

    source_id: Mapped | None = None
    """What is different for every alert and the same for its re-sends."""

    time: Mapped | None = None
    """When the alert fired: RFC 3339, or seconds or milliseconds since 1970."""

    expires_at: Mapped | None = None
    """Until when the signal holds, as RFC 3339."""

    position: Mapped | None = None
    """The position that the sender has after the order: long, short or flat."""

    previous_position: Mapped | None = None
    """The position that the sender had before it."""

    words: Mapping[Word, Word] = Field(default_factory=dict)
    """What the sender's words for an action mean: { LONG_ENTRY = "buy", LONG_EXIT = "close_long" }."""


class WebhookSettings(Section):
    """One webhook: who may deliver to it, and how what is delivered is read."""

    name: str
    """The name of its table; it is the source of its signals."""

    dialect: Literal["auto", "tradingview", "traderspost", "signalstack", "template"] = "auto"
    """How bodies are read; auto recognises the three vendors' forms, body by body. Default: auto."""

    addresses: Words[Annotated[str, AfterValidator(_address)]] | None = None
    """The addresses or networks that may deliver. Default: any."""

    executors: Words[Word] | None = None
    """The executors that its signals are for. Default: all."""

    strategy: Word | None = None
    """The strategy of signals that name none. Default: none."""

    confidence: Confidence = Decimal(100)
    """The confidence of signals that state none, in percent: who sets an alert up means it. Default: 100."""

    quantity: Literal["use", "ignore"] = "use"
    """Whether a quantity in the body is used, or every executor sizes by itself. Default: use."""

    exits: Literal["long", "short"] = "long"
    """Which position an exit closes when the body does not tell. Default: long."""

    stablecoins: Literal["usd", "keep"] = "usd"
    """Whether BTCUSDT and BTCUSDC are read as BTC/USD, or as BTC/USDT and BTC/USDC. Default: usd."""

    exchanges: Words[Word] = ()
    """Prefixes like "LSE" of `LSE:VOD` that are stripped besides those of US exchanges and crypto. Default: none."""

    symbols: Mapping[Word, Symbol] = Field(default_factory=dict)
    """Symbols by what the sender calls them: { XBTUSD = "BTC/USD" }."""

    template: Template | None = None
    """Where the fields stand; required with dialect "template", and for no other."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook with its secret; None: the main token of the API opens it."""

    settings: WebhookSettings
    secret: SecretStr | None = None

    @property
    def name(self) -> str:
        """Return its name, which is the source of its signals."""
        return self.settings.name

    def takes_from(self, address: str | None) -> bool:
        """Say whether *address* may deliver. One that cannot be read may not where there is a list."""
        if self.settings.addresses is None:
            return True
        try:
            given = ip_address(address or "")
        except ValueError:
            return False
        # A socket for both kinds of address shows the old kind in the form of the new one.
        given = getattr(given, "ipv4_mapped", None) or given
        return any(given in ip_network(allowed) for allowed in self.settings.addresses)


Webhooks = Mapping[str, Webhook]


def load_webhooks(settings: Settings, *, executors: Collection[str] | None = None) -> dict[str, Webhook]:
    """Return the webhooks by name; `tradingview` is there also when no file names it.

    Args:
        settings: They name the file, and hold the secrets' variables.
        executors: The executors that there are; None leaves the names in the file unchecked.

    Raises:
        ConfigInvalid: with every problem of the file and of the secrets.
    """
    path = settings.webhooks
    absent = not path.exists() and "webhooks" not in settings.model_fields_set
    tables, problems = ({}, []) if absent else _tables(parsed_toml(path, named_by="TRADEWIRE_WEBHOOKS"))
    found: dict[str, Webhook] = {}
    for name, table in ({DEFAULT: {}} | tables).items():
        webhook, faults = _webhook(name, table, settings)
        problems += faults
        if webhook is not None:
            found[name] = webhook
            problems += _unknown_executors(webhook, executors)
    if problems:
        raise ConfigInvalid(problems)
    return found


def secret_name(name: str) -> str:
    """Return the variable that holds a webhook's secret."""
    return f"WEBHOOK_{name.upper()}_SECRET"


def _tables(parsed: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    problems = [
        Problem(key=key, message=f"is not a key here{did_you_mean(key, ['webhooks'])} (known: webhooks)")
        for key in parsed
        if key != "webhooks"
    ]
    tables = parsed.get("webhooks", {})
    if not isinstance(tables, dict):
        return {}, [*problems, Problem(key="webhooks", message="is not a table; begin one with [webhooks.mine]")]
    for name in tables:
        key = f"webhooks.{name}"
        if name in _TAKEN:
            problems.append(Problem(key=key, message="is the name of another source of signals; choose another one"))
        if not _NAME.fullmatch(name):
            message = "is no name for a webhook: a lower-case letter, then up to 39 of a-z, 0-9 and _"
            problems.append(Problem(key=key, message=message))
    return tables, problems


def _webhook(name: str, table: Any, settings: Settings) -> tuple[Webhook | None, list[Problem]]:
    key = f"webhooks.{name}"
    if not isinstance(table, dict):
        return None, [Problem(key=key, message=f"is not a table; begin it with [{key}]")]
    if "name" in table or "secret" in table:
        word = "name" if "name" in table else "secret"
        where = "the table is named after it" if word == "name" else f"it comes from {secret_name(name)}"
        return None, [Problem(key=f"{key}.{word}", message=f"is not a key here: {where}")]
    try:
        read = WebhookSettings.model_validate({**table, "name": name})
    except ValidationError as error:
        return None, problems_of(
            error,
            key=lambda location: ".".join([key, *map(str, location)]),
            describe=lambda location: description_at(WebhookSettings, location),
            known=lambda location: [word for word in keys_at(WebhookSettings, location[:-1]) if word != "name"],
        )
    problems = []
    if (read.template is None) == (read.dialect == "template"):
        message = 'stands with dialect = "template", and with no other'
        problems.append(Problem(key=f"{key}.template", message=message))
    given = settings.environment().get(secret_name(name))
    if given is not None and not _SECRET.fullmatch(given):
        message = "16 to 200 of the characters A-Z a-z 0-9 . _ ~ - are expected, since it stands in an address"
        problems.append(Problem(key=secret_name(name), message=message))
    return Webhook(settings=read, secret=None if given is None else SecretStr(given)), problems


def _unknown_executors(webhook: Webhook, executors: Collection[str] | None) -> list[Problem]:
    if executors is None:
        return []
    unknown = sorted(set(webhook.settings.executors or ()) - set(executors))
    key = f"webhooks.{webhook.name}.executors"
    words = [f'there is no executor "{name}"{did_you_mean(name, executors)}' for name in unknown]
    return [Problem(key=key, message=message) for message in words]

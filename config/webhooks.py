"""Read webhooks.toml, and the secrets of its webhooks from the environment, into frozen settings."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from config.schema.fields import Confidence, Figure, Section, Symbol, Word, Words
from config.schema.keys import model_problems
from config.schema.problems import did_you_mean
from config.schema.settings import Settings
from config.schema.toml_tables import named_tables, parsed_toml
from pipeline.model.errors import ConfigInvalid, Problem

#: The webhook that exists without a table in the file.
DEFAULT = "tradingview"

# A webhook's name is the source of its signals; these are the names of other sources.
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
    """The fields of a signal in other JSON: each is a path in braces like "{order.items.0.price}", or a constant."""

    symbol: Mapped
    """The symbol to trade. Required."""

    action: Mapped
    """The action: buy, sell, close, close_long, close_short, or a word that `words` translates. Required."""

    price: Mapped | None = None
    """The price at the time of the signal. An entry without a price is refused."""

    quantity: Mapped | None = None
    """The number of shares or coins. Default: the executor decides the size."""

    notional: Mapped | None = None
    """The size of an entry in dollars, in place of `quantity`."""

    equity_percent: Mapped | None = None
    """The size of an entry in percent of the account's equity, in place of `quantity`."""

    close_percent: Mapped | None = None
    """The share of the position that a close closes, in percent, in place of `quantity`."""

    confidence: Mapped | Figure | None = None
    """The confidence in percent, 0 to 100. Default: the webhook's `confidence`."""

    stop_price: Mapped | None = None
    """The price of the stop."""

    target_price: Mapped | None = None
    """The price of the profit target."""

    strategy: Mapped | None = None
    """The name of the strategy. Default: the webhook's `strategy`."""

    source_id: Mapped | None = None
    """The id of the alert: different for each alert, and equal when an alert is sent again."""

    time: Mapped | None = None
    """The time of the alert: RFC 3339, or seconds or milliseconds since 1970."""

    expires_at: Mapped | None = None
    """The time until which the signal is valid, as RFC 3339."""

    position: Mapped | None = None
    """The sender's position after the order: long, short or flat."""

    previous_position: Mapped | None = None
    """The sender's position before the order: long, short or flat."""

    words: Mapping[Word, Word] = Field(default_factory=dict)
    """The actions by the sender's words: { LONG_ENTRY = "buy", LONG_EXIT = "close_long" }."""


class WebhookSettings(Section):
    """One webhook: who may deliver to it, and how its deliveries are read."""

    name: str
    """The name of its table; it is the source of its signals."""

    dialect: Literal["auto", "tradingview", "traderspost", "signalstack", "template"] = "auto"
    """The form of the deliveries. With auto, each may have the form of any of the three vendors. Default: auto."""

    addresses: Words[Annotated[str, AfterValidator(_address)]] | None = None
    """The IP addresses or networks that may deliver. Default: all."""

    executors: Words[Word] | None = None
    """The executors to which its signals are addressed. Default: all."""

    strategy: Word | None = None
    """The strategy of signals without one. Default: none."""

    confidence: Confidence = Decimal(100)
    """The confidence of signals without one, in percent. Default: 100."""

    quantity: Literal["use", "ignore"] = "use"
    """The size of an entry in the body is used (use), or every executor decides the size (ignore). With ignore, the
    quantity of an exit is ignored too; a share of the position is always used. Default: use."""

    price: Literal["required", "market"] = "required"
    """The price of an entry whose body has none: it is refused (required), or the worker reads the market's price
    (market). Default: required."""

    exits: Literal["long", "short"] = "long"
    """The side of the position that an exit closes when the body does not name it. Default: long."""

    stablecoins: Literal["usd", "keep"] = "usd"
    """BTCUSDT and BTCUSDC are read as BTC/USD (usd), or as BTC/USDT and BTC/USDC (keep). Default: usd."""

    exchanges: Words[Word] = ()
    """Prefixes like LSE in LSE:VOD that are removed, besides those of US and crypto exchanges. Default: none."""

    symbols: Mapping[Word, Symbol] = Field(default_factory=dict)
    """Symbols by the sender's names for them: { XBTUSD = "BTC/USD" }. Default: none."""

    template: Template | None = None
    """The fields of a signal; required with dialect "template", and not allowed with another one."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook and its secret. Without a secret of its own, the value of TRADEWIRE_API_TOKEN is the secret."""

    settings: WebhookSettings
    secret: SecretStr | None = None

    @property
    def name(self) -> str:
        """Return the webhook's name, which is the source of its signals."""
        return self.settings.name

    def takes_from(self, address: str | None) -> bool:
        """Return whether *address* may deliver. With a list of addresses, a sender without an IP address may not."""
        if self.settings.addresses is None:
            return True
        try:
            given = ip_address(address or "")
        except ValueError:
            return False
        # A socket for IPv4 and IPv6 reports an IPv4 address in the form of an IPv6 address.
        given = getattr(given, "ipv4_mapped", None) or given
        return any(given in ip_network(allowed) for allowed in self.settings.addresses)


Webhooks = Mapping[str, Webhook]


def load_webhooks(settings: Settings, *, executors: Collection[str] | None = None) -> dict[str, Webhook]:
    """Return the webhooks by name; `tradingview` exists without a table.

    If *executors* is given, webhooks may name only these.

    Raises:
        ConfigInvalid: The file or a secret has problems; the error lists all of them.
    """
    path = settings.webhooks
    absent = not path.exists() and "webhooks" not in settings.model_fields_set
    parsed = {} if absent else parsed_toml(path, named_by="TRADEWIRE_WEBHOOKS")
    tables, problems = named_tables(
        parsed,
        "webhooks",
        kind="a webhook",
        example="mine",
        longest=40,
        taken=_TAKEN,
        taken_by="another source of signals",
    )
    found: dict[str, Webhook] = {}
    for name, table in {DEFAULT: tables.get(DEFAULT, {}), **tables}.items():
        webhook, faults = _webhook(name, table, settings)
        problems += faults
        if webhook is not None:
            found[name] = webhook
            problems += _unknown_executors(webhook, executors)
    if problems:
        raise ConfigInvalid(problems)
    return found


def secret_name(name: str) -> str:
    """Return the name of the variable that holds a webhook's secret."""
    return f"WEBHOOK_{name.upper()}_SECRET"


def _webhook(name: str, table: dict[str, Any], settings: Settings) -> tuple[Webhook | None, list[Problem]]:
    key = f"webhooks.{name}"
    if "name" in table or "secret" in table:
        word = "name" if "name" in table else "secret"
        where = "the table's name is used" if word == "name" else f"the variable {secret_name(name)} holds it"
        return None, [Problem(key=f"{key}.{word}", message=f"is not a key here: {where}")]
    try:
        read = WebhookSettings.model_validate({**table, "name": name})
    except ValidationError as error:
        return None, model_problems(
            error, WebhookSettings, key=lambda location: ".".join([key, *map(str, location)]), named="name"
        )
    problems = []
    if (read.template is None) == (read.dialect == "template"):
        message = 'needs dialect = "template", and the dialect needs this table'
        problems.append(Problem(key=f"{key}.template", message=message))
    given = settings.environment().get(secret_name(name))
    if given is not None and not _SECRET.fullmatch(given):
        message = "16 to 200 of the characters A-Z a-z 0-9 . _ ~ - are expected, since it is part of an address"
        problems.append(Problem(key=secret_name(name), message=message))
    return Webhook(settings=read, secret=None if given is None else SecretStr(given)), problems


def _unknown_executors(webhook: Webhook, executors: Collection[str] | None) -> list[Problem]:
    if executors is None:
        return []
    unknown = sorted(set(webhook.settings.executors or ()) - set(executors))
    key = f"webhooks.{webhook.name}.executors"
    words = [f'there is no executor "{name}"{did_you_mean(name, executors)}' for name in unknown]
    return [Problem(key=key, message=message) for message in words]

"""Write the reference of every key and variable from the models that read them, as a page of Markdown."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.alerts import DEADMAN, AlertSettings, EventSettings, ExecutionRateAlert
from config.checks.strictness import (
    DIRECTIONS,
    Looser,
    Ranked,
    downwards,
    never,
    replaced,
    shorter,
    switched_on,
    ungrouped,
    unless_smaller,
    upwards,
    wider,
)
from config.schema.executor import ExecutorSettings
from config.schema.fields import Section
from config.schema.settings import Settings, variable
from config.webhooks import Template, WebhookSettings

_INTRODUCTION = """# Configuration

Every variable of the environment and every key of `executors.toml`, `webhooks.toml` and `alerts.toml`.
`tradewire config reference` writes this page from the models that read them. `tradewire config show` prints the values
in force and their origins. `tradewire config check` reports every problem.

Confidence and percentages are written 75 or 0.5, durations in seconds, times of day `"09:30"`. Symbols are written
`AAPL`, `BRK.B` or `BTC/USD`; `BTC-USD` and `btcusd` mean `BTC/USD`. An unknown key is an error. Only `"off"` switches a
limit off.

## The environment

The variables of the process, or else of the file `.env` in the working folder. All secrets belong here.
"""

_OTHER_VARIABLES = (
    (
        "<NAME>_API_KEY",
        "The API key of an executor's account, with its name in capitals: `ARGO_API_KEY`. Required in paper and live.",
    ),
    ("<NAME>_API_SECRET", "The secret of this key. Mode exchange sends only keys with the secret `paper-exchange`."),
    ("ALPACA_API_KEY", "The API key for market data, for the source `alpaca`."),
    ("ALPACA_API_SECRET", "The secret of this key."),
    (
        "WEBHOOK_<NAME>_SECRET",
        "The secret of the webhook of this name. Without it, the value of `TRADEWIRE_API_TOKEN` is the secret.",
    ),
    ("ALERTS_<NAME>", "The address of a channel, as apprise reads it. `channels` of alerts.toml names the variable."),
    (DEADMAN, "An address that the leading keeper requests once a minute while PostgreSQL answers."),
)

_EXECUTORS = """## executors.toml

One table per executor, such as `[executors.argo]`, with the tables below in it, such as `[executors.argo.limits]`. The
name is a lower-case letter, then up to 31 letters, digits or underscores.

If a [rule pack](writing-a-rule-pack.md) has the key too, the value that the column *tighter* names applies. An edit of
a live executor that makes a value looser has to be accepted ([going live](going-live.md)). *None*: the key limits
nothing.
*Same*: a pack and the executor must have equal values (as for every key of `.firm`), and each edit has to be accepted.
"""

# The fields that hold the name of the table.
_TABLE_NAMES = frozenset({"id", "name"})

_WEBHOOKS = """## webhooks.toml

One table per webhook, such as `[webhooks.screener]`, at the address `POST /webhooks/screener`. The webhook
`tradingview` exists without a table. See also [webhooks](webhooks.md).
"""

_ALERTS = """## alerts.toml

The messages that are sent when something needs a person. The addresses are in the environment.
`tradewire alerts test` tries them. See also [alerts](alerts.md).
"""

_TIGHTER: tuple[tuple[Looser, str], ...] = (
    (upwards, "less"),
    (downwards, "more"),
    (unless_smaller, "less"),
    (wider, "a shorter list"),
    (shorter, "a longer list"),
    (ungrouped, "larger groups"),
    (switched_on, "`false`"),
    (replaced, "set"),
    (never, "none"),
)


def page() -> str:
    """Return the page."""
    variables = [_row(variable(name), field) for name, field in Settings.model_fields.items()]
    variables += [f"| `{name}` |  |  | {text} |" for name, text in _OTHER_VARIABLES]
    parts = [_INTRODUCTION, _table(("variable", "values", "default", "what it is"), variables), _EXECUTORS]
    parts += [_section("", ExecutorSettings, "### The executor itself")]
    for name, field in ExecutorSettings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            parts.append(_section(f"{name}.", model, f"### [executors.NAME.{name}]\n\n{_text(field.description)[0]}"))
    parts += [_WEBHOOKS, _plain_table(WebhookSettings), "### [webhooks.NAME.template]\n", _plain_table(Template)]
    parts += [_ALERTS, _plain_table(AlertSettings), "### [execution_rate]\n", _plain_table(ExecutionRateAlert)]
    parts += ["### [events]\n", _plain_table(EventSettings)]
    return "\n".join(parts)


def _plain_table(model: type[BaseModel]) -> str:
    rows = [_row(name, field) for name, field in _keys(model)]
    return _table(("key", "values", "default", "what it is"), rows)


def _section(prefix: str, model: type[BaseModel], heading: str) -> str:
    rows = [_row(name, field, key=f"{prefix}{name}") for name, field in _keys(model)]
    return f"{heading}\n\n" + _table(("key", "values", "default", "tighter", "what it is"), rows)


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys whose values are not tables."""
    for name, field in model.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        if name not in _TABLE_NAMES and not nested:
            yield name, field


def _row(name: str, field: FieldInfo, *, key: str | None = None) -> str:
    text, default = _text(field.description)
    cells = [f"`{name}`", _values(field.annotation), default]
    if key is not None:
        cells.append(_tighter(key))
    return f"| {' | '.join([*cells, _plain(text)])} |"


def _table(heads: tuple[str, ...], rows: list[str]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *rows]
    return "\n".join(lines) + "\n"


def _text(description: str | None) -> tuple[str, str]:
    """Return a description without its default, and the default."""
    text = " ".join((description or "").split())
    before, found, default = text.removesuffix(".").partition("Default: ")
    if found:
        return before.rstrip(), default
    before, found, _ = text.partition("Required")
    return (before.rstrip(), "required") if found else (text, "")


def _plain(text: str) -> str:
    """Escape the text for Markdown, except between backticks."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(
        part if number % 2 else part.replace("<", "&lt;").replace(">", "&gt;") for number, part in enumerate(parts)
    )


def _values(annotation: Any) -> str:
    """Return the values that a key may have; an empty text where its description lists them."""
    if get_origin(annotation) is Literal:
        return ", ".join(f'`"{word}"`' for word in get_args(annotation))
    if annotation is bool:
        return "`true`, `false`"
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is tuple and parts:
        return "list"
    return next((text for text in map(_values, parts) if text), "")


def _tighter(key: str) -> str:
    direction = DIRECTIONS.get(key)
    if isinstance(direction, Ranked):
        return f'`"{direction.words[0]}"`'
    return next((word for looser, word in _TIGHTER if looser is direction), "same")

"""Write the reference of every key and variable out of the models that read them, as a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.alerts import DEADMAN, AlertSettings, ExecutionRateAlert
from config.checks.not_yet import not_yet
from config.checks.strictness import (
    DIRECTIONS,
    Looser,
    Ranked,
    downwards,
    let_go,
    never,
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

Every variable of the environment and every key of `executors.toml`, `webhooks.toml` and `alerts.toml`, written by
`tradewire config reference` out of the models that read them. `tradewire config show` prints what is in force and where
each value comes from; `tradewire config check` says everything that is wrong.

Confidence and percentages are written 75 or 0.5, durations in seconds, times of day `"09:30"`. A key that is not known
is an error. A limit is switched off by `"off"` and by nothing else.

## The environment

Of the process, or else of the file `.env` in the working folder. Secrets belong here and nowhere else.
"""

_OTHER_VARIABLES = (
    (
        "<NAME>_API_KEY",
        "The key of an executor's account: its name in capitals, as in `ARGO_API_KEY`. Needed in modes paper and live.",
    ),
    ("<NAME>_API_SECRET", "Its secret."),
    ("ALPACA_API_KEY", "The key for market data, for the source `alpaca`."),
    ("ALPACA_API_SECRET", "Its secret."),
    (
        "WEBHOOK_<NAME>_SECRET",
        "What opens the webhook of this name. Without it, the value of `TRADEWIRE_API_TOKEN` does.",
    ),
    ("ALERTS_<NAME>", "A channel's address, as apprise reads it, for `channels` of alerts.toml to name."),
    (DEADMAN, "An address that is asked for each minute while all is watched."),
)

_EXECUTORS = """## executors.toml

One table per executor, such as `[executors.argo]`, with the tables below in it, such as `[executors.argo.limits]`. The
name is a lower-case letter and up to 31 more, digits or underscores.

*Tighter* says which of two values holds when a [rule pack](writing-a-rule-pack.md) has the key too, and which edits of
a live executor pass without a further word: whatever is looser is asked about ([going live](going-live.md)). *None*:
the key limits nothing. *Same*: a pack and the executor have to say the same (so it is with every key of `.firm`), and
each edit is asked about.
"""

# The fields that hold the name of the table itself.
_TABLE_NAMES = frozenset({"id", "name"})

_WEBHOOKS = """## webhooks.toml

One table per webhook, such as `[webhooks.screener]`, at the address `POST /webhooks/screener`. `tradingview` is there
without being named. More is in [webhooks](webhooks.md).
"""

_ALERTS = """## alerts.toml

Who is told when something needs a person; the addresses are in the environment. `tradewire alerts test` tries them.
More is in [alerts](alerts.md).
"""

_TIGHTER: tuple[tuple[Looser, str], ...] = (
    (upwards, "less"),
    (downwards, "more"),
    (unless_smaller, "less"),
    (wider, "fewer words"),
    (shorter, "more words"),
    (ungrouped, "larger groups"),
    (switched_on, "`false`"),
    (let_go, "named"),
    (never, "none"),
)


def page() -> str:
    """Return the page."""
    variables = [_row(variable(name), field) for name, field in Settings.model_fields.items()]
    variables += [f"| `{name}` |  |  | {says} |" for name, says in _OTHER_VARIABLES]
    parts = [_INTRODUCTION, _table(("variable", "values", "default", "what it is"), variables), _EXECUTORS]
    parts += [_section("", ExecutorSettings, "### The executor itself")]
    for name, field in ExecutorSettings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            parts.append(_section(f"{name}.", model, f"### [executors.NAME.{name}]\n\n{_text(field.description)[0]}"))
    parts += [_WEBHOOKS, _plain_table(WebhookSettings), "### [webhooks.NAME.template]\n", _plain_table(Template)]
    parts += [_ALERTS, _plain_table(AlertSettings), "### [execution_rate]\n", _plain_table(ExecutionRateAlert)]
    return "\n".join(parts)


def _plain_table(model: type[BaseModel]) -> str:
    rows = [_row(name, field) for name, field in _keys(model)]
    return _table(("key", "values", "default", "what it is"), rows)


def _section(prefix: str, model: type[BaseModel], heading: str) -> str:
    rows = [_row(name, field, key=f"{prefix}{name}") for name, field in _keys(model)]
    return f"{heading}\n\n" + _table(("key", "values", "default", "tighter", "what it is"), rows)


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys that are no tables of their own."""
    for name, field in model.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        if name not in _TABLE_NAMES and not nested:
            yield name, field


def _row(name: str, field: FieldInfo, *, key: str | None = None) -> str:
    says, default = _text(field.description)
    if key in not_yet():
        says += " **Does not act yet.**"
    cells = [f"`{name}`", _values(field.annotation), default]
    if key is not None:
        cells.append(_tighter(key))
    return f"| {' | '.join([*cells, _plain(says)])} |"


def _table(heads: tuple[str, ...], rows: list[str]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *rows]
    return "\n".join(lines) + "\n"


def _text(description: str | None) -> tuple[str, str]:
    """Return what a description says, and the default that it ends with."""
    says = " ".join((description or "").split())
    found = re.search(r"\s*(?:Default: (?P<default>.+)|(?P<required>Required.*))\.$", says)
    if found is None:
        return says, ""
    return says[: found.start()], found["default"] or "required"


def _plain(says: str) -> str:
    """Return the words so that Markdown shows each as it is; what stands between backticks is left alone."""
    parts = says.replace("|", "\\|").split("`")
    return "`".join(
        part if number % 2 else part.replace("<", "&lt;").replace(">", "&gt;") for number, part in enumerate(parts)
    )


def _values(annotation: Any) -> str:
    """Return the words that a key may have; nothing where its description says it."""
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

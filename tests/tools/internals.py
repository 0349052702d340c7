"""Write the pages about events, times and tables from the code: `make internals`.

The meanings come from internals.toml, and everything else from the code.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from tests.tools.events import logged_events
from tests.tools.sources import ROOT, sources

DOCS = ROOT / "pipeline/docs"
_DATA = Path(__file__).with_suffix(".toml")
_CREATED = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
_DROPPED = re.compile(r"DROP TABLE (?:IF EXISTS )?(\w+)")

_EVENTS = """\
# Log events

`make internals` writes this page from the code. With `TRADEWIRE_LOG=json` a process prints one JSON object per line;
`event` is the event's name. *error* means that a person should look, *warning* that tradewire handled it. A service
that is away is logged once per process, and once more when it is back, not at every try.

| event | level | logged when |
| --- | --- | --- |
"""
_TIMES = """\
# Times

`make internals` writes this page from the code. These times decide how soon interrupted work goes on.

| time | seconds | in the code |
| --- | --- | --- |
"""
_TABLES = """\
# Tables of the record

`make internals` writes this page from the migrations in `pipeline/sql/migrations`.

| table | one row per |
| --- | --- |
"""


def meanings() -> dict[str, dict[str, str]]:
    """Return the meanings of internals.toml: by event, by constant and by table."""
    data: dict[str, dict[str, str]] = tomllib.loads(_DATA.read_text("utf-8"))
    return data


def pages() -> dict[str, str]:
    """Return the text of each generated page by its file name.

    Raises: LookupError: The code and internals.toml do not have the same entries.
    """
    if faults := list(_faults()):
        raise LookupError("\n".join(faults))
    known = meanings()
    levels = logged_events()
    events = [f"| `{name}` | {', '.join(levels[name])} | {known['events'][name]} |" for name in levels]
    times = [f"| {text} | {seconds(name):g} | `{name}` |" for name, text in known["times"].items()]
    tables = [f"| `{name}` | {text} |" for name, text in known["tables"].items()]
    return {
        "events.md": _EVENTS + "\n".join([*events, ""]),
        "times.md": _TIMES + "\n".join([*times, ""]),
        "tables.md": _TABLES + "\n".join([*tables, ""]),
    }


def seconds(name: str) -> float:
    """Return the value in seconds of the constant with this dotted name.

    Raises: LookupError: There is no such constant.
    """
    module, _, constant = name.rpartition(".")
    try:
        value = getattr(import_module(module), constant)
    except (ImportError, AttributeError) as error:
        raise LookupError(str(error)) from error
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def created_tables() -> set[str]:
    """Return the tables that the migrations create and do not drop, and the table that lists the migrations."""
    texts = [path.read_text("utf-8") for path in (ROOT / "pipeline/sql/migrations").glob("*.sql")]
    texts += [source.text for source in sources() if source.module.startswith("pipeline.store")]
    dropped = {name for text in texts for name in _DROPPED.findall(text)}
    return {name for text in texts for name in _CREATED.findall(text)} - dropped


def _faults() -> Iterator[str]:
    known = meanings()
    for kind, there in (("events", set(logged_events())), ("tables", created_tables())):
        yield from (f"{name}: internals.toml has no meaning in [{kind}]" for name in sorted(there - set(known[kind])))
        yield from (f"{name}: [{kind}] of internals.toml has it, the code has not" for name in set(known[kind]) - there)
    for name in known["times"]:
        try:
            seconds(name)
        except LookupError as error:
            yield f"{name}: [times] of internals.toml has it, the code has not: {error}"


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, "utf-8")


if __name__ == "__main__":
    try:
        main()
    except LookupError as error:
        sys.exit(str(error))

"""Read the tables of executors.toml as they are in the file, before any key is checked."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.schema.problems import did_you_mean
from pipeline.model.errors import ConfigInvalid, Problem

_ID = re.compile(r"[a-z][a-z0-9_]{0,31}")

#: Names of tradewire's other processes and servers. An executor of such a name would be ambiguous in every list.
_TAKEN = frozenset(
    {
        "all",
        "exchange",
        "keeper",
        "postgresql",
        "producer",
        "rq_dashboard",
        "tracker",
        "up",
        "valkey",
        "web",
    }
)


def parsed_toml(path: Path, *, named_by: str = "TRADEWIRE_EXECUTORS") -> dict[str, Any]:
    """Return the content of the TOML file at *path*, with decimals as `Decimal`.

    *named_by* is the environment variable that names the file.

    Raises:
        ConfigInvalid: The file is missing, is not text or is not TOML; the message names the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        message = f"is not TOML: {error}"
    except UnicodeDecodeError:
        message = "is not UTF-8 text"
    except OSError as error:
        message = f"cannot be read ({error.strerror}); {named_by} names the file"
    raise ConfigInvalid([Problem(key=str(path), message=message)])


def executor_tables(parsed: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Return each executor's table by its id, and a problem for everything else in the file."""
    problems = [
        Problem(key=key, message=f"is not a key here{did_you_mean(key, ['executors'])} (known: executors)")
        for key in parsed
        if key != "executors"
    ]
    executors = parsed.get("executors", {})
    if not isinstance(executors, dict) or not executors:
        problems.append(Problem(key="executors", message="is missing: begin an executor with [executors.argo]"))
        return {}, problems
    tables = {}
    for executor_id, table in executors.items():
        key = f"executors.{executor_id}"
        if executor_id in _TAKEN:
            problems.append(Problem(key=key, message="is the name of another process; choose another name"))
        if not _ID.fullmatch(executor_id):
            message = "is not a name for an executor: it needs a lower-case letter, then up to 31 of a-z, 0-9 and _"
            problems.append(Problem(key=key, message=message))
        if isinstance(table, dict):
            tables[executor_id] = table
        else:
            problems.append(Problem(key=key, message=f"is not a table; begin it with [{key}]"))
    return tables, problems

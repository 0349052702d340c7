"""Read a configuration file and its named tables, before any key of a table is checked."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.schema.ownership import read_safe
from config.schema.problems import did_you_mean
from pipeline.model.errors import ConfigInvalid, Problem

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def parsed_toml(path: Path, *, named_by: str = "TRADEWIRE_EXECUTORS") -> dict[str, Any]:
    """Return the content of the TOML file at *path*, with decimals as `Decimal`.

    *named_by* is the environment variable that names the file.

    Raises:
        ConfigInvalid: The file is missing, is not text or is not TOML; the message names the line. Or another user can
            write it.
    """
    try:
        return tomllib.loads(read_safe(path).decode("utf-8-sig"), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        message = f"is not TOML: {error}"
    except UnicodeDecodeError:
        message = "is not UTF-8 text"
    except OSError as error:
        message = f"cannot be read ({error.strerror}); {named_by} names the file"
    raise ConfigInvalid([Problem(key=str(path), message=message)])


def named_tables(
    parsed: dict[str, Any], root: str, *, kind: str, example: str, longest: int, taken: frozenset[str], taken_by: str
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Return the tables below the key *root* by name, and the problems with names and with everything else in the file.

    Messages call a table *kind*, such as `an executor`, and name *example* as one. A name may have at most *longest*
    characters. It must not be in *taken*, which are the names of *taken_by*, such as `another process`.
    """
    problems = [
        Problem(key=key, message=f"is not a key here{did_you_mean(key, [root])} (known: {root})")
        for key in parsed
        if key != root
    ]
    found = parsed.get(root, {})
    if not isinstance(found, dict):
        return {}, [*problems, Problem(key=root, message=f"is not a table; begin {kind} with [{root}.{example}]")]
    tables = {}
    for name, table in found.items():
        key = f"{root}.{name}"
        if name in taken:
            problems.append(Problem(key=key, message=f"is the name of {taken_by}; choose another name"))
        if len(name) > longest or not _NAME.fullmatch(name):
            message = f"is not a name for {kind}: use a lower-case letter, then up to {longest - 1} of a-z, 0-9 and _"
            problems.append(Problem(key=key, message=message))
        if isinstance(table, dict):
            tables[name] = table
        else:
            problems.append(Problem(key=key, message=f"is not a table; begin it with [{key}]"))
    return tables, problems

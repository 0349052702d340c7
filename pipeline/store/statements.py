"""Load the named SQL statements of `pipeline/sql/*.sql`."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString

_NAME = re.compile(r"^-- name: (\w+)$")


@cache
def _load(file: str) -> dict[str, LiteralString]:
    """Read the statements of one file, without comments: a placeholder in a comment would become a parameter."""
    statements: dict[str, list[str]] = {}
    current: list[str] = []
    for line in files("pipeline.sql").joinpath(f"{file}.sql").read_text("utf-8").splitlines():
        if match := _NAME.match(line):
            current = statements.setdefault(match[1], [])
            if current:
                raise ValueError(f"{file}.sql names {match[1]} twice")
        elif not line.lstrip().startswith("--"):
            current.append(line)
    # The text comes from a file that ships with the program, so it is as safe as a literal.
    return {name: "\n".join(lines).strip() for name, lines in statements.items()}


def sql(file: str, name: str) -> LiteralString:
    """Return the statement *name* of `pipeline/sql/<file>.sql`.

    Raises:
        KeyError: there is no such statement.
    """
    return _load(file)[name]


def names(file: str) -> list[str]:
    """Return the names of all statements of a file."""
    return list(_load(file))

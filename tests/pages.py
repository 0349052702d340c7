"""Read the blocks, links and commands of the pages for users, for the tests that compare them with the code."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from tests.command import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "pipeline" / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]

_PROGRAM = re.compile(r"^(?:\$ )?(?:.*[|(] ?|(?:[A-Z_]+=\S+ )*)?(?:\.venv/bin/)?(tradewire [^|)]+)")


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in one of *languages*, or all blocks when no language is given."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [body for language, body in found if not languages or language in languages]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def typed(page: Path) -> list[list[str]]:
    """Return tradewire's commands that a reader would type: those in the lines of blocks."""
    lines = [line for body in blocks(page, "", "sh", "bash", "console") for line in body.splitlines()]
    # An indented paragraph is a block too.
    lines += re.findall(r"^ {4,}(\S.*)", prose(page), re.MULTILINE)
    found = [match[1] for line in lines if (match := _PROGRAM.match(line))]
    return [shlex.split(line, comments=True)[1:] for line in found]


def mentioned(page: Path) -> list[list[str]]:
    """Return tradewire's commands that a sentence mentions between backticks."""
    found = re.findall(r"`tradewire ([^`]+)`", prose(page))
    return [text.split() for text in found]


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command at the beginning of *words*, and the remaining words.

    Raises: LookupError: There is no such command.
    """
    command: Any = _program()
    rest = list(words)
    # A group may take options itself.
    while isinstance(command, TyperGroup) and rest and not rest[0].strip("[").startswith("--"):
        name = rest.pop(0)
        if name not in command.commands:
            raise LookupError(f"there is no command {name!r} in {words}")
        command = command.commands[name]
    return command, rest


@cache
def _program() -> Any:
    return typer.main.get_command(app)


def options(command: Any) -> set[str]:
    """Return the options that a command takes."""
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}

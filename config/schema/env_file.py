"""Check the lines of a `.env` file."""

import os
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from config.schema.ownership import ownership_problem
from pipeline.model.errors import Problem


def unreadable_lines(path: Path) -> list[Problem]:
    """Return a problem for each wrong line, or one for a file that cannot be read or that another user can write.

    It is no problem if there is no file, or if the folder may not be entered, in which case it holds no file for us.
    """
    if not os.path.exists(path):  # noqa: PTH110 -- unlike `Path.exists`, it is False in a folder that may not be entered
        return []
    if (problem := ownership_problem(path)) is not None:
        return [problem]
    try:
        content = path.read_bytes()
    except OSError as error:
        return [Problem(key=str(path), message=f"cannot be read ({error.strerror})")]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [Problem(key=f"{path}:{line}", message="is not UTF-8 text")]
    return [
        Problem(key=f"{path}:{each.original.line}", message="is not a line like NAME=value")
        for each in parse_stream(StringIO(text))
        if each.error
    ]

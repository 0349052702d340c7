"""Read the variables of a `.env` file once, and check its lines."""

from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from config.schema.ownership import read_safe
from pipeline.model.errors import ConfigInvalid, Problem


def variables_of(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Return the variables of the file, without empty ones, and a problem for each wrong line.

    There is one problem if the file cannot be read or another user can write it, and none if there is no file. With a
    problem, there are no variables.
    """
    try:
        path.stat()
    except OSError:
        return {}, []
    try:
        content = read_safe(path)
    except ConfigInvalid as error:
        return {}, list(error.problems)
    except OSError as error:
        return {}, [Problem(key=str(path), message=f"cannot be read ({error.strerror})")]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return {}, [Problem(key=f"{path}:{line}", message="is not UTF-8 text")]
    problems = [
        Problem(key=f"{path}:{each.original.line}", message="is not a line like NAME=value")
        for each in parse_stream(StringIO(text))
        if each.error
    ]
    if problems:
        return {}, problems
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value}, []

"""Read the orders and positions that no process watches once `up` has ended."""

import threading

from pydantic import SecretStr

from pipeline.entrypoints.supervisor.console import print_line
from pipeline.model.errors import TradewireError
from pipeline.operations.unwatched import unwatched
from pipeline.store.record import Record

#: Seconds by which reading may delay a stop.
_AT_MOST_S = 0.8


def left_open(url: str | None, *, retry_for_s: float = 3.0) -> list[str]:
    """Return one line for each order that may be open and each position of the record at *url*."""
    if url is None:
        return [unknown_left("no address of PostgreSQL is known")]
    try:
        with Record(url, connections=1, retry_for_s=retry_for_s) as record:
            return [f"will not be watched: {each}" for each in unwatched(record)]
    except TradewireError as error:
        return [unknown_left(str(error))]


def unknown_left(why: str) -> str:
    """Return the line that is shown if the record cannot be read."""
    return f"open orders and positions are unknown: {why}"


def print_left_open(url: SecretStr | None) -> None:
    """Print what `left_open` returns, unless reading it takes too long."""
    if url is None:
        return
    found: list[str] = []
    reader = threading.Thread(
        target=lambda: found.extend(left_open(url.get_secret_value(), retry_for_s=0.0)), name="left open", daemon=True
    )
    reader.start()
    reader.join(_AT_MOST_S)
    for line in found:
        print_line(line)

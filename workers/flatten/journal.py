"""The journal of `flatten --direct`. Each order is written to it before it is sent, and imported from it later."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from pydantic import TypeAdapter

from pipeline.model.orders import OrderRequest
from pipeline.store.rows import Mode

_FOLDER = "journal"
_IMPORTED, _DAMAGED = ".imported", ".damaged"
# A line that is JSON, but not what `FlattenJournal` writes, raises one of these.
_WRONG_LINE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class JournalHeader:
    """The person who flattens, the account, and the reason."""

    executor_id: str
    account_number: str
    mode: Mode
    by: str
    why: str | None
    #: The halt was recorded in PostgreSQL before the first order was sent.
    halted: bool
    began_at: datetime


_HEADER = TypeAdapter(JournalHeader)


@dataclass(kw_only=True)
class JournaledOrder:
    """An order that may have been sent."""

    execution_id: UUID
    request: OrderRequest
    reference_price: str
    sent_at: datetime
    #: The last outcome: the name of its class in `workers.brokers.protocol` in lower case; None: no answer was written.
    outcome: str | None = None
    message: str = ""
    order_id: str | None = None
    request_id: str | None = None


@dataclass(kw_only=True)
class Journal:
    """The content of one journal file."""

    #: None: the first line cannot be read.
    header: JournalHeader | None = None
    orders: dict[UUID, JournaledOrder] = field(default_factory=dict)
    #: The numbers of the lines that are not what `FlattenJournal` writes.
    damaged: list[int] = field(default_factory=list)


class FlattenJournal:
    """One journal file, locked until it is closed. Every line is on the disk before `write` returns."""

    def __init__(self, home: Path, header: JournalHeader) -> None:
        folder = home / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{journal_name(header)}.jsonl"
        # The file gets its name after it is locked: a keeper that finds it unlocked would import it as finished.
        unlocked = self.path.with_suffix(".new")
        self._file: TextIO = os.fdopen(os.open(unlocked, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.write("began", **vars(header))
        try:
            _give_name(unlocked, self.path)
        except OSError:
            self._file.close()
            raise
        finally:
            unlocked.unlink(missing_ok=True)
        _sync_folder(folder)

    def write(self, event: str, **facts: Any) -> None:
        """Append one line and force it to the disk."""
        line = {"event": event, "at": datetime.now(UTC), **facts}
        self._file.write(json.dumps(line, default=_plain) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and release its lock."""
        with suppress(OSError):  # The rest of a line that the disk does not take is lost.
            self._file.close()


def journal_name(header: JournalHeader) -> str:
    """Return the name of the journal's file without its ending."""
    return f"flatten-{header.executor_id}-{header.began_at:%Y%m%dT%H%M%S%fZ}"


def pending_journals(home: Path) -> list[Path]:
    """Return the files that were not imported yet, by executor, the oldest first."""
    return sorted(path for path in (home / _FOLDER).glob("flatten-*.jsonl") if path.is_file())


def damaged_journals(home: Path) -> list[Path]:
    """Return the files of which at least one line could not be imported."""
    return sorted((home / _FOLDER).glob(f"flatten-*{_DAMAGED}"))


def mark_imported(path: Path, *, damaged: bool = False) -> None:
    """Rename a file, so that it is not imported again."""
    if path.exists():
        path.rename(path.with_name(path.name + (_DAMAGED if damaged else _IMPORTED)))


@contextmanager
def finished(path: Path) -> Iterator[bool]:
    """Lock the file during the block, and yield True. Yield False if it is gone, or its writer or an import uses it."""
    try:
        file = path.open()
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def read_journal(path: Path) -> Journal:
    """Return the content of a file, as far as it can be read.

    An incomplete line at the end is no damage. If it is an order's, the order was not sent, since its whole line is on
    the disk first.
    """
    journal = Journal()
    *texts, incomplete = path.read_bytes().split(b"\n")
    for number, text in enumerate(texts, 1):
        try:
            _add_line(journal, json.loads(text))
        except _WRONG_LINE:
            journal.damaged.append(number)
    with suppress(*_WRONG_LINE):
        _add_line(journal, json.loads(incomplete))
    return journal


def _add_line(journal: Journal, line: dict[str, Any]) -> None:
    match line.pop("event"):
        case "began":
            journal.header = _HEADER.validate_python(line)
        case "order":
            order = _order(line)
            journal.orders[order.execution_id] = order
        case "answer":
            order = journal.orders[UUID(line["execution_id"])]
            order.outcome, order.message, order.order_id = line["outcome"], line["message"], line["order_id"]
            # Journals of earlier releases do not have this key.
            order.request_id = line.get("request_id")
        case _:
            pass


def _order(line: dict[str, Any]) -> JournaledOrder:
    return JournaledOrder(
        execution_id=UUID(line["execution_id"]),
        request=OrderRequest.from_json(line["request"]),
        reference_price=line["reference_price"],
        sent_at=datetime.fromisoformat(line["at"]),
    )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _give_name(unnamed: Path, path: Path) -> None:
    """Give the file the name *path*, but never replace another journal; rename it if hard links are not supported."""
    try:
        path.hardlink_to(unnamed)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise
        unnamed.rename(path)


def _sync_folder(folder: Path) -> None:
    """Force the names of the folder's files to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

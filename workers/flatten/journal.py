"""A file of what was sent to a broker without the record, written before each send, to be brought into it later."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from pipeline.model.orders import OrderRequest
from pipeline.store.rows import Mode

_FOLDER = "journal"
_IMPORTED = ".imported"


@dataclass(frozen=True, kw_only=True)
class Header:
    """Who flattens which account, and why."""

    executor_id: str
    account_number: str
    mode: Mode
    by: str
    why: str | None
    #: The record had the halt before the first order was sent.
    halted: bool
    began_at: datetime


@dataclass(kw_only=True)
class JournaledOrder:
    """An order that may have been sent."""

    execution_id: UUID
    request: OrderRequest
    reference_price: str
    sent_at: datetime
    #: The last answer, in the words of `workers.brokers.protocol`; None: whoever sent it died before it came.
    outcome: str | None = None
    message: str = ""
    order_id: str | None = None


@dataclass(kw_only=True)
class Told:
    """All that a file says."""

    header: Header
    orders: dict[UUID, JournaledOrder] = field(default_factory=dict)


class FlattenJournal:
    """One file, held with a lock while its process lives. Every line is on the disk before `write` returns."""

    def __init__(self, home: Path, header: Header) -> None:
        folder = home / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        moment = f"{header.began_at:%Y%m%dT%H%M%S%fZ}"
        self.path = folder / f"flatten-{header.executor_id}-{moment}.jsonl"
        # The file gets its name when it is locked: a keeper must never find it unlocked and import it as finished.
        unlocked = self.path.with_suffix(".new")
        self._file: TextIO = os.fdopen(os.open(unlocked, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        unlocked.rename(self.path)
        self.write("began", **(vars(header) | {"mode": header.mode.value}))
        _sync_folder(folder)

    def write(self, event: str, **facts: Any) -> None:
        """Append one line and have it on the disk."""
        line = {"event": event, "at": datetime.now(UTC), **facts}
        self._file.write(json.dumps(line, default=_plain) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let others read it."""
        self._file.close()


def waiting(home: Path) -> list[Path]:
    """Return the files that were not brought into the record yet, the oldest first."""
    return sorted((home / _FOLDER).glob("flatten-*.jsonl"))


def put_away(path: Path) -> None:
    """Mark a file as brought in."""
    if path.exists():
        path.rename(path.with_name(path.name + _IMPORTED))


@contextmanager
def finished(path: Path) -> Iterator[bool]:
    """Say whether nobody writes to the file any more, and keep it so for the body."""
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


def read_journal(path: Path) -> Told | None:
    """Return what a file says; None when it was cut off before its first line, and nothing can have been sent."""
    told: Told | None = None
    for text in path.read_text("utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            # Cut off in the middle: what it would have announced was not sent.
            break
        match line.pop("event"):
            case "began":
                told = Told(header=_header(line))
            case "order" if told is not None:
                sent = _sent(line)
                told.orders[sent.execution_id] = sent
            case "answer" if told is not None:
                order = told.orders[UUID(line["execution_id"])]
                order.outcome, order.message, order.order_id = line["outcome"], line["message"], line["order_id"]
            case _:
                pass
    return told


def _header(line: dict[str, Any]) -> Header:
    names = {name: line[name] for name in ("executor_id", "account_number", "by", "why", "halted")}
    return Header(mode=Mode(line["mode"]), began_at=datetime.fromisoformat(line["began_at"]), **names)


def _sent(line: dict[str, Any]) -> JournaledOrder:
    return JournaledOrder(
        execution_id=UUID(line["execution_id"]),
        request=OrderRequest.from_json(line["request"]),
        reference_price=line["reference_price"],
        sent_at=datetime.fromisoformat(line["at"]),
    )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _sync_folder(folder: Path) -> None:
    """Have the file's name on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

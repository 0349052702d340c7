"""Answer for a symbol and a time: which signals there were; or else who was last heard and what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.json_values import time_json
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: Without a time, a symbol's signals of so long are meant …
SPAN = timedelta(hours=24)
#: … and around a time those of so long before and after.
AROUND = timedelta(minutes=15)
_SIGNALS, _REFUSED = 3, 5


@dataclass(frozen=True, kw_only=True)
class SymbolHistory:
    """What there is to say of a symbol."""

    symbol: str
    since: datetime
    until: datetime
    #: Those nearest to the time that was asked about come first.
    signal_ids: tuple[UUID, ...]
    #: The last signal of the symbol before the end of that time; None: there never was one.
    last_of_symbol: DictRow | None
    #: The last signal of each source heard in the day before the end of that time, the latest first.
    last_of_sources: tuple[DictRow, ...]
    refused: tuple[DictRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it without the signals' lives."""
        return {
            "symbol": self.symbol,
            "since": time_json(self.since),
            "until": time_json(self.until),
            "last_of_symbol": None if self.last_of_symbol is None else _heard_json(self.last_of_symbol),
            "last_of_sources": [_heard_json(row) for row in self.last_of_sources],
            "refused": [
                {
                    "at": time_json(row["at"]),
                    "source": row["source"],
                    "code": row["code"],
                    "message": row["message"],
                    "mentions_symbol": row["mentions"],
                }
                for row in self.refused
            ],
        }

    def silence(self) -> str:
        """Return in one sentence that there was no signal, who was last heard, and what was refused."""
        parts = [f"no signal for {self.symbol} from {_clock(self.since)} to {_clock(self.until)}"]
        if self.last_of_symbol is not None:
            row = self.last_of_symbol
            parts.append(f"its last was from `{row['source']}` at {_clock(row['recorded_at'])}")
        seen = [f"`{row['source']}` at {_clock(row['recorded_at'])} ({row['symbol']})" for row in self.last_of_sources]
        parts.append(f"last heard: {', '.join(seen)}" if seen else "no source was heard in the day before")
        parts += [refusal_line(row) for row in self.refused]
        return "; ".join(parts)


def ask(record: Record, symbol: str, *, at: datetime | None) -> SymbolHistory:
    """Return what the record says of *symbol* (in canonical form) around *at*, or in the last day.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    now = datetime.now(UTC)
    since, until = (now - SPAN, now + AROUND) if at is None else (at - AROUND, at + AROUND)
    key = {"symbol": symbol, "bare": symbol.replace("/", ""), "since": since, "until": until, "at": at or until}

    def unit(connection: Connection[DictRow]) -> SymbolHistory:
        signals = connection.execute(sql("symbol_history", "signals"), key | {"limit": _SIGNALS}).fetchall()
        sources = connection.execute(sql("symbol_history", "last_of_sources"), key).fetchall()
        refused = connection.execute(sql("symbol_history", "refused"), key | {"limit": _REFUSED}).fetchall()
        return SymbolHistory(
            symbol=symbol,
            since=since,
            until=min(until, now),
            signal_ids=tuple(row["signal_id"] for row in signals),
            last_of_symbol=connection.execute(sql("symbol_history", "last_of_symbol"), key).fetchone(),
            last_of_sources=tuple(sorted(sources, key=lambda row: row["recorded_at"], reverse=True)),
            refused=tuple(refused),
        )

    return record.run(unit)


def refusal_line(row: DictRow) -> str:
    """Say one delivery that was refused."""
    about = "" if row["mentions"] else ", not about this symbol"
    return f"a delivery of `{row['source']}` refused at {_clock(row['at'])}{about}: {row['code']} {row['message']}"


def _heard_json(row: DictRow) -> dict[str, Any]:
    return {"source": row["source"], "symbol": row["symbol"], "at": time_json(row["recorded_at"])}


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"

"""Find the signals of a symbol near a time; the last signals and the refused input may explain why there is none."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import Field

from pipeline.model.json_model import JsonModel, Time
from pipeline.store.query import fetch_all, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: Without a time, signals up to this long before now are searched.
SPAN = timedelta(hours=24)
#: With a time, signals up to this long before and after it are searched.
AROUND = timedelta(minutes=15)
_SIGNALS, _REFUSED = 3, 5


@dataclass(frozen=True, kw_only=True)
class LastSignal:
    """The last signal of a symbol or of a source."""

    source: str
    symbol: str
    at: Time


@dataclass(frozen=True, kw_only=True)
class RefusedInput:
    """Input that was refused, from any source."""

    at: Time
    source: str
    code: str
    message: str
    #: Whether the input contains the symbol.
    mentions_symbol: bool

    def __str__(self) -> str:
        about = "" if self.mentions_symbol else ", not about this symbol"
        return f"a delivery of `{self.source}` refused at {_clock(self.at)}{about}: {self.code} {self.message}"


class SymbolHistory(JsonModel):
    """The recorded input for a symbol near a time. The JSON omits the ids: callers add the signals' histories."""

    symbol: str
    since: Time
    until: Time
    #: The signals nearest to the requested time come first.
    signal_ids: Annotated[tuple[UUID, ...], Field(exclude=True)]
    #: The last signal of the symbol up to `until`; None when there was none until then.
    last_of_symbol: LastSignal | None
    #: The last signal of each source in the day before `until`, the latest first.
    last_of_sources: tuple[LastSignal, ...]
    refused: tuple[RefusedInput, ...]

    def silence(self) -> str:
        """Return `silence_lines` as one sentence."""
        return "; ".join(self.silence_lines())

    def silence_lines(self) -> list[str]:
        """Return the parts of the answer without signals: the period, the last signals, and the refused input."""
        parts = [f"no signal for {self.symbol} from {_clock(self.since)} to {_clock(self.until)}"]
        if self.last_of_symbol is not None:
            parts.append(f"its last was from `{self.last_of_symbol.source}` at {_clock(self.last_of_symbol.at)}")
        seen = [f"`{last.source}` at {_clock(last.at)} ({last.symbol})" for last in self.last_of_sources]
        parts.append(f"last signals: {', '.join(seen)}" if seen else "no source sent a signal in the day before")
        return [*parts, *map(str, self.refused)]


def ask(record: Record, symbol: str, *, at: datetime | None) -> SymbolHistory:
    """Return the recorded input for *symbol* (in canonical form) around *at*, or in the last day without *at*.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    now = datetime.now(UTC)
    since, until = (now - SPAN, now + AROUND) if at is None else (at - AROUND, at + AROUND)
    key = {"symbol": symbol, "bare": symbol.replace("/", ""), "since": since, "until": until, "at": at or until}

    def unit(connection: Connection[DictRow]) -> SymbolHistory:
        ids = fetch_all(connection, UUID, sql("symbol_history", "signals"), key | {"limit": _SIGNALS})
        sources = fetch_all(connection, LastSignal, sql("symbol_history", "last_of_sources"), key)
        refused = fetch_all(connection, RefusedInput, sql("symbol_history", "refused"), key | {"limit": _REFUSED})
        return SymbolHistory(
            symbol=symbol,
            since=since,
            until=min(until, now),
            signal_ids=tuple(ids),
            last_of_symbol=fetch_maybe(connection, LastSignal, sql("symbol_history", "last_of_symbol"), key),
            last_of_sources=tuple(sorted(sources, key=lambda last: last.at, reverse=True)),
            refused=tuple(refused),
        )

    return record.run(unit)


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"

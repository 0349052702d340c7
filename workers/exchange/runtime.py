"""Run the exchange on one event loop: commit changes, then answer and publish them, then advance orders."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.model.errors import NotPossible
from workers.exchange.clock import ClockMode, TradingSession
from workers.exchange.equity import end_day, record_equity
from workers.exchange.faults import FaultPlan
from workers.exchange.journal import ExchangeJournal
from workers.exchange.settlement import advance, change_session, reprice, settle_routing
from workers.exchange.tape import Tape
from workers.exchange.trading_days import session_changes
from workers.exchange.traffic import Traffic
from workers.exchange.venue import Changes, TradeUpdate, Venue

_CURSOR = "cursor"
_UNWRITABLE = "the exchange's journal cannot be written"
#: How often to check whether the market has opened or closed.
_SESSION_CHECK_EVERY_S = 0.1
_MINUTE_NS = 60_000_000_000
#: A clock that is set forward stops this long after each opening and closing.
_JUST_AFTER = timedelta(milliseconds=1)


class ExchangeRuntime:
    """The running exchange. All methods must be called on its event loop."""

    def __init__(self, *, venue: Venue, journal: ExchangeJournal, tape: Tape | None, cadence_s: float) -> None:
        self.venue = venue
        self.tape = tape
        self.cadence_s = cadence_s
        self.playing = True
        self.faults = FaultPlan()
        self.traffic = Traffic()
        #: Called with every event after its changes are committed.
        self.publish: Callable[[TradeUpdate], None] = lambda _event: None
        #: Set when the exchange ends, to end every wait.
        self.stopping = asyncio.Event()
        #: The error if the journal cannot be written. Then the exchange must end: its answers could be false later.
        self.failure: Exception | None = None
        #: The cycle of the current bar; None without bars.
        self.cursor: int | None = None
        self._journal = journal
        self._flushed: asyncio.Future[None] | None = None
        self._bar_played = asyncio.Event()
        self._pace_changed = asyncio.Event()
        self._session = TradingSession.CLOSED
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the journal, advance the open orders, and begin to play bars."""
        settings = self._journal.load(self.venue)
        now_ns = time.time_ns()
        self._session = self.venue.clock.session(self.venue.moment(now_ns))
        if self.tape is not None:
            self.cursor = int(settings.get(_CURSOR, "0"))
            # A new exchange has no prices before its first bar.
            if self.cursor == 0:
                self.play_next_bar()
        for account in self.venue.accounts.values():
            for order in account.open_orders():
                advance(self.venue, order, now_ns)
        self._flush()
        self._tasks = [asyncio.create_task(self._play()), asyncio.create_task(self._watch_sessions())]

    async def stop(self) -> None:
        """End all waits and tasks, write the last changes, and close the journal."""
        self.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.failure is None:
            self._flush()
        self._journal.close()

    async def committed(self) -> None:
        """Wait until all changes so far are written. Concurrent callers share one commit.

        Raises:
            NotPossible: the journal cannot be written.
        """
        if self.failure is not None:
            raise NotPossible(_UNWRITABLE)
        self._flush_soon()
        if self._flushed is not None:
            # Shielded, because a caller that is canceled must not cancel the others' wait.
            await asyncio.shield(self._flushed)

    def play_next_bar(self) -> None:
        """Play the next bar: end the day, set the prices, match resting orders."""
        if self.tape is None or self.cursor is None:
            return
        now_ns = time.time_ns()
        self.cursor += 1
        venue = self.venue
        end_day(self.venue, time.time_ns())
        closes = self.tape.closes(self.cursor)
        for symbol in {*venue.last, *venue.pinned, *closes}:
            price = venue.price(symbol)
            if price is not None and venue.previous.get(symbol) != price:
                venue.previous[symbol] = price
                venue.changes.prices.add(symbol)
        for symbol, close in closes.items():
            venue.last[symbol] = close
            venue.changes.prices.add(symbol)
            reprice(venue, symbol, now_ns)
        venue.changes.settings[_CURSOR] = str(self.cursor)
        # A new event, so that later callers wait for the next bar.
        self._bar_played.set()
        self._bar_played = asyncio.Event()

    async def wait_for_cycle(self, after: int, seconds: float) -> None:
        """Wait until a cycle later than *after* is played, for *seconds* at most."""
        if self.cursor is None or self.cursor > after:
            return
        await self.wait_for_first(self._bar_played.wait(), seconds=seconds)

    async def wait_for_first(self, *waits: Coroutine[Any, Any, object], seconds: float) -> None:
        """Wait for the first of *waits*, the end of the exchange, or *seconds*."""
        tasks = [asyncio.ensure_future(each) for each in (*waits, self.stopping.wait())]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def set_pace(self, *, cadence_s: float | None, playing: bool | None) -> None:
        """Change how fast bars are played, or pause and resume them. None changes nothing."""
        self.cadence_s = self.cadence_s if cadence_s is None else cadence_s
        self.playing = self.playing if playing is None else playing
        self._pace_changed.set()

    def pin(self, prices: dict[str, Decimal | None]) -> None:
        """Pin prices, or unpin them with None, and match resting orders."""
        for symbol, price in prices.items():
            if price is None:
                self.venue.pinned.pop(symbol, None)
            else:
                self.venue.pinned[symbol] = price
            self.venue.changes.prices.add(symbol)
            reprice(self.venue, symbol, time.time_ns())

    def set_clock(self, mode: ClockMode, shown: datetime | None) -> None:
        """Switch the clock; see `SessionClock.set`.

        If the clock follows the calendar and is set forward to *shown*, every opening and closing in between takes
        place, so that orders fill and expire there.
        """
        clock, now = self.venue.clock, datetime.now(UTC)
        settle_routing(self.venue, time.time_ns())
        if shown is not None and mode is ClockMode.FIXED and clock.mode is not ClockMode.ALWAYS_OPEN:
            for moment in session_changes(clock.shown(now), shown):
                clock.set(mode, now, shown=moment + _JUST_AFTER)
                self.check_session()
        clock.set(mode, now, shown=shown)
        self.check_session()

    def reset(self) -> None:
        """Delete accounts, orders, prices, changes of assets, faults and the request limit.

        The clock and the cursor stay. If bars are played, the prices become those of the current bar.
        """
        fresh = Venue(self.venue.clock, listed_only=self.venue.listed_only)
        fresh.listeners = self.venue.listeners
        self._journal.clear()
        self.venue = fresh
        self.faults = FaultPlan()
        self.traffic = Traffic()
        if self.tape is not None and self.cursor is not None:
            fresh.last |= self.tape.closes(self.cursor)
            fresh.changes.prices |= set(fresh.last)

    def check_session(self) -> None:
        """Activate, match and expire orders if the session of shares has changed."""
        now_ns = time.time_ns()
        session = self.venue.clock.session(self.venue.moment(now_ns))
        if session is not self._session:
            before, self._session = self._session, session
            # While bars are played, each bar ends a day instead.
            if before is TradingSession.CLOSED and self.tape is None:
                end_day(self.venue, time.time_ns())
            change_session(self.venue, before, session, now_ns)

    def _flush(self) -> None:
        waiting, self._flushed = self._flushed, None
        changes, self.venue.changes = self.venue.changes, Changes()
        try:
            if changes:
                self._journal.write(changes, self.venue)
        except Exception as error:  # noqa: BLE001 - for any cause, a restart would lose these changes
            self.failure = error
            self.stopping.set()
            if waiting is not None and not waiting.done():
                waiting.set_exception(NotPossible(_UNWRITABLE))
                # Mark the error as read. Otherwise asyncio logs it if no request waits, as after the change of a bar.
                waiting.exception()
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        for event in changes.events:
            self.publish(event)
        loop = asyncio.get_running_loop()
        for order_id, seconds in changes.advance_later:
            loop.call_later(seconds, self._advance, order_id)

    def _advance(self, order_id: str) -> None:
        order = self.venue.orders.get(order_id)
        if order is not None:
            advance(self.venue, order, time.time_ns())
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._flushed is None and self.venue.changes:
            loop = asyncio.get_running_loop()
            self._flushed = loop.create_future()
            loop.call_soon(self._flush)

    async def _play(self) -> None:
        while self.tape is not None:
            self._pace_changed.clear()
            if self.playing:
                try:
                    await asyncio.wait_for(self._pace_changed.wait(), self.cadence_s)
                except TimeoutError:
                    self.play_next_bar()
                    self._flush_soon()
            else:
                await self._pace_changed.wait()

    async def _watch_sessions(self) -> None:
        minute = 0
        while True:
            await asyncio.sleep(_SESSION_CHECK_EVERY_S)
            self.check_session()
            now_ns = time.time_ns()
            if now_ns // _MINUTE_NS != minute:
                minute = now_ns // _MINUTE_NS
                record_equity(self.venue, now_ns)
            self._flush_soon()

"""The exchange's time and its sessions."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from workers.exchange.trading_days import NEW_YORK, next_closing, next_opening, trading_day


class ClockMode(StrEnum):
    """The mode of the exchange's clock."""

    #: The real time, and always the regular session.
    ALWAYS_OPEN = "always_open"
    #: The real time and the real calendar.
    REAL = "real"
    #: The real calendar, from a set time on.
    FIXED = "fixed"


class TradingSession(StrEnum):
    """The session of shares. Coins always trade."""

    REGULAR = "regular"
    EXTENDED = "extended"
    CLOSED = "closed"


class SessionClock:
    """The market clock. *now* is always the real time. Returned times are the exchange's, except that of `day_ends`."""

    def __init__(self, mode: ClockMode) -> None:
        self.mode = mode
        self._offset = timedelta(0)

    def set(self, mode: ClockMode, now: datetime, *, shown: datetime | None = None) -> None:
        """Switch to *mode*. A fixed clock runs on from *shown*, or from the real time when that is None."""
        self.mode = mode
        self._offset = shown - now if shown is not None and mode is ClockMode.FIXED else timedelta(0)

    def shown(self, now: datetime) -> datetime:
        """Return the exchange's time in New York."""
        return (now + self._offset).astimezone(NEW_YORK)

    def session(self, now: datetime) -> TradingSession:
        """Return the session of shares."""
        match self.mode:
            case ClockMode.ALWAYS_OPEN:
                return TradingSession.REGULAR
            case ClockMode.REAL | ClockMode.FIXED:
                return self._session(self.shown(now))
            case never:
                assert_never(never)

    def next_open(self, now: datetime) -> datetime:
        """Return when the next regular session begins, by the calendar."""
        return next_opening(self.shown(now))

    def next_close(self, now: datetime) -> datetime:
        """Return when the current or next regular session ends, by the calendar."""
        return next_closing(self.shown(now))

    def day_ends(self, now: datetime) -> datetime:
        """Return when a `day` order placed now expires by the calendar, in real UTC time."""
        # Subtract in UTC: within one zone, `datetime` ignores a change to or from daylight saving time.
        return self.next_close(now).astimezone(UTC) - self._offset

    def to_json(self, now: datetime) -> dict[str, object]:
        """Return the clock as `/v2/clock` writes it."""
        return {
            "timestamp": self.shown(now).isoformat(),
            "is_open": self.session(now) is TradingSession.REGULAR,
            "next_open": self.next_open(now).isoformat(),
            "next_close": self.next_close(now).isoformat(),
        }

    @staticmethod
    def _session(shown: datetime) -> TradingSession:
        today = trading_day(shown.date())
        if today is None:
            return TradingSession.CLOSED
        if today.opens <= shown < today.closes:
            return TradingSession.REGULAR
        begins, ends = today.extended
        return TradingSession.EXTENDED if begins <= shown < ends else TradingSession.CLOSED

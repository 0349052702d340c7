"""The errors that tradewire raises, named by who has to act next.

TradewireError
├── ConfigInvalid          a person mends the configuration
├── InvalidSignal          the sender mends the signal
├── SourceIdConflict       the sender used one source_id for two different signals
├── Unavailable            it passes: wait and try again
│   ├── RecordUnavailable  PostgreSQL is away
│   │   └── NotMigrated    it is there, and has no schema of ours: somebody runs `tradewire migrate`
│   ├── QueueUnavailable   Redis is away
│   ├── SourceUnavailable  a source of signals is away or makes no sense
│   └── BrokerUnavailable  the broker is away or slow
│       └── BrokerOverRate the broker refuses for its rate: the account waits
│           └── BudgetUsedUp  we do not ask, so that it need not refuse
├── BrokerRefusesAccount   a person mends the keys or the account
├── BrokerUnreadable       the broker said something that makes no sense
└── NotPossible            the command asks for a move that the record does not allow
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TradewireError(Exception):
    """Something went wrong in tradewire."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault of a configuration: *key* is where, *message* what would be right."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class ConfigInvalid(TradewireError):
    """The configuration has problems; all of them are listed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InvalidSignal(TradewireError):
    """What came in is not a signal; it was kept as a refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceIdConflict(InvalidSignal):
    """This source_id was already used for a signal with other content; nothing was changed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__("source_id_conflict", message or (self.__doc__ or "").strip())


class Unavailable(TradewireError):
    """Something that tradewire needs is away; trying again later will do."""


class RecordUnavailable(Unavailable):
    """PostgreSQL cannot be reached; nothing was recorded."""


class QueueUnavailable(Unavailable):
    """Redis cannot be reached; what is recorded will be enqueued when it is back."""


class SourceUnavailable(Unavailable):
    """A source of signals could not be read, or stands still; it is asked again."""


class BrokerUnavailable(Unavailable):
    """The broker could not be read: unreachable, slow, failing or over its request rate."""


class BrokerOverRate(BrokerUnavailable):
    """The broker has had more requests of this account than it takes."""

    def __init__(self, message: str | None = None, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        #: Seconds that the broker asks us to wait, when it says so.
        self.wait_s = wait_s


class BudgetUsedUp(BrokerOverRate):
    """The account's requests of this minute are used up, or kept for exits; nothing was asked."""

    def __init__(self, *, wait_s: float) -> None:
        super().__init__(f"{(self.__doc__ or '').strip()} Room in {wait_s:.1f} s.", wait_s=wait_s)
        self.wait_s: float = wait_s


class BrokerRefusesAccount(TradewireError):
    """The broker does not accept these keys or this account."""


class BrokerUnreadable(TradewireError):
    """The broker's answer could not be understood."""


class NotPossible(TradewireError):
    """The record does not allow this move."""


class NotMigrated(RecordUnavailable, NotPossible):
    """The database has no tradewire schema yet: run `tradewire migrate`."""

"""Define the errors that tradewire raises. Each class shows who has to act next.

TradewireError
├── ConfigInvalid            a person corrects the configuration
├── InvalidSignal            the sender corrects the signal
│   └── SourceIdConflict     the sender used one source_id for two different signals
├── Unavailable              something is away: wait and try again
│   ├── RecordUnavailable    PostgreSQL is away
│   │   ├── RecordFull       its disk is full: a person makes room
│   │   ├── MissingRights    the role may not use a table: a person grants it the right
│   │   └── NotMigrated      PostgreSQL has no tradewire schema: a person runs `tradewire migrate`
│   ├── QueueUnavailable     Redis is away
│   │   └── QueueRefused     Redis answers, and refuses a command: a person grants the right, or makes room
│   │       └── QueueBroken  a key of one queue holds something else: a person deletes it
│   ├── SourceUnavailable    a source of signals cannot be reached or read
│   └── BrokerUnavailable    the broker is away or slow
│       └── BrokerOverRate   the broker refuses because of its request rate: the account waits
│           └── BudgetUsedUp tradewire itself holds the request back: the account waits
├── BrokerFault              the broker did not answer as asked; BrokerUnavailable is one, too
│   ├── BrokerRefusesAccount a person corrects the keys or the account
│   └── BrokerUnreadable     the broker's answer makes no sense
└── NotPossible              the record does not allow the command
"""

from collections.abc import Sequence
from dataclasses import dataclass


class TradewireError(Exception):
    """tradewire could not do this."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault of a configuration: *key* names the place, and *message* what is wrong there."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class ConfigInvalid(TradewireError):
    """The configuration has problems; each one is listed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InvalidSignal(TradewireError):
    """The payload is not a signal. It was recorded as a refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceIdConflict(InvalidSignal):
    """This source_id belongs to a signal with other content. Nothing was changed; use a new source_id."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__("source_id_conflict", message or (self.__doc__ or "").strip())


class Unavailable(TradewireError):
    """Something that tradewire needs is away. Try again later."""


class RecordUnavailable(Unavailable):
    """PostgreSQL cannot be reached. It is not known whether the last change was recorded: try again."""


class QueueUnavailable(Unavailable):
    """Redis cannot be reached. Recorded executions are enqueued when it is back."""


class QueueRefused(QueueUnavailable):
    """Redis answers, and refuses a command. Workers take executions from the record."""


class QueueBroken(QueueRefused):
    """A key of one queue in Redis holds something else. Other queues are not affected."""


class SourceUnavailable(Unavailable):
    """A source of signals cannot be read, or gives nothing new. It is read again."""


class BrokerFault(TradewireError):
    """The broker's answer is not the one that was asked for."""

    #: The broker's own id of the request, which its support asks for; None if no answer came, or one without an id.
    request_id: str | None = None


class BrokerUnavailable(BrokerFault, Unavailable):
    """The broker cannot be read: it is unreachable, slow, failing or over its request rate."""


class BrokerOverRate(BrokerUnavailable):
    """The account has sent more requests than the broker allows. It waits."""

    def __init__(self, message: str | None = None, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        #: Seconds that the broker asks to wait; None when it does not say.
        self.wait_s = wait_s


class BudgetUsedUp(BrokerOverRate):
    """The account's requests of this minute are used up, or reserved for exits. Nothing was sent to the broker."""

    def __init__(self, *, wait_s: float) -> None:
        super().__init__(f"{(self.__doc__ or '').strip()} The next is possible in {wait_s:.1f} s.", wait_s=wait_s)
        self.wait_s: float = wait_s


class BrokerRefusesAccount(BrokerFault):
    """The broker does not accept the keys or the account. Correct the keys, or ask the broker."""


class BrokerUnreadable(BrokerFault):
    """The broker's answer cannot be read."""


class NotPossible(TradewireError):
    """The record does not allow this."""


class RecordFull(RecordUnavailable):
    """The disk of PostgreSQL is full. It still answers reads."""


class MissingRights(RecordUnavailable):
    """The role of DATABASE_URL may not use a table of tradewire. Grant it the right."""


class NotMigrated(RecordUnavailable, NotPossible):
    """The database has no tradewire schema. Run `tradewire migrate`."""

"""The rows of exits that the keeper follows up, and what is to be done about each."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pipeline.model.reasons import Code
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import HAND, HAND_CLOSE, OWN, PROTECT, PROTECT_RETRY, RETRY, has_final_limit, is_own
from pipeline.model.states import State
from workers.rules.exits import CLOSES_THE_ACCOUNT


@dataclass(frozen=True, kw_only=True)
class ExitRow:
    """An exit and its signal."""

    execution_id: UUID
    symbol: str
    #: The side of its order.
    side: str
    source: str
    source_id: str | None
    strategy: str | None

    @property
    def chain(self) -> tuple[str, int]:
        """The first execution of the series of tries, and the number of this try."""
        if not self._is_retry:
            return str(self.execution_id), 1
        first, _, number = str(self.source_id).rpartition(":")
        return first, int(number)

    @property
    def retry_cause(self) -> str:
        """The source of a further try, without `tradewire:`. Those of a close by hand or of a stop keep its scope."""
        own = {HAND: HAND, PROTECT: PROTECT_RETRY, PROTECT_RETRY: PROTECT_RETRY}
        return own.get(self.source, RETRY).removeprefix(OWN)

    @property
    def _is_retry(self) -> bool:
        is_by_hand = self.source == HAND and not str(self.source_id).startswith(HAND_CLOSE)
        return is_by_hand or self.source in (RETRY, PROTECT_RETRY)


@dataclass(frozen=True, kw_only=True)
class EndedExit(ExitRow):
    """An exit whose order has ended."""

    generation: int
    quantity: Decimal
    filled_quantity: Decimal
    #: The quantity that was left to a further exit.
    rest: Decimal
    limit_price: Decimal | None
    order_status: str | None
    state: State
    reason_code: str | None
    #: Whether a person requested the cancel of its order.
    ended_by_person: bool
    #: Whether it is a person's limit close, and a later exit takes its place.
    is_replaced: bool

    @property
    def is_flat(self) -> bool:
        """Return whether nothing is left to close, because its own order or other orders have closed everything."""
        return self.left <= 0 or (self.state is State.SKIPPED and self.reason_code == Code.NO_POSITION)

    @property
    def left(self) -> Decimal:
        """The quantity that this exit did not close."""
        unfilled = Decimal(0) if self.state is State.FILLED else self.quantity - self.filled_quantity
        return unfilled + self.rest

    @property
    def needs_retry(self) -> bool:
        """Return whether to try the rest again. If we skipped the exit, only with the reason EXIT_NOT_DONE."""
        # Flatten and flat-by-time retry their exits themselves.
        if self.ended_by_person or self.is_replaced or self.source in CLOSES_THE_ACCOUNT:
            return False
        # The market did not reach a person's limit, or another exit took its place.
        if self.state in (State.CANCELED, State.EXPIRED) and has_final_limit(self.source, self.limit_price):
            return False
        return self.state is not State.SKIPPED or self.reason_code == Code.EXIT_NOT_DONE


@dataclass(frozen=True, kw_only=True)
class NextTry:
    """The next try of an exit: whether it is over, and whether it was skipped since no position was left."""

    found_nothing: bool
    ended: bool


@dataclass(frozen=True, kw_only=True)
class FirstSignal:
    """The signal of the first exit in a series of tries."""

    action: Action
    source: str
    intent: Intent
    confidence: Decimal | None
    entry_price: Decimal | None
    target_price: Decimal | None
    stop_price: Decimal | None
    generated_at: datetime | None
    expires_at: datetime | None
    price: str | None
    quantity: Decimal | None
    notional: Decimal | None
    equity_percent: Decimal | None

    @property
    def flips(self) -> bool:
        """Whether the signal may also ask for a position on the other side."""
        return self.intent is Intent.AUTO and not is_own(self.source)


@dataclass(frozen=True, kw_only=True)
class LateExit:
    """An undecided exit that has waited for too long."""

    execution_id: UUID
    symbol: str
    reason_code: str | None


@dataclass(frozen=True, kw_only=True)
class RestingExit:
    """The limit order of an exit that is to be canceled."""

    order_id: str
    #: Whether it is a close that a person asked for with a limit.
    by_hand: bool

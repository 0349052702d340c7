"""Inject faults: decide reproducibly which request or event goes wrong, and how."""

import random
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from pipeline.model.symbols import canonical_where_known


class FaultTarget(StrEnum):
    """The request or event that a fault can affect."""

    SUBMIT = "submit"
    LOOKUP = "lookup"
    LIST = "list"
    REPLACE = "replace"
    CANCEL = "cancel"
    ACCOUNT = "account"
    POSITIONS = "positions"
    ASSETS = "assets"
    CLOCK = "clock"
    ACTIVITIES = "activities"
    PRICES = "prices"
    STREAM = "stream"
    ANY = "any"


class FaultKind(StrEnum):
    """The kind of a fault. *before*: the request has no effect. *after*: it has, but no valid answer is sent."""

    LATENCY = "latency"
    RATE_LIMITED = "429"
    ERROR_BEFORE = "5xx_before"
    ERROR_AFTER = "5xx_after"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    SILENCE_BEFORE = "silence_before"
    SILENCE_AFTER = "silence_after"
    GARBAGE_BEFORE = "garbage_before"
    #: 200 with a body that cannot be read; the request has taken effect.
    GARBAGE = "garbage"
    #: A gateway's HTML page instead of an answer; the request has no effect.
    HTML = "html"
    REJECT = "reject"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN_ACCOUNT = "forbidden_account"
    #: The order is accepted, then rejected instead of entering the book.
    LATE_REJECT = "late_reject"
    PARTIAL_FILL = "partial_fill"
    NO_FILL = "no_fill"
    #: Reads do not show orders for some seconds after they were accepted.
    LAGGING_READS = "lagging_reads"
    LATE_EVENT = "late_event"
    DOUBLE_EVENT = "double_event"
    DROP_EVENT = "drop_event"


BEFORE = frozenset(
    {
        FaultKind.RATE_LIMITED, FaultKind.ERROR_BEFORE, FaultKind.DROP_BEFORE, FaultKind.SILENCE_BEFORE,
        FaultKind.GARBAGE_BEFORE, FaultKind.HTML, FaultKind.REJECT, FaultKind.UNAUTHORIZED,
        FaultKind.FORBIDDEN_ACCOUNT,
    }
)  # fmt: skip
AFTER = frozenset({FaultKind.ERROR_AFTER, FaultKind.DROP_AFTER, FaultKind.SILENCE_AFTER, FaultKind.GARBAGE})
OF_ORDERS = frozenset({FaultKind.PARTIAL_FILL, FaultKind.NO_FILL, FaultKind.LATE_REJECT})
OF_EVENTS = frozenset({FaultKind.LATE_EVENT, FaultKind.DOUBLE_EVENT, FaultKind.DROP_EVENT})
#: The default duration of each kind that has one, in seconds. With 0 seconds of `NO_FILL`, the order never fills.
_SECONDS = {
    FaultKind.LATENCY: 0.05,
    FaultKind.SILENCE_BEFORE: 60.0,
    FaultKind.SILENCE_AFTER: 60.0,
    FaultKind.PARTIAL_FILL: 1.0,
    FaultKind.NO_FILL: 0.0,
    FaultKind.LAGGING_READS: 0.25,
    FaultKind.LATE_EVENT: 1.0,
}
_STATUSES = {
    FaultKind.ERROR_BEFORE: {500, 502, 503, 504},
    FaultKind.ERROR_AFTER: {500, 502, 503, 504},
    FaultKind.HTML: {200, 401, 403, 404, 429, 500, 502, 503, 504},
    FaultKind.REJECT: {403, 422},
}
_STATUS = {FaultKind.ERROR_BEFORE: 503, FaultKind.ERROR_AFTER: 504, FaultKind.HTML: 502, FaultKind.REJECT: 403}


class Fault(BaseModel):
    """One fault: which requests or events it affects, how, and how often."""

    model_config = ConfigDict(extra="forbid")

    on: FaultTarget
    kind: FaultKind
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    #: The duration, for the kinds that have one.
    seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    #: The HTTP status, for the kinds that have one.
    status: int | None = None
    message: str | None = None
    #: Only the account with this API key.
    key: str | None = None
    #: Only orders of this symbol; for `submit` alone.
    symbol: Annotated[str, AfterValidator(canonical_where_known)] | None = None
    #: At most this many times.
    count: Annotated[int, Field(ge=1)] | None = None
    #: Only for this many seconds after the plan was set.
    for_s: Annotated[float, Field(gt=0, le=1e6)] | None = None
    #: How often the fault was applied.
    hits: int = 0

    _ends_at: float = PrivateAttr(float("inf"))
    _random: random.Random = PrivateAttr(default_factory=random.Random)

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        if self.symbol is not None and self.on is not FaultTarget.SUBMIT:
            raise ValueError("only a fault of `submit` can be limited to a symbol")
        if self.seconds is None:
            self.seconds = _SECONDS.get(self.kind)
        if self.status is None:
            self.status = _STATUS.get(self.kind)
        if self.for_s is not None:
            self._ends_at = time.monotonic() + self.for_s
        allowed = _STATUSES.get(self.kind)
        if allowed is not None and self.status not in allowed:
            raise ValueError(f"status of {self.kind} must be one of {sorted(allowed)}")
        return self

    @property
    def lasts_s(self) -> float:
        """Return the duration in seconds, or 0."""
        return self.seconds or 0.0

    @property
    def left_s(self) -> float:
        """Return the seconds until the fault ends; 0 when it has ended."""
        return max(self._ends_at - time.monotonic(), 0.0)

    def seed(self, seed: str) -> None:
        """Make the random decisions reproducible: the same *seed* leads to the same decisions."""
        self._random.seed(seed)

    def applies_to(self, on: FaultTarget, key: str, symbol: str | None) -> bool:
        """Return whether the fault applies to one request or event; if so, count the hit."""
        if self.on not in (on, FaultTarget.ANY) or self.key not in (None, key) or self.symbol not in (None, symbol):
            return False
        if not self.left_s:
            return False
        if self.count is not None and self.hits >= self.count:
            return False
        if self._random.random() >= self.probability:
            return False
        self.hits += 1
        return True


class FaultPlan(BaseModel):
    """The active faults. If the same requests come in the same order, the same plan affects the same ones."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 1
    faults: list[Fault] = []

    @model_validator(mode="after")
    def _seed(self) -> Self:
        for index, fault in enumerate(self.faults):
            fault.seed(f"{self.seed}:{index}")
            fault.hits = 0
        return self

    def draw(self, on: FaultTarget, key: str, kinds: Iterable[FaultKind], symbol: str | None = None) -> list[Fault]:
        """Return the faults of *kinds* that apply to this request, in their order."""
        wanted = frozenset(kinds)
        return [fault for fault in self.faults if fault.kind in wanted and fault.applies_to(on, key, symbol)]

    def to_json(self) -> dict[str, Any]:
        """Return the plan with its hit counts, without the faults that have ended."""
        left = [
            fault if fault.for_s is None else fault.model_copy(update={"for_s": fault.left_s}) for fault in self.faults
        ]
        lasting = self.model_copy(update={"faults": [fault for fault in left if fault.for_s != 0]})
        return lasting.model_dump(mode="json", exclude_none=True)

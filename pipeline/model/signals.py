"""Read a signal strictly: confidence in percent, the symbol in canonical form, exact decimals."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.model.errors import InvalidSignal
from pipeline.model.symbols import AssetClass, asset_class, canonical

# A larger number must be in a wrong unit. Senders that compute with floats send up to 17 decimals.
_LARGEST = Decimal("1e12")
_MOST_DECIMALS = 20
_SIZES = ("quantity", "notional", "equity_percent", "close_percent")
_LATER = frozenset({"volatility_percent", "price", *_SIZES[1:]})
# The sources of tradewire's own signals begin with this.
_OWN = "tradewire:"
_NUMBERS = frozenset({"confidence", "entry_price", "target_price", "stop_price", "volatility_percent", *_SIZES})


class Action(StrEnum):
    """The side that a signal asks for, or what happens to the position whatever its side."""

    BUY = "BUY"
    SELL = "SELL"
    #: Close the position.
    FLAT = "FLAT"
    #: Close the position, and open one on the other side.
    REVERSE = "REVERSE"


class Intent(StrEnum):
    """Whether a signal opens, closes, or does what the position implies."""

    OPEN = "open"
    CLOSE = "close"
    AUTO = "auto"


def _exact(value: Any) -> Any:
    """Keep the decimals as they were written: a float becomes its shortest text. A bool is refused."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 -- what pydantic reports
    # Decimal itself also accepts 1_000, and the digits of other alphabets.
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        raise ValueError("must be a number in the digits 0 to 9")
    return repr(value) if isinstance(value, float) else value


def _bounded(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if value > _LARGEST or (isinstance(exponent, int) and -exponent > _MOST_DECIMALS):
        raise ValueError(f"must be at most {_LARGEST:f} with at most {_MOST_DECIMALS} decimals")
    # A zero may have any exponent, but the database's column cannot store a very small exponent.
    return value or Decimal(0)


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the years 1 to 9999 in UTC") from None


Positive = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, allow_inf_nan=False), AfterValidator(_bounded)]
Share = Annotated[Positive, Field(le=100)]
Text = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]


class Signal(BaseModel):
    """A trading signal of a source. Prices are in the quote currency per unit, confidence in percent (0-100)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Text | None = None
    source_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")] | None = None
    symbol: str
    action: Action
    confidence: Annotated[Decimal, BeforeValidator(_exact), AfterValidator(_bounded)] | None = None
    entry_price: Positive | None = None
    #: `market`: the worker reads the market's price and uses it in place of `entry_price`.
    price: Literal["market"] | None = None
    target_price: Positive | None = None
    stop_price: Positive | None = None
    strategy: Text | None = None
    regime: Text | None = None
    volatility_percent: Annotated[Positive, Field(le=1000)] | None = None
    generated_at: Time | None = None
    expires_at: Time | None = None
    quantity: Positive | None = None
    notional: Positive | None = None
    equity_percent: Share | None = None
    close_percent: Share | None = None
    intent: Intent = Intent.AUTO
    executors: tuple[Text, ...] | None = None

    @field_validator("symbol")
    @classmethod
    def _canonical(cls, value: str) -> str:
        return canonical(value)

    @field_validator("action", mode="before")
    @classmethod
    def _upper_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("confidence")
    @classmethod
    def _percent(cls, value: Decimal | None) -> Decimal | None:
        """Refuse a value above 0 and up to 1, which looks like a fraction: 0.98 may mean 98 %, and 1 may mean 100 %."""
        if value is None:
            return None
        if not value.is_finite() or not 0 <= value <= 100:  # noqa: PLR2004 -- percent
            raise ValueError("must be a percentage from 0 to 100")
        if 0 < value <= 1:
            raise ValueError(
                f"is a percentage from 0 to 100, and {value} looks like a fraction: write {value * 100} for it"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _flat_closes(cls, raw: Any) -> Any:
        action, intent = raw.get("action"), raw.get("intent", Intent.AUTO)
        if not isinstance(action, str) or action.upper() != Action.FLAT or intent != Intent.AUTO:
            return raw
        return raw | {"intent": Intent.CLOSE}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._action_agrees()
        if self.intent is not Intent.CLOSE:
            needed = ("confidence",) if self.price is not None else ("confidence", "entry_price")
            missing = [name for name in needed if getattr(self, name) is None]
            if missing:
                raise ValueError(f"{' and '.join(missing)} may be left out only when intent is close")
        if self.executors is not None and not self.executors:
            raise ValueError("executors is an empty list: leave it out to address all")
        self._one_price()
        self._one_size()
        self._sides_agree()
        return self

    def _one_price(self) -> None:
        if self.price is not None and self.entry_price is not None:
            raise ValueError("price and entry_price are two prices: write one of them")
        if self.price is not None and self.intent is Intent.CLOSE:
            raise ValueError("price is that of an entry: an exit without entry_price is a market order")

    def _action_agrees(self) -> None:
        """Refuse fields that contradict FLAT, which closes everything, or REVERSE, whose side is not known yet."""
        if self.action is Action.FLAT:
            # A person's close of a part has no side, so that it fits the position whatever its side is by then.
            part = ("close_percent",) if (self.source or "").startswith(_OWN) else ()
            extra = [name for name in _SIZES if getattr(self, name) is not None and name not in part]
            if self.intent is not Intent.CLOSE or extra:
                raise ValueError(f"FLAT closes all that is held: leave {extra[0] if extra else 'intent'} out")
        if self.action is Action.REVERSE:
            extra = [name for name in ("target_price", "stop_price") if getattr(self, name) is not None]
            if self.intent is not Intent.AUTO or extra:
                message = f"REVERSE takes its side from the position: leave {extra[0] if extra else 'intent'} out"
                raise ValueError(f"{message}, or send BUY or SELL")

    def _one_size(self) -> None:
        given = [name for name in _SIZES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are two sizes: write one of them")
        if self.intent is Intent.CLOSE and given and given[0] in ("notional", "equity_percent"):
            raise ValueError(f"{given[0]} is the size of an entry: with intent close, write quantity or close_percent")
        if self.intent is not Intent.CLOSE and self.close_percent is not None:
            raise ValueError('close_percent is a share of the position: it needs "intent": "close"')

    def _sides_agree(self) -> None:
        """Refuse a stop or target on the wrong side of the entry price: it would be reached at once."""
        if self.intent is Intent.CLOSE or self.entry_price is None:
            return
        up = self.action is Action.BUY
        for name, price, above in (("target_price", self.target_price, up), ("stop_price", self.stop_price, not up)):
            if price is not None and (price == self.entry_price or (price > self.entry_price) != above):
                where = "above" if above else "below"
                raise ValueError(f"{name} of a {self.action} must be {where} entry_price {self.entry_price}")

    @property
    def asset_class(self) -> AssetClass:
        """Return the asset class of the symbol."""
        return asset_class(self.symbol)

    def content_hash(self) -> str:
        """Return a hash of the content. It shows whether two signals with the same source_id are equal.

        Times are left out, because a sender that repeats a signal gives it a new time.
        """
        content = self.model_dump(mode="json", exclude={"source", "source_id", "generated_at", "expires_at"})
        # These keys were added later; signals without them must keep their hash.
        content = {name: value for name, value in content.items() if value is not None or name not in _LATER}
        for name in _NUMBERS & content.keys():
            value = getattr(self, name)
            content[name] = None if value is None else format(value.normalize(), "f")
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_signal(raw: Mapping[str, Any]) -> Signal:
    """Return the signal that a sender wrote. A time in the future is refused only later, by the record's clock.

    Raises:
        InvalidSignal: *raw* is not a signal; the message names every fault.
    """
    if not isinstance(raw, Mapping):
        raise InvalidSignal("invalid_signal", f"a signal is a JSON object, not {type(raw).__name__}")
    try:
        return Signal.model_validate(dict(raw))
    except ValidationError as error:
        raise InvalidSignal("invalid_signal", "; ".join(_fault(fault) for fault in error.errors())) from None


def _fault(fault: Any) -> str:
    """Return one fault as a sentence that begins with its key."""
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{key} is missing"
    if fault["type"] == "extra_forbidden":
        return f"{key} is not a key of a signal"
    if key == "price" and fault["type"] == "literal_error":
        return 'price takes only "market"; a number belongs under entry_price'
    message = fault["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message

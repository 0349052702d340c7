"""Define the table `.route` of an executor: which entries it takes."""

from decimal import Decimal
from typing import Literal

from pydantic import field_validator

from config.schema.fields import Confidence, Section, Symbols, Word, Words

Regime = Literal["TRENDING", "CONSOLIDATION", "VOLATILE", "UNKNOWN", "BULL", "BEAR", "CHOP", "CRISIS"]


class Route(Section):
    """Which entries an executor takes. A list that is left out allows all values. These rules never refuse an exit."""

    minimum_confidence: Confidence = Decimal(75)
    """The lowest confidence of an entry, in percent, 0 to 100. Default: 75."""

    @field_validator("minimum_confidence")
    @classmethod
    def _percent(cls, value: Decimal) -> Decimal:
        """Refuse a value above 0 and up to 1, as for signals: 0.75 may mean 75 %, and would let every entry pass."""
        if 0 < value <= 1:
            raise ValueError(f"is in percent, and {value} looks like a fraction: write {value * 100} for it")
        return value

    symbols: Symbols | None = None
    """The only symbols whose entries are taken. BTC-USD and BTCUSD mean BTC/USD. Default: all."""

    deny: Symbols | None = None
    """Symbols whose entries are never taken, also when `symbols` lists them. Default: none."""

    asset_classes: Words[Literal["us_equity", "crypto"]] | None = None
    """The only asset classes whose entries are taken: us_equity, crypto. Default: both."""

    strategies: Words[Word] | None = None
    """The only strategies whose entries are taken, by name. With this list, an entry without a strategy is
    skipped. Default: all."""

    regimes: Words[Regime] | None = None
    """The only market regimes in which entries are taken. A signal without a regime is taken. Default: all."""

    actions: Words[Literal["BUY", "SELL"]] | None = None
    """The only actions that are taken as entries: BUY, SELL. Default: both."""

"""The table `.route` of an executor: which entries it takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from config.schema.fields import Confidence, Section, Symbols, Word, Words

Regime = Literal["TRENDING", "CONSOLIDATION", "VOLATILE", "UNKNOWN", "BULL", "BEAR", "CHOP", "CRISIS"]


class Route(Section):
    """Which entries an executor takes; a list that is left out allows all. Exits are never refused here."""

    minimum_confidence: Confidence = Decimal(75)
    """Lowest confidence of an entry, 0 to 100 percent. Default: 75."""

    symbols: Symbols | None = None
    """The only symbols whose entries are taken. Default: all."""

    deny: Symbols | None = None
    """Symbols whose entries are never taken; stronger than `symbols`. Default: none."""

    asset_classes: Words[Literal["us_equity", "crypto"]] | None = None
    """The only asset classes taken: us_equity, crypto. Default: both."""

    strategies: Words[Word] | None = None
    """The only strategies taken, by name; a signal that names none is not taken then. Default: all."""

    regimes: Words[Regime] | None = None
    """The only market regimes taken; a signal that names no regime passes. Default: all."""

    actions: Words[Literal["BUY", "SELL"]] | None = None
    """The only actions taken as entries: BUY, SELL. Default: both."""

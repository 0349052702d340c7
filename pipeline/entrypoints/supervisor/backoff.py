"""Decide when a child that died is started again, and what of it is worth saying."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
#: A child that lives this long is well.
WELL_AFTER_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Streak:
    """How often in a row a child has died before it was well."""

    deaths: int = 0

    @property
    def sick(self) -> bool:
        """Say whether the child has yet to show that it is well again."""
        return self.deaths > 0

    @property
    def pause_s(self) -> float:
        """Return the seconds to the next start: 0.2 after one death, then doubled each time, up to 5."""
        # Thirty doublings are beyond any limit; more would only make a number too large for a float.
        return min(FIRST_PAUSE_S * 2.0 ** min(self.deaths - 1, 30), LONGEST_PAUSE_S)

    def after_death(self, *, lived_s: float) -> Streak:
        """Return the streak once the child has died again, having lived *lived_s*."""
        return Streak(deaths=1 if lived_s >= WELL_AFTER_S else self.deaths + 1)

"""Growing pauses between tries. Pure."""

from dataclasses import dataclass

# More doublings than this could overflow, and change nothing: *longest_s* is reached long before.
_MOST_DOUBLINGS = 62


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Pauses that double from *first_s* to *longest_s*, both in seconds."""

    first_s: float
    longest_s: float

    def after(self, failures: int) -> float:
        """Return the pause in seconds after this many failures in a row; 0 if there was none."""
        if failures <= 0:
            return 0.0
        return min(self.first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest_s)

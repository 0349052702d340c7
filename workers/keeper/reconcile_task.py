"""Reconcile an account at once when the keeper begins to lead, and then as often as needed."""

import time
from dataclasses import dataclass, field

from pipeline.model.backoff import Backoff
from workers.keeper.finding_store import NotSaved, Saved
from workers.keeper.reconciliation import Reconciliation

#: Between two reconciles of an account: usually, while a finding is open, and while a difference was seen only once.
EVERY_S = 60.0
OPEN_EVERY_S = 15.0
SUSPECTED_EVERY_S = 5.0
# The pauses after a reconcile that was not completed.
_BACKOFF = Backoff(first_s=0.5, longest_s=10.0)


@dataclass(kw_only=True)
class ReconcileTask:
    """Reconciles one account when that is due."""

    reconciliation: Reconciliation
    _due_at: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)

    def run_once(self) -> int:
        """Reconcile the account if that is due; return how many findings were opened or healed."""
        if time.monotonic() < self._due_at:
            return 0
        saved = self.reconciliation.run_once()
        self._failures = self._failures + 1 if saved is NotSaved.FAILED else 0
        self._due_at = time.monotonic() + pause_s(saved, failures=self._failures)
        return len(saved.opened) + len(saved.healed) if isinstance(saved, Saved) else 0


def pause_s(saved: Saved | NotSaved, *, failures: int) -> float:
    """Return the pause after a reconcile: the shorter the more there is to confirm."""
    if saved is NotSaved.FAILED:
        return _BACKOFF.after(failures)
    if saved is NotSaved.REFUSED:
        # The probe of the account may be accepted while the lists are refused: they are not asked for at its rhythm.
        return EVERY_S
    if saved is NotSaved.OUTDATED or saved.suspected or saved.unread:
        return SUSPECTED_EVERY_S
    return OPEN_EVERY_S if saved.open else EVERY_S

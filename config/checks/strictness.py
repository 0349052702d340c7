"""Decide for every key whether one value is looser than another, for edits of live executors and for rule packs."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

#: Returns whether the second of two values, both as JSON, allows something that the first does not.
Looser = Callable[[Any, Any], bool]


def upwards(old: Any, new: Any) -> bool:
    """Return whether *new* is larger or off, and *old* is not off."""
    return old is not None and (new is None or Decimal(str(new)) > Decimal(str(old)))


def downwards(old: Any, new: Any) -> bool:
    """Return whether *new* is smaller or off, and *old* is not off."""
    return old is not None and (new is None or Decimal(str(new)) < Decimal(str(old)))


def unless_smaller(old: Any, new: Any) -> bool:
    """Return whether *new* is larger, or one of the two values is off and the other is not."""
    return bool(old != new) and (old is None or new is None or Decimal(str(new)) > Decimal(str(old)))


def wider(old: Any, new: Any) -> bool:
    """Return whether the list of allowed values *new* has an entry that *old* lacks, or is None, which allows all."""
    return old is not None and (new is None or not set(new) <= set(old))


def shorter(old: Any, new: Any) -> bool:
    """Return whether the list of refused values *new* lacks an entry of *old*."""
    return not set(old or ()) <= set(new or ())


def ungrouped(old: Any, new: Any) -> bool:
    """Return whether a group of *old* is not contained in any group of *new*."""
    return any(not any(set(symbols) <= set(group) for group in new.values()) for symbols in old.values())


def replaced(old: Any, new: Any) -> bool:
    """Return whether *old* was set and *new* is another value."""
    return old is not None and new != old


def switched_on(old: Any, new: Any) -> bool:
    """Return whether *new* is true and *old* was not."""
    return bool(new) and not old


def never(_old: Any, _new: Any) -> bool:
    """Return False: no value allows more than another."""
    return False


def differing(old: Any, new: Any) -> bool:
    """Return whether two values differ. Neither is the tighter one, so each change counts as looser."""
    return bool(old != new)


class Ranked:
    """Compares two words by their place in a list, from the tightest to the loosest."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, old: Any, new: Any) -> bool:
        """Return whether *new* is looser than *old*, or one of them is unknown."""
        unknown = old not in self.words or new not in self.words
        return unknown or self.words.index(new) > self.words.index(old)


#: Every key of an executor. A test fails if a key is missing here, so that each new key gets a decision.
DIRECTIONS: Mapping[str, Looser] = MappingProxyType(
    {
        "id": never,
        "broker": differing,
        "mode": Ranked("exchange", "paper", "live"),
        "base_url": differing,
        "base_url_allowed": differing,
        "account": replaced,
        "concurrency": never,  # the limits hold with any number of workers
        "pack": replaced,
        "route.minimum_confidence": downwards,
        "route.symbols": wider,
        "route.deny": shorter,
        "route.asset_classes": wider,
        "route.strategies": wider,
        "route.regimes": wider,
        "route.actions": wider,
        "size.method": differing,
        "size.value": upwards,
        "size.scale_at_100": upwards,
        "size.maximum_percent": upwards,
        "size.fractional": switched_on,
        "size.default_stop_percent": downwards,  # then less money counts as at risk
        "size.volatility_target_percent": unless_smaller,
        "size.volatility_scale_maximum": upwards,
        "order.type": Ranked("limit", "market"),
        "order.collar_percent": upwards,
        "order.entry_timeout_s": upwards,
        "order.allow_short": switched_on,
        "order.flip": Ranked("close", "reverse"),
        "order.close_scope": differing,  # an exit closes more than its strategy bought, or less than the account holds
        "order.cancel_foreign": differing,  # a canceled stop no longer protects; a held exit does not close
        "order.unprotected": Ranked("refuse", "guard", "allow"),
        "limits.open_positions": upwards,
        "limits.gross_exposure_percent": upwards,
        "limits.symbol_exposure_percent": upwards,
        "limits.group_positions": upwards,
        "limits.group_exposure_percent": upwards,
        "limits.daily_loss_percent": upwards,
        "limits.drawdown_percent": upwards,
        "limits.stop_distance_percent": upwards,
        "limits.buying_power_percent": upwards,
        "limits.entry_age_s": upwards,
        "limits.price_drift_percent": upwards,
        "limits.requests_per_minute": upwards,
        "limits.orders_per_day": upwards,
        "limits.consecutive_rejections": upwards,
        "limits.repeat_window_s": downwards,
        "limits.repeat_by": Ranked("idea", "content"),
        "limits.pyramiding": upwards,
        "limits.account_age_s": upwards,
        "limits.on_breach": Ranked("flatten", "halt"),
        "limits.next_day": Ranked("stay", "resume"),
        "retry.attempts": never,
        "retry.broker_timeout_s": never,
        "retry.unknown_s": never,
        "hours.closed": Ranked("skip", "hold", "extended"),
        "hours.hold_s": upwards,
        "hours.time_zone": differing,  # the day begins at another time: earlier losses may no longer count
        "hours.day_starts_at": differing,
        "groups": ungrouped,
        "firm.percent_of": differing,
        "firm.daily_loss_basis": differing,
        "firm.drawdown": Ranked("trailing", "static"),
        "firm.initial_balance": differing,
        "firm.maximum_quantity": upwards,
        "firm.flat_before_close_s": downwards,
        "firm.consistency_percent": upwards,
        "firm.minimum_hold_s": downwards,
    }
)


def looser(key: str, old: Any, new: Any) -> bool:
    """Return whether the value *new* of *key* allows more than *old*; both are as JSON.

    A changed value of an unknown key counts as looser.
    """
    return bool(old != new) and DIRECTIONS.get(key, differing)(old, new)

"""Say of every key which of two values is the looser one; changes of a live executor and rule packs go by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

#: Says whether the second of two values, as JSON has them, allows what the first does not.
Looser = Callable[[Any, Any], bool]


def upwards(old: Any, new: Any) -> bool:
    """A larger figure is looser, and off is the loosest."""
    return old is not None and (new is None or Decimal(str(new)) > Decimal(str(old)))


def downwards(old: Any, new: Any) -> bool:
    """A smaller figure is looser, and off is the loosest."""
    return old is not None and (new is None or Decimal(str(new)) < Decimal(str(old)))


def unless_smaller(old: Any, new: Any) -> bool:
    """Only a smaller figure is no looser: on and off allow each what the other does not."""
    return not same(old, new) and (old is None or new is None or Decimal(str(new)) > Decimal(str(old)))


def wider(old: Any, new: Any) -> bool:
    """A list of what is allowed is looser with a further word, and without the list all is allowed."""
    return old is not None and (new is None or not set(new) <= set(old))


def shorter(old: Any, new: Any) -> bool:
    """A list of what is refused is looser without one of its words."""
    return not set(old or ()) <= set(new or ())


def ungrouped(old: Any, new: Any) -> bool:
    """Groups are looser when symbols that counted together do not any more."""
    return any(not any(set(symbols) <= set(group) for group in new.values()) for symbols in old.values())


def let_go(old: Any, new: Any) -> bool:
    """What was named is looser as anything else; naming what was not named is not."""
    return old is not None and new != old


def switched_on(old: Any, new: Any) -> bool:
    """On is looser than off."""
    return bool(new) and not old


def never(_old: Any, _new: Any) -> bool:
    """No value of it allows more than another."""
    return False


def same(old: Any, new: Any) -> bool:
    """Say whether two values are one."""
    return bool(old == new)


def differing(old: Any, new: Any) -> bool:
    """Neither of two values is the tighter one: each change has to be looked at."""
    return not same(old, new)


class Ranked:
    """Words from the tightest to the loosest."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, old: Any, new: Any) -> bool:
        """Say whether *new* stands behind *old*; of a word that is not here nobody knows."""
        unknown = old not in self.words or new not in self.words
        return unknown or self.words.index(new) > self.words.index(old)


#: Every key of an executor; a test fails for one that is not here, so that each is thought about.
DIRECTIONS: Mapping[str, Looser] = MappingProxyType(
    {
        "id": never,
        "broker": differing,
        "mode": Ranked("exchange", "paper", "live"),
        "base_url": differing,
        "account": let_go,
        "concurrency": never,  # the limits hold with any number of workers
        "pack": let_go,
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
        "size.default_stop_percent": downwards,  # less is taken to be at risk
        "size.volatility_target_percent": unless_smaller,
        "size.volatility_scale_maximum": upwards,
        "order.type": Ranked("limit", "market"),
        "order.collar_percent": upwards,
        "order.entry_timeout_s": upwards,
        "order.allow_short": switched_on,
        "order.flip": Ranked("close", "reverse"),
        "order.close_scope": differing,  # more is sold that others bought, or less of what is to be closed
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
        "hours.time_zone": differing,  # another day begins: what was lost so far may count no more
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
    """Say whether *key* with the value *new* allows what it does not with *old*; both as JSON has them.

    A key that is not known counts as looser with each change.
    """
    return not same(old, new) and DIRECTIONS.get(key, differing)(old, new)

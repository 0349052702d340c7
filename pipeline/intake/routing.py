"""Decide, when a signal is recorded, whether an executor may trade it as an entry."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from config.schema.executor import ExecutorSettings
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent

#: The source whose signals are practice.
PRACTICE = "replay"
#: The sources of our own orders begin with this.
OWN = "tradewire:"
#: The source and the strategy of probes, which are nobody's idea: no filter and no repeat speaks of them.
PROBE = f"{OWN}probe"


class RoutedSignal(Protocol):
    """What routing looks at: a signal as sent, or as recorded."""

    @property
    def source(self) -> str | None:
        """Who sent it."""

    @property
    def symbol(self) -> str:
        """In canonical form."""

    @property
    def asset_class(self) -> str:
        """What kind of thing it names."""

    @property
    def action(self) -> Action:
        """Buy or sell."""

    @property
    def intent(self) -> Intent:
        """Open, close, or by the position."""

    @property
    def confidence(self) -> Decimal | None:
        """Percent."""

    @property
    def strategy(self) -> str | None:
        """By name."""

    @property
    def regime(self) -> str | None:
        """The market regime, as the sender sees it."""

    @property
    def executors(self) -> Sequence[str] | None:
        """The only executors meant."""


def may_be_exit(signal: RoutedSignal, executor: ExecutorSettings) -> bool:
    """Say whether the broker's position could make this an exit; then only the worker can decide."""
    if signal.intent is not Intent.AUTO:
        return signal.intent is Intent.CLOSE
    return signal.action is Action.SELL or executor.order.allow_short


def refusals(signal: RoutedSignal, executor: ExecutorSettings) -> list[Reason]:
    """Return every reason for which *executor* does not enter on *signal*; none means routed."""
    reasons = always_refused(signal, executor)
    if signal.source == PROBE:
        return reasons
    route = executor.route
    confidence = signal.confidence
    if confidence is not None and confidence < route.minimum_confidence:
        reasons.append(
            Reason(
                code=Code.CONFIDENCE_BELOW_MINIMUM,
                facts={"minimum": route.minimum_confidence, "was": confidence},
            )
        )
    if signal.symbol in (route.deny or ()):
        reasons.append(Reason(code=Code.SYMBOL_DENIED, facts={"symbol": signal.symbol}))
    for code, name, allowed, value in (
        (Code.SYMBOL_NOT_ROUTED, "symbol", route.symbols, signal.symbol),
        (Code.ASSET_CLASS_NOT_ROUTED, "asset_class", route.asset_classes, str(signal.asset_class)),
        (Code.STRATEGY_NOT_ROUTED, "strategy", route.strategies, signal.strategy or "none"),
        # A signal that knows no regime passes.
        (Code.REGIME_NOT_ROUTED, "regime", route.regimes if signal.regime else None, signal.regime),
        (Code.ACTION_NOT_ROUTED, "action", route.actions, str(signal.action)),
    ):
        if allowed is not None and value not in allowed:
            reasons.append(Reason(code=code, facts={name: value}))
    return reasons


def always_refused(signal: RoutedSignal, executor: ExecutorSettings) -> list[Reason]:
    """Return the reasons that hold for exits too: another address, or practice at a live account."""
    reasons = []
    if signal.executors is not None and executor.id not in signal.executors:
        reasons.append(Reason(code=Code.NOT_ADDRESSED, facts={"executors": ",".join(signal.executors)}))
    if signal.source == PRACTICE and executor.mode == "live":
        reasons.append(Reason(code=Code.PRACTICE_SOURCE))
    return reasons


def is_own(source: str | None) -> bool:
    """Say whether a signal is an order of our own."""
    return source is not None and source.startswith(OWN)

"""Decide, when a signal is recorded, whether an executor may trade it as an entry."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from config.schema.executor import ExecutorSettings
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent

#: The source of practice signals.
PRACTICE = "replay"
#: The sources of our own orders begin with this.
OWN = "tradewire:"
#: The source of probes; their strategy has the same name. Routing filters and repeat checks skip probes, since they are
#: not signals of a trader's strategy.
PROBE = f"{OWN}probe"
#: The source of the entries that open the other side after a position was closed.
FLIP = f"{OWN}flip"
#: The source of the closes that a person asks for by hand, and of their further tries.
HAND = f"{OWN}hand"
#: The source_id of such a close begins with this. That of a further try begins with the id of the first execution.
HAND_CLOSE = "close:"


class RoutedSignal(Protocol):
    """The part of a signal, sent or recorded, that routing depends on."""

    @property
    def source(self) -> str | None:
        """The sender."""

    @property
    def symbol(self) -> str:
        """The symbol in canonical form."""

    @property
    def asset_class(self) -> str:
        """The asset class of the symbol."""

    @property
    def action(self) -> Action:
        """The side, or what happens to the position whatever its side."""

    @property
    def intent(self) -> Intent:
        """Open, close, or auto; with auto, the position decides."""

    @property
    def confidence(self) -> Decimal | None:
        """The confidence in percent."""

    @property
    def strategy(self) -> str | None:
        """The strategy's name."""

    @property
    def regime(self) -> str | None:
        """The market regime that the sender reports."""

    @property
    def executors(self) -> Sequence[str] | None:
        """The only executors that may trade the signal; None for all."""


def may_be_exit(signal: RoutedSignal, executor: ExecutorSettings) -> bool:
    """Return whether *signal* may be an exit. Only the broker's position shows whether it is; the worker decides."""
    if signal.intent is not Intent.AUTO:
        return signal.intent is Intent.CLOSE
    return signal.action is not Action.BUY or executor.order.allow_short


def refusals(signal: RoutedSignal, executor: ExecutorSettings) -> list[Reason]:
    """Return every reason why *executor* must not enter on *signal*; empty when it may."""
    reasons = always_refused(signal, executor)
    if signal.source == PROBE:
        return reasons
    minimum, confidence = executor.route.minimum_confidence, signal.confidence
    if confidence is not None and confidence < minimum:
        facts = {"minimum": minimum, "was": confidence}
        reasons.append(Reason(code=Code.CONFIDENCE_BELOW_MINIMUM, facts=facts))
    if signal.symbol in (executor.route.deny or ()):
        reasons.append(Reason(code=Code.SYMBOL_DENIED, facts={"symbol": signal.symbol}))
    return reasons + _outside_lists(signal, executor)


def _outside_lists(signal: RoutedSignal, executor: ExecutorSettings) -> list[Reason]:
    route = executor.route
    filters = (
        (Code.SYMBOL_NOT_ROUTED, "symbol", route.symbols, signal.symbol),
        (Code.ASSET_CLASS_NOT_ROUTED, "asset_class", route.asset_classes, str(signal.asset_class)),
        (Code.STRATEGY_NOT_ROUTED, "strategy", route.strategies, signal.strategy or "none"),
        # A signal without a regime passes.
        (Code.REGIME_NOT_ROUTED, "regime", route.regimes if signal.regime else None, signal.regime),
        (Code.ACTION_NOT_ROUTED, "action", route.actions, str(signal.action)),
    )
    return [
        Reason(code=code, facts={name: value})
        for code, name, allowed, value in filters
        if allowed is not None and value not in allowed
    ]


def always_refused(signal: RoutedSignal, executor: ExecutorSettings) -> list[Reason]:
    """Return the reasons that apply to exits too: not addressed, or a practice signal at a live account."""
    reasons = []
    if signal.executors is not None and executor.id not in signal.executors:
        reasons.append(Reason(code=Code.NOT_ADDRESSED, facts={"executors": ",".join(signal.executors)}))
    if signal.source == PRACTICE and executor.mode == "live":
        reasons.append(Reason(code=Code.PRACTICE_SOURCE))
    return reasons


def is_own(source: str | None) -> bool:
    """Return whether a source is our own: its signals are orders that tradewire itself decided."""
    return source is not None and source.startswith(OWN)


def has_final_limit(source: str, price: Decimal | None) -> bool:
    """Return whether *price* is a person's limit for a close: it is neither moved by the collar nor given up."""
    return source == HAND and price is not None

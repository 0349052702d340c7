"""Find the symbols and sources that an executor can never trade."""

from collections.abc import Collection, Iterator

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import Problem
from pipeline.model.symbols import asset_class, canonical_where_known

_MOST_LISTED = 6


def routes_no_entry(executor: ExecutorSettings, symbol: str) -> bool:
    """Return whether the executor's routing refuses every entry in the canonical *symbol*."""
    route = executor.route
    return (
        (route.symbols is not None and symbol not in route.symbols)
        or symbol in (route.deny or ())
        or (route.asset_classes is not None and asset_class(symbol) not in route.asset_classes)
    )


def takes_no_entry(executor: ExecutorSettings, actions: Collection[str]) -> bool:
    """Return whether the executor refuses each of *actions* as an entry."""
    opening = {"BUY", "SELL"} if executor.order.allow_short else {"BUY"}
    return opening.isdisjoint(set(actions) & set(executor.route.actions or ("BUY", "SELL")))


def unreachable_by(
    executor: ExecutorSettings,
    *,
    symbols: Collection[str] | None = None,
    strategies: Collection[str] | None = None,
    actions: Collection[str] | None = None,
) -> list[Problem]:
    """Return why the executor refuses every entry of a source, if it does. Values that are not known are None."""
    # Signals are recorded with canonical symbols, however the source spells them.
    produced = None if symbols is None else {canonical_where_known(symbol) for symbol in symbols}
    faults = _faults(executor, produced, strategies, actions)
    return [Problem(key=f"executors.{executor.id}.{key}", message=message) for key, message in faults]


def _faults(
    executor: ExecutorSettings,
    symbols: Collection[str] | None,
    strategies: Collection[str] | None,
    actions: Collection[str] | None,
) -> Iterator[tuple[str, str]]:
    route = executor.route
    if symbols and all(routes_no_entry(executor, symbol) for symbol in symbols):
        yield _cause(executor, symbols), f"takes none of the symbols of the source: {_listed(symbols)}"
    if strategies and route.strategies is not None and set(strategies).isdisjoint(route.strategies):
        yield "route.strategies", f"takes none of the strategies of the source: {_listed(strategies)}"
    if actions and takes_no_entry(executor, actions):
        short = "" if executor.order.allow_short else ", and order.allow_short is false"
        yield "route.actions", f"takes none of the actions of the source: {_listed(actions)}{short}"


def _cause(executor: ExecutorSettings, symbols: Collection[str]) -> str:
    """Return the key of the rule that refuses all *symbols*; `route.symbols` comes first."""
    route = executor.route
    if route.symbols is not None:
        return "route.symbols"
    if route.deny is not None and set(symbols) <= set(route.deny):
        return "route.deny"
    return "route.asset_classes"


def _listed(words: Collection[str]) -> str:
    first = sorted(words)[:_MOST_LISTED]
    more = len(words) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")

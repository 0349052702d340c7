"""Check the limits that allow or refuse a whole entry: counts, distances and a firm's rules. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from pipeline.model.reasons import Code, Reason
from pipeline.model.sources import PROBE
from workers.rules.case import Case

_HUNDRED = Decimal(100)
_CENT = Decimal("0.01")


def refusals(case: Case) -> list[Reason]:
    """Return every limit that an entry of any size would break."""
    checks = (_positions, _groups, _orders, _pyramid, _stop, _drift, _flat_by, _consistency)
    return [reason for check in checks for reason in check(case)]


def flat_from(case: Case) -> timedelta | None:
    """Return how long before each close the account has to be flat, or None."""
    seconds = case.executor.firm.flat_before_close_s
    return None if seconds is None else timedelta(seconds=seconds)


def _symbols(case: Case) -> frozenset[str]:
    """Return the symbols that are held, or may be once pending entries fill."""
    here = case.position is not None and case.position.quantity != 0
    return case.book.symbols() | ({case.signal.symbol} if here else frozenset())


def _positions(case: Case) -> Iterator[Reason]:
    most, symbols = case.executor.limits.open_positions, _symbols(case)
    if most is not None and len(symbols | {case.signal.symbol}) > most:
        yield Reason(code=Code.OPEN_POSITIONS_LIMIT, facts={"limit": most, "open": len(symbols)})


def _groups(case: Case) -> Iterator[Reason]:
    most, symbol = case.executor.limits.group_positions, case.signal.symbol
    if most is None:
        return
    for name, members in case.executor.groups.items():
        among = _symbols(case).intersection(members)
        if symbol in members and len(among | {symbol}) > most:
            facts = {"group": name, "limit": most, "open": len(among)}
            yield Reason(code=Code.GROUP_POSITIONS_LIMIT, facts=facts)


def _orders(case: Case) -> Iterator[Reason]:
    most, ordered = case.executor.limits.orders_per_day, case.recent.orders_today
    if most is not None and ordered >= most:
        yield Reason(code=Code.ORDERS_PER_DAY_LIMIT, facts={"limit": most, "ordered": ordered})


def _pyramid(case: Case) -> Iterator[Reason]:
    """Count the entries of the position. A position that we did not open counts as one entry; a closed one as none."""
    most = case.executor.limits.pyramiding
    held = case.signal.symbol in _symbols(case) or case.under_way
    entries = max(case.recent.entries_in_symbol, 1) if held else 0
    if most is not None and entries >= most:
        yield Reason(code=Code.PYRAMIDING_LIMIT, facts={"limit": most, "entries": entries})


def _stop(case: Case) -> Iterator[Reason]:
    most, price, stop = case.executor.limits.stop_distance_percent, case.signal.entry_price, case.signal.stop_price
    if most is None or price is None or stop is None:
        return
    distance = abs(price - stop) * _HUNDRED / price
    if distance > most:
        facts = {"limit_percent": most, "distance_percent": distance.quantize(_CENT), "stop": stop, "price": price}
        yield Reason(code=Code.STOP_TOO_FAR, facts=facts)


def _drift(case: Case) -> Iterator[Reason]:
    most, price = case.executor.limits.price_drift_percent, case.signal.entry_price
    if most is None or price is None or case.price is None or not case.price_asked or case.signal.source == PROBE:
        return  # A probe may be priced far from the market on purpose.
    drift = abs(case.price - price) * _HUNDRED / price
    if drift > most:
        facts = {"limit_percent": most, "drift_percent": drift.quantize(_CENT), "signal": price, "market": case.price}
        yield Reason(code=Code.PRICE_DRIFTED, facts=facts)


def _flat_by(case: Case) -> Iterator[Reason]:
    before, market = flat_from(case), case.market
    if before is None or market is None or not market.is_open:
        return
    if market.now >= market.next_close - before:
        facts = {"flat_by": market.next_close - before, "closes": market.next_close}
        yield Reason(code=Code.FLAT_BY_TIME, facts=facts)


def _consistency(case: Case) -> Iterator[Reason]:
    """Refuse entries on a day that has earned too large a share of all profit, and more than any day before it."""
    most, baseline = case.executor.firm.consistency_percent, case.baseline
    # The first profitable day is exempt: all of the profit is its own.
    if most is None or baseline is None or baseline.best_day_profit <= 0:
        return
    today = baseline.equity - baseline.day_start_equity
    if today > baseline.best_day_profit and today * _HUNDRED >= baseline.earned * most:
        facts = {"limit_percent": most, "today": today.quantize(_CENT), "earned": baseline.earned.quantize(_CENT)}
        yield Reason(code=Code.CONSISTENCY_LIMIT, facts=facts)

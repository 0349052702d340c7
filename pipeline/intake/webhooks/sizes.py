"""Read the one size of an alert, with its unit: shares, dollars, percent of the equity or of the position."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import RefusalCode, Size, SizeUnit
from pipeline.intake.webhooks.values import shown
from pipeline.intake.webhooks.vocabulary import Term, joined
from pipeline.model.errors import InvalidSignal

_OF_KEY = {
    Term.QUANTITY: SizeUnit.UNITS,
    Term.VOLUME: SizeUnit.UNITS,
    Term.AMOUNT: None,
    Term.NOTIONAL: SizeUnit.DOLLARS,
    Term.EQUITY_PERCENT: SizeUnit.OF_EQUITY,
    Term.CLOSE_PERCENT: SizeUnit.OF_POSITION,
    Term.PERCENT: SizeUnit.PERCENT,
}
_NAMES = {
    SizeUnit.UNITS: """fixed fixedquantity share shares unit units quantity qty contract contracts base basecurrency
        coin coins""",
    SizeUnit.DOLLARS: """dollaramount dollar dollars usd cash cashamount notional quote quotecurrency money
        amountperposition""",
    SizeUnit.OF_EQUITY: "percentofequity equitypercent percentequity equitypercentage percentageofequity",
    SizeUnit.OF_POSITION: """percentofposition positionpercent percentposition positionpercentage
        percentageofposition percentageposition""",
    SizeUnit.PERCENT: "percent percents percentage pct",
}
_BY_NAME = {name: unit for unit, names in _NAMES.items() for name in names.split()}

_SUPPORTED = "send shares, dollars or equity_percent, or no size: then the executor chooses it (size.method)"


def size_of(found: Mapping[Term, Sequence[tuple[str, Any]]]) -> Size | None:
    """Return the size in the terms of a body.

    Raises:
        InvalidSignal: there are two sizes, a size cannot be read, or there is a unit without a size.
    """
    named = _unit(found.get(Term.UNIT, ()))
    sizes = [_read(key, value, unit, named) for term, unit in _OF_KEY.items() for key, value in found.get(term, ())]
    if not sizes:
        if named is not None and named[1] is not SizeUnit.UNITS:
            raise _unsupported(named[0], "it has a unit, and there is no size: send both or none")
        return None
    first = sizes[0]
    for other in sizes[1:]:
        if (other.unit, other.value) != (first.unit, first.value):
            raise _unsupported(other.key, f"it is a second size beside {first.key}: send one of them")
    return first


def _unit(found: Sequence[tuple[str, Any]]) -> tuple[str, SizeUnit] | None:
    units = []
    for key, value in found:
        unit = _BY_NAME.get(joined(values.text({key: value}, key) or ""))
        if unit is None:
            raise _unsupported(key, f"{shown(value)} is not a size that a signal has; {_SUPPORTED}")
        units.append((key, unit))
    if len({unit for _, unit in units}) > 1:
        raise _unsupported(units[1][0], f"it names another unit than {units[0][0]}")
    return units[0] if units else None


def _read(key: str, value: Any, unit: SizeUnit | None, named: tuple[str, SizeUnit] | None) -> Size:
    """Return one size. A `$` or a `%` in the value names its unit, too."""
    units = {each for each in (unit, None if named is None else named[1]) if each is not None}
    if isinstance(value, str):
        text = value.strip()
        units |= {SizeUnit.DOLLARS} if text.startswith("$") else set()
        if text.endswith("%"):
            value = text.removesuffix("%")
            units |= {SizeUnit.PERCENT}
    # `quantity` counts shares only if no other unit is given. A percentage may have a unit that says of what it is.
    if unit is SizeUnit.UNITS and len(units) > 1 and (named is None or named[1] is not unit):
        units.discard(unit)
    if units & {SizeUnit.OF_EQUITY, SizeUnit.OF_POSITION}:
        units.discard(SizeUnit.PERCENT)
    if len(units) != 1:
        why = "it has two units" if units else "its unit is not named: send quantity for shares or coins"
        raise _unsupported(key, why)
    number = values.number({key: value}, key)
    assert number is not None
    return Size(unit=units.pop(), value=number, key=key)


def _unsupported(key: str, message: str) -> InvalidSignal:
    return InvalidSignal(RefusalCode.NOT_SUPPORTED, f"{key[:60]}: {message}")

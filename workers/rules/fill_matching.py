"""Decide whether a fill that the broker reports is new, or which known fill it is. Pure.

The broker reports each fill twice: in its stream and in its list of activities. The two may name it by different ids,
so a fill is also recognised by the order's filled quantity after it. The list is authoritative.

Once a fill of the order was taken back, that quantity alone shows nothing: a broker may go on with the fill or go
without it in its figures, and if it goes without, later fills reach the same quantities again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from pipeline.model.fills import FillReport, FillSource


@dataclass(frozen=True, kw_only=True)
class KnownFill:
    """A fill of the order that the broker itemised before, and that the record has."""

    fill_id: str
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal | None
    source: FillSource
    #: When the broker took it back or corrected it; None: it counts.
    voided_at: datetime | None
    #: The id of the fill with which the broker corrected it; None: it was not corrected.
    corrected_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class FillDecision:
    """The changes of the record that a reported fill causes."""

    #: The fill is new.
    inserts: bool = False
    #: The known fill of the stream that the list of activities confirms.
    confirms: KnownFill | None = None
    #: The ids of the stream's fills that the list of activities replaces.
    drops: tuple[str, ...] = ()


def match(report: FillReport, source: FillSource, known: Sequence[KnownFill]) -> KnownFill | None:
    """Return the known fill that *report* is about: one with its id, or with its cumulative quantity.

    Once a fill of the order was taken back, the quantity and the price have to be equal, too, and two activities with
    different ids are two fills. An activity also matches a fill of the stream with its quantity and price, if one of
    the two has no cumulative quantity.
    """
    by_id = [fill for fill in known if fill.fill_id == report.fill_id]
    # A fill that counts comes first: after a correction, two fills have the same cumulative quantity.
    ordered = sorted(known, key=lambda fill: fill.voided_at is not None)
    cumulative = report.cumulative_quantity
    by_cumulative = [fill for fill in ordered if cumulative is not None and fill.cumulative_quantity == cumulative]
    if _is_revised(known):
        by_cumulative = [fill for fill in by_cumulative if _has_terms(fill, report)]
        if source is FillSource.ACTIVITY:
            by_cumulative = [fill for fill in by_cumulative if _is_open(fill)]
    by_terms = [
        fill
        for fill in ordered
        if source is FillSource.ACTIVITY and _is_open(fill)
        if _has_terms(fill, report)
        if cumulative is None or fill.cumulative_quantity is None
    ]
    return next(iter([*by_id, *by_cumulative, *by_terms]), None)


def decide(report: FillReport, source: FillSource, known: Sequence[KnownFill], *, filled: Decimal) -> FillDecision:
    """Decide what a reported fill changes; *filled* is the order's recorded filled quantity."""
    same = match(report, source, known)
    if same is not None and not (source is FillSource.ACTIVITY and _is_open(same)):
        return FillDecision()
    others = [fill for fill in known if fill.voided_at is None and fill is not same]
    if source is FillSource.ACTIVITY:
        return FillDecision(inserts=same is None, confirms=same, drops=_replaced(report, others, filled))
    cumulative = None if _is_revised(known) else report.cumulative_quantity
    return FillDecision(inserts=not _is_explained(replace(report, cumulative_quantity=cumulative), others, filled))


def _is_revised(known: Sequence[KnownFill]) -> bool:
    return any(fill.voided_at is not None for fill in known)


def _has_terms(fill: KnownFill, report: FillReport) -> bool:
    return (fill.quantity, fill.price) == (report.quantity, report.price)


def _is_open(fill: KnownFill) -> bool:
    """Return whether the list of activities can still confirm *fill*."""
    return fill.source is FillSource.STREAM and fill.voided_at is None


def _replaced(report: FillReport, others: Sequence[KnownFill], filled: Decimal) -> tuple[str, ...]:
    """Return the stream's fills if they and the activities together exceed the order's filled quantity.

    So when the activities add up to the order's filled quantity, no fill of the stream is left.
    """
    # After a bust, the report may contain the busted fill: then fewer fills are replaced.
    reached = max(filled, report.cumulative_quantity or Decimal(0))
    if _sum(others) + report.quantity <= reached:
        return ()
    return tuple(fill.fill_id for fill in others if fill.source is FillSource.STREAM)


def _is_explained(report: FillReport, others: Sequence[KnownFill], filled: Decimal) -> bool:
    """Return whether this fill of the stream must be one of the others, because they leave no room for it."""
    if _sum(others) + report.quantity <= filled:
        return False
    if report.cumulative_quantity is not None:
        return report.cumulative_quantity <= filled
    terms = [(fill.quantity, fill.price) for fill in others if fill.source is FillSource.ACTIVITY]
    return (report.quantity, report.price) in terms


def _sum(fills: Sequence[KnownFill]) -> Decimal:
    return sum((fill.quantity for fill in fills), Decimal(0))

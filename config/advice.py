"""Compare an executor's keys with each other: what can hardly be meant, and which limit is never reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from config.executors import ExecutorSettings
from config.fields import plain
from config.settings import Settings, unknown_variables
from pipeline.errors import Problem

Executors = Mapping[str, ExecutorSettings]
_Advice = Iterator[tuple[str, str]]


def warnings_of(executors: Executors, settings: Settings) -> list[Problem]:
    """Return what is allowed and can hardly be meant; it does not keep anything from starting."""
    unknown = [
        Problem(key=name, message="is no variable that tradewire knows; it changes nothing")
        for name in unknown_variables(settings)
    ]
    checks = (_route_warnings, _size_warnings, _order_warnings, _retry_warnings)
    return unknown + [
        Problem(key=f"executors.{executor_id}.{key}", message=message)
        for executor_id, executor in executors.items()
        for check in checks
        for key, message in check(executor)
    ]


def notes_of(executors: Executors) -> list[Problem]:
    """Return the limits that are never reached, because another one is tighter."""
    return [
        Problem(key=f"executors.{executor_id}.{key}", message=message)
        for executor_id, executor in executors.items()
        for check in (_loss_notes, _exposure_notes)
        for key, message in check(executor)
    ]


def _route_warnings(executor: ExecutorSettings) -> _Advice:
    route = executor.route
    both = sorted(set(route.symbols or ()) & set(route.deny or ()))
    if both:
        yield "route.deny", f"{', '.join(both)}: in symbols too; deny is stronger, so it is never traded"
    if route.asset_classes is not None:
        strangers = [at for at in route.symbols or () if _asset_class(at) not in route.asset_classes]
        if strangers:
            yield (
                "route.symbols",
                f"{', '.join(strangers)}: never traded, asset_classes does not have its class",
            )
    if route.actions == ("SELL",) and not executor.order.allow_short:
        yield "route.actions", 'only "SELL", and order.allow_short is false: no entry is ever taken'


def _asset_class(symbol: str) -> str:
    return "crypto" if "/" in symbol else "us_equity"


def _size_warnings(executor: ExecutorSettings) -> _Advice:
    size, gross = executor.size, executor.limits.gross_exposure_percent
    if size.method == "quantity" and size.value < 1 and not size.fractional:
        yield (
            "size.value",
            f"{plain(size.value)} of a share is below one whole share: only crypto is ever traded",
        )
    if size.method != "equity_percent":
        return
    if size.maximum_percent is not None and size.value > size.maximum_percent:
        yield (
            "size.value",
            f"{plain(size.value)} is always cut to maximum_percent {plain(size.maximum_percent)}",
        )
    if gross is not None and size.value > gross:
        yield "size.value", f"{plain(size.value)} is above limits.gross_exposure_percent {plain(gross)}"


def _order_warnings(executor: ExecutorSettings) -> _Advice:
    order = executor.order
    if order.flip == "reverse" and not order.allow_short:
        yield "order.flip", '"reverse" needs order.allow_short = true; as it is, a flip only closes'
    if order.type == "market" and executor.hours.closed == "extended":
        yield "order.type", '"market" orders are refused in extended hours; "limit" would be right'


def _retry_warnings(executor: ExecutorSettings) -> _Advice:
    retry = executor.retry
    if retry.unknown_s < retry.broker_timeout_s:
        yield "retry.unknown_s", "is shorter than one request may take (retry.broker_timeout_s)"


def _loss_notes(executor: ExecutorSettings) -> _Advice:
    daily, drawdown = executor.limits.daily_loss_percent, executor.limits.drawdown_percent
    # The peak is never below the day's start, so the smaller percentage of the peak is reached first.
    if daily is not None and drawdown is not None and daily > drawdown:
        yield (
            "limits.daily_loss_percent",
            (f"{plain(daily)} is never reached: limits.drawdown_percent {plain(drawdown)} is tighter"),
        )


def _exposure_notes(executor: ExecutorSettings) -> _Advice:
    size, limits = executor.size, executor.limits
    gross, count = limits.gross_exposure_percent, limits.open_positions
    if size.method != "equity_percent":
        return
    largest = size.value * size.scale_at_100
    if size.maximum_percent is not None and size.maximum_percent > largest:
        yield (
            "size.maximum_percent",
            (f"{plain(size.maximum_percent)} is never reached: an entry is at most {plain(largest)}"),
        )
    largest = largest if size.maximum_percent is None else min(largest, size.maximum_percent)
    if gross is None or count is None:
        return
    if limits.pyramiding is not None and largest * count * limits.pyramiding < gross:
        most = plain(Decimal(largest * count * limits.pyramiding))
        yield (
            "limits.gross_exposure_percent",
            f"{plain(gross)} is never reached: positions come to {most} at most",
        )
    if min(size.value, largest) * count > gross:
        yield (
            "limits.open_positions",
            f"{count} is never reached: gross_exposure_percent {plain(gross)} is tighter",
        )

"""Find the limits of an executor that are never reached, because another limit is tighter."""

from collections.abc import Iterator
from decimal import Decimal

from config.schema.executor import Executors, ExecutorSettings
from config.schema.fields import plain, value_text
from pipeline.model.errors import Problem

#: Pairs of a key and the message about it.
_Notes = Iterator[tuple[str, str]]

_MINUTES_OF_A_DAY = 24 * 60


def shadowed_limits(executors: Executors) -> list[Problem]:
    """Return a note for each limit that is never reached because another limit, or the rule pack, is tighter."""
    of_keys = [
        Problem(key=f"executors.{executor_id}.{key}", message=message)
        for executor_id, executor in executors.items()
        for check in (_losses, _entry, _positions, _parts, _orders)
        for key, message in check(executor)
    ]
    of_packs = [
        Problem(
            key=f"executors.{executor_id}.{key}",
            message=f'{value_text(in_file)} in the file does not hold: pack "{executors[executor_id].pack}" is tighter',
        )
        for executor_id, keys in executors.overruled.items()
        for key, in_file in keys.items()
        if in_file is not None
    ]
    return of_packs + of_keys


def _losses(executor: ExecutorSettings) -> _Notes:
    limits, firm = executor.limits, executor.firm
    daily, drawdown = limits.daily_loss_percent, limits.drawdown_percent
    same_figures = (firm.percent_of, firm.daily_loss_basis, firm.drawdown) == ("day_start", "equity", "trailing")
    # The peak is never below the equity at the day's start, so a drawdown limit with a smaller percentage comes first.
    if same_figures and daily is not None and drawdown is not None and daily > drawdown:
        message = f"{plain(daily)} is never reached: limits.drawdown_percent {plain(drawdown)} is tighter"
        yield "limits.daily_loss_percent", message


def _entry(executor: ExecutorSettings) -> _Notes:
    size = executor.size
    largest = _largest_wanted(executor)
    if largest is not None and size.maximum_percent is not None and size.maximum_percent > largest:
        message = f"{plain(size.maximum_percent)} is never reached: an entry costs at most {plain(largest)}"
        yield "size.maximum_percent", message


def _positions(executor: ExecutorSettings) -> _Notes:
    limits = executor.limits
    gross, count, largest = limits.gross_exposure_percent, limits.open_positions, _largest(executor)
    if largest is None:
        return
    position = None if limits.pyramiding is None else largest * limits.pyramiding
    symbol = limits.symbol_exposure_percent
    if symbol is not None and position is not None and position < symbol:
        message = f"{plain(symbol)} is never reached: a position is worth at most {plain(position)}"
        yield "limits.symbol_exposure_percent", message
    if gross is None or count is None:
        return
    if position is not None and position * count < gross:
        most = plain(Decimal(position * count))
        yield ("limits.gross_exposure_percent", f"{plain(gross)} is never reached: positions are worth at most {most}")
    # With scaling by volatility, an entry may be smaller than `size.value`.
    if executor.size.volatility_target_percent is None and min(executor.size.value, largest) * count > gross:
        message = f"{count} is never reached: gross_exposure_percent {plain(gross)} is tighter"
        yield "limits.open_positions", message


def _parts(executor: ExecutorSettings) -> _Notes:
    limits = executor.limits
    for part, whole in (
        ("symbol_exposure_percent", "gross_exposure_percent"),
        ("group_exposure_percent", "gross_exposure_percent"),
        ("group_positions", "open_positions"),
    ):
        of_part, of_whole = getattr(limits, part), getattr(limits, whole)
        if of_part is not None and of_whole is not None and of_part > of_whole:
            message = (
                f"{plain(Decimal(of_part))} is never reached: limits.{whole} {plain(Decimal(of_whole))} is tighter"
            )
            yield f"limits.{part}", message


def _orders(executor: ExecutorSettings) -> _Notes:
    limits = executor.limits
    if limits.orders_per_day is None or limits.requests_per_minute is None:
        return
    # Each order takes one request.
    most = limits.requests_per_minute * _MINUTES_OF_A_DAY
    if limits.orders_per_day > most:
        message = f"{limits.orders_per_day} is never reached: requests_per_minute allows {most}"
        yield "limits.orders_per_day", message


def _largest_wanted(executor: ExecutorSettings) -> Decimal | None:
    """Return the largest entry before it is capped, in percent of equity; None when the method does not fix it."""
    size = executor.size
    if size.method != "equity_percent":
        return None
    calm = Decimal(1) if size.volatility_target_percent is None else size.volatility_scale_maximum
    return size.value * size.scale_at_100 * calm


def _largest(executor: ExecutorSettings) -> Decimal | None:
    wanted, most = _largest_wanted(executor), executor.size.maximum_percent
    return min(wanted, most) if wanted is not None and most is not None else wanted

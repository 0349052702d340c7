"""Find values of an executor that are allowed but hardly intended, by comparing its keys."""

from collections.abc import Iterator

from config.checks.env_file_mode import exposed_secrets
from config.checks.reachability import routes_no_entry
from config.schema.executor import Executors, ExecutorSettings
from config.schema.fields import plain
from config.schema.settings import Settings, unknown_variables
from pipeline.model.errors import Problem
from pipeline.model.symbols import asset_class

#: Pairs of a key and the message about it.
_Warnings = Iterator[tuple[str, str]]


def warnings_of(executors: Executors, settings: Settings) -> list[Problem]:
    """Return a warning for each value that is hardly intended. A process starts in spite of warnings."""
    unknown = [
        Problem(key=name, message="is not a variable of tradewire; it has no effect")
        for name in unknown_variables(settings)
    ]
    checks = (_route, _size, _stop, _order, _groups, _firm, _retry)
    return [*unknown, *exposed_secrets(settings)] + [
        Problem(key=f"executors.{executor_id}.{key}", message=message)
        for executor_id, executor in executors.items()
        for check in checks
        for key, message in check(executor)
    ]


def _route(executor: ExecutorSettings) -> _Warnings:
    route = executor.route
    both = sorted(set(route.symbols or ()) & set(route.deny or ()))
    if both:
        yield "route.deny", f"{', '.join(both)} is also in route.symbols; deny is stronger, so it is never traded"
    if route.asset_classes is not None:
        untradable = [at for at in route.symbols or () if asset_class(at) not in route.asset_classes]
        if untradable:
            yield ("route.symbols", f"{', '.join(untradable)} is never traded: route.asset_classes lacks its class")
    if route.actions == ("SELL",) and not executor.order.allow_short:
        yield "route.actions", 'only "SELL", and order.allow_short is false: no entry is ever taken'


def _size(executor: ExecutorSettings) -> _Warnings:
    size, limits = executor.size, executor.limits
    if size.method == "quantity":
        if size.value < 1 and not size.fractional:
            message = f"{plain(size.value)} is less than one whole share, so only crypto is ever traded"
            yield "size.value", message
        most = executor.firm.maximum_quantity
        if most is not None and size.value > most:
            yield "size.value", f"{plain(size.value)} is always reduced to firm.maximum_quantity {plain(most)}"
    if size.method != "equity_percent":
        return
    if size.maximum_percent is not None and size.value > size.maximum_percent:
        yield ("size.value", f"{plain(size.value)} is always reduced to maximum_percent {plain(size.maximum_percent)}")
    for name in ("gross_exposure_percent", "symbol_exposure_percent", "group_exposure_percent"):
        limit = getattr(limits, name)
        if limit is not None and size.value > limit and (executor.groups or not name.startswith("group")):
            yield "size.value", f"{plain(size.value)} is above limits.{name} {plain(limit)}"


def _stop(executor: ExecutorSettings) -> _Warnings:
    assumed, farthest = executor.size.default_stop_percent, executor.limits.stop_distance_percent
    # If the key is left out and its default is above the limit, that only makes the assumed risk larger: no warning.
    if "default_stop_percent" in executor.size.model_fields_set and farthest is not None and assumed > farthest:
        message = f"{plain(assumed)} is above limits.stop_distance_percent {plain(farthest)}, which no stop exceeds"
        yield "size.default_stop_percent", message


def _order(executor: ExecutorSettings) -> _Warnings:
    order = executor.order
    if order.flip == "reverse" and not order.allow_short:
        yield "order.flip", '"reverse" needs order.allow_short = true; without it, a flip only closes'
    if order.type == "market" and executor.hours.closed == "extended":
        yield "order.type", 'brokers refuse "market" orders in extended hours; use "limit"'


def _groups(executor: ExecutorSettings) -> _Warnings:
    groups, limits = executor.groups, executor.limits
    set_limits = [name for name in ("group_positions", "group_exposure_percent") if getattr(limits, name) is not None]
    if not groups:
        for name in set_limits:
            yield f"limits.{name}", "has no effect: there is no group; name one in the table .groups"
    elif not set_limits:
        yield "groups", "have no effect: limits.group_positions and limits.group_exposure_percent are off"
    for name, symbols in groups.items():
        untradable = [symbol for symbol in symbols if routes_no_entry(executor, symbol)]
        if untradable:
            yield f"groups.{name}", f"{', '.join(untradable)} is never traded: the table .route does not allow it"


def _firm(executor: ExecutorSettings) -> _Warnings:
    firm, limits = executor.firm, executor.limits
    if limits.daily_loss_percent is None:
        for name in ("percent_of", "daily_loss_basis"):
            if name in firm.model_fields_set:
                yield f"firm.{name}", "has no effect: limits.daily_loss_percent is off"
    if limits.drawdown_percent is None and "drawdown" in firm.model_fields_set:
        yield "firm.drawdown", "has no effect: limits.drawdown_percent is off"
    if firm.flat_before_close_s is not None and executor.hours.closed == "extended":
        yield (
            "hours.closed",
            '"extended" sends entries after the close, before which firm.flat_before_close_s closes all',
        )


def _retry(executor: ExecutorSettings) -> _Warnings:
    retry = executor.retry
    if retry.unknown_s < retry.broker_timeout_s:
        yield "retry.unknown_s", "is shorter than one request may take: retry.broker_timeout_s"

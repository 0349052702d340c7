"""The gates that a command's process passes before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import Unavailable
from pipeline.startup.alert_channels import check_channels
from pipeline.startup.checks import Check, behind, check_start
from pipeline.startup.context import database_url
from pipeline.store.record import Record
from workers.account.pinned_account import check_account
from workers.account.runtime import open_runtime


@contextmanager
def started(
    settings: Settings, executors: Mapping[str, ExecutorSettings], *, by: str, accounts: bool = False
) -> Iterator[None]:
    """Run the body if the record allows it and, with *accounts*, if every pinned account is the one that is reported.

    Raises:
        ConfigInvalid: a gate is shut; all that the record says is listed.
    """
    with ExitStack() as stack:
        record = stack.enter_context(Record(database_url(settings), connections=1, retry_for_s=0.0))
        checks: list[Check] = [
            partial(check_start, record, executors, by=by),
            partial(check_channels, record, executors, settings=settings),
        ]
        for executor in _pinned(executors) if accounts else []:
            runtime = open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)
            stack.enter_context(closing(runtime))
            checks.append(partial(check_account, runtime))
        stack.enter_context(behind(checks))
        yield


def gate_of_up(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> Callable[[str], None]:
    """Return what `up` asks of the record at a database URL before it starts any process.

    Accounts whose broker is away then, or is the exchange that `up` itself starts, are verified by the processes.
    """

    def gate(url: str) -> None:
        with Record(url, connections=1, retry_for_s=3.0) as record:
            check_start(record, executors, by="up")
            check_channels(record, executors, settings=settings)
            for executor in _pinned(executors):
                if executor.base_url is not None:
                    _check(executor, settings, record)

    return gate


def _check(executor: ExecutorSettings, settings: Settings, record: Record) -> None:
    runtime = open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)
    with closing(runtime):
        try:
            check_account(runtime)
        except Unavailable:
            return


def _pinned(executors: Mapping[str, ExecutorSettings]) -> list[ExecutorSettings]:
    return [executor for executor in executors.values() if executor.account is not None]

"""The checks that a command makes before its process starts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import Unavailable
from pipeline.startup.alert_channels import check_channels
from pipeline.startup.checks import Check, after_checks, check_start
from pipeline.startup.context import database_url
from pipeline.store.record import Record
from workers.account.pinned_account import check_account
from workers.account.runtime import open_runtime


@contextmanager
def checked_start(
    settings: Settings, executors: Mapping[str, ExecutorSettings], *, by: str, accounts: bool = False
) -> Iterator[None]:
    """Run the block after the checks. With *accounts*, also check that the API keys belong to the pinned accounts.

    Raises:
        ConfigInvalid: a check refused; the error lists every problem that this check found.
    """
    with ExitStack() as stack:
        # The record does not retry, since `after_checks` does.
        record = stack.enter_context(Record(database_url(settings), connections=1, retry_for_s=0.0))
        checks: list[Check] = [
            partial(check_start, record, executors, by=by),
            partial(check_channels, record, executors, settings=settings),
        ]
        for executor in _pinned(executors) if accounts else []:
            runtime = open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)
            stack.enter_context(closing(runtime))
            checks.append(partial(check_account, runtime))
        stack.enter_context(after_checks(checks))
        yield


def check_before_up(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> Callable[[str], None]:
    """Return a function that `up` calls with the database URL before it starts the processes that need the record.

    It skips accounts whose broker is away, and accounts at the exchange that `up` starts: the processes check them.
    """

    def check(url: str) -> None:
        with Record(url, connections=1, retry_for_s=3.0) as record:
            check_start(record, executors, by="up")
            check_channels(record, executors, settings=settings)
            for executor in _pinned(executors):
                if executor.base_url is not None:
                    _check_account(executor, settings, record)

    return check


def _check_account(executor: ExecutorSettings, settings: Settings, record: Record) -> None:
    runtime = open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)
    with closing(runtime), suppress(Unavailable):
        check_account(runtime)


def _pinned(executors: Mapping[str, ExecutorSettings]) -> list[ExecutorSettings]:
    return [executor for executor in executors.values() if executor.account is not None]

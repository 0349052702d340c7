"""Look at the broker of an executor: does it answer with these keys, for this account, and at what time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.clocks import Skew, measured
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.model.account import Account, Clock
from pipeline.model.errors import BrokerOverRate, BrokerRefusesAccount, ConfigInvalid, RecordUnavailable, TradewireError
from pipeline.store.record import Record
from workers.account.runtime import open_account, open_runtime
from workers.brokers.protocol import Broker

#: The longest that one look at a broker may take, so that the whole answer is there within 5 s.
_BROKER_TIMEOUT_S = 2.5


@dataclass(frozen=True, kw_only=True)
class BrokerVisit:
    """What a broker said of the account, and its clock where it was asked for and could be read."""

    executor: ExecutorSettings
    finding: CheckResult
    clock: Clock | None = None
    #: How far its clock is ahead of this machine's.
    skew: Skew | None = None


def look_at_broker(executor: ExecutorSettings, settings: Settings, record: Record) -> CheckResult:
    """Say whether the broker answers with these keys and for this account."""
    try:
        with _opened(executor, settings, record) as broker:
            account = _account_of(broker)
    except TradewireError as error:
        return _failure(executor, error)
    return _of_account(executor, account)


def visit(executor: ExecutorSettings, settings: Settings, record: Record) -> BrokerVisit:
    """Look at the account and at the market's clock. Without a record it asks all the same: nobody else does then."""
    try:
        return _visit(executor, settings, record)
    except RecordUnavailable:
        return _visit(executor, settings, None)


def _visit(executor: ExecutorSettings, settings: Settings, record: Record | None) -> BrokerVisit:
    try:
        with _opened(executor, settings, record) as broker:
            finding = _of_account(executor, _account_of(broker))
            try:
                clock, skew = measured(broker.clock, lambda clock: clock.timestamp)
            except RecordUnavailable:
                raise
            except TradewireError:
                return BrokerVisit(executor=executor, finding=finding)
            return BrokerVisit(executor=executor, finding=finding, clock=clock, skew=skew)
    except RecordUnavailable:
        raise
    except TradewireError as error:
        return BrokerVisit(executor=executor, finding=_failure(executor, error))


@contextmanager
def _opened(executor: ExecutorSettings, settings: Settings, record: Record | None) -> Iterator[Broker]:
    timeout_s = min(executor.retry.broker_timeout_s, _BROKER_TIMEOUT_S)
    patient = executor.model_copy(update={"retry": executor.retry.model_copy(update={"broker_timeout_s": timeout_s})})
    if record is None:
        broker, _ = open_account(patient, settings=settings, exchange_url=settings.exchange_url)
    else:
        broker = open_runtime(patient, settings=settings, exchange_url=settings.exchange_url, record=record).broker
    with closing(broker):
        yield broker


def _account_of(broker: Broker) -> Account:
    """Read the account, and once more if need be: one lost answer is no absence."""
    try:
        return broker.account()
    except (RecordUnavailable, BrokerRefusesAccount, BrokerOverRate):
        raise
    except TradewireError:
        return broker.account()


def _of_account(executor: ExecutorSettings, account: Account) -> CheckResult:
    if executor.account is not None and account.number != executor.account:
        saw = f"the keys open account {account.number}, not the pinned {executor.account}"
        return _critical(executor, saw, "Keys of another account.", "Put the keys of the pinned account back.")
    if account.blocked:
        saw = f"account {account.number} is blocked for trading"
        return _critical(executor, saw, "The broker's decision.", "Ask the broker.")
    saw = f"account {account.number} ({executor.mode}) answers"
    return CheckResult(name=_name(executor), status=CheckStatus.OK, saw=saw)


def _failure(executor: ExecutorSettings, error: TradewireError) -> CheckResult:
    name = executor.id.upper().replace("-", "_")
    match error:
        case BrokerRefusesAccount():
            remedy = f"Correct {name}_API_KEY and {name}_API_SECRET, or ask the broker; one probe a minute finds out."
            return _critical(executor, str(error), "Wrong keys or account.", remedy)
        case ConfigInvalid():
            remedy = (
                f"Run beside `tradewire up`, or set TRADEWIRE_EXCHANGE_URL or {name}_API_KEY; `tradewire config check`."
            )
            return _critical(executor, str(error), "No address or no key is known.", remedy)
        case BrokerOverRate():
            return CheckResult(
                name=_name(executor),
                status=CheckStatus.WARNING,
                saw=str(error),
                cause="The account's requests of the last minute are used up, by us or by whoever else has these keys.",
                remedy="Wait a minute; `tradewire doctor` shows the budget. Who else uses the keys?",
            )
        case RecordUnavailable():
            remedy = "Bring PostgreSQL back first; the account's request budget is kept there."
            return _critical(executor, f"not asked: {error}", "PostgreSQL is away.", remedy)
    cause = "The broker is down, slow or not at this address."
    remedy = "Look at `base_url`; executions are held until it answers, entries until they are too old."
    return _critical(executor, str(error), cause, remedy)


def _critical(executor: ExecutorSettings, saw: str, cause: str, remedy: str) -> CheckResult:
    return CheckResult(name=_name(executor), status=CheckStatus.CRITICAL, saw=saw, cause=cause, remedy=remedy)


def _name(executor: ExecutorSettings) -> str:
    return f"broker {executor.id}"

"""Check the broker of an executor: its answer to the executor's keys, the account, and the clock."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.clocks import Skew, measured
from pipeline.entrypoints.doctor.findings import CheckResult, critical, ok, warning
from pipeline.model.account import Account, Clock
from pipeline.model.errors import BrokerOverRate, BrokerRefusesAccount, ConfigInvalid, RecordUnavailable, TradewireError
from pipeline.store.record import Record
from workers.account.runtime import open_account, open_runtime
from workers.brokers.protocol import Broker

#: The longest time limit of one request, so that the whole examination ends within 5 s.
_BROKER_TIMEOUT_S = 2.5


@dataclass(frozen=True, kw_only=True)
class BrokerCheck:
    """The finding on a broker, and its clock if it could be read."""

    executor: ExecutorSettings
    finding: CheckResult
    clock: Clock | None = None
    #: How far its clock is ahead of this machine's.
    skew: Skew | None = None


def check_broker(executor: ExecutorSettings, settings: Settings, record: Record) -> CheckResult:
    """Check whether the broker answers, and whether the account of the keys is the pinned one and may trade."""
    try:
        with _opened(executor, settings, record) as broker:
            account = _account_of(broker)
    except TradewireError as error:
        return _failure(executor, error)
    return _of_account(executor, account)


def check_broker_and_clock(executor: ExecutorSettings, settings: Settings, record: Record) -> BrokerCheck:
    """Check the account and the broker's clock. While PostgreSQL is away, ask the broker without a request budget."""
    try:
        return _check(executor, settings, record)
    except RecordUnavailable:
        return _check(executor, settings, None)


def _check(executor: ExecutorSettings, settings: Settings, record: Record | None) -> BrokerCheck:
    try:
        with _opened(executor, settings, record) as broker:
            finding = _of_account(executor, _account_of(broker))
            try:
                clock, skew = measured(broker.clock, lambda clock: clock.timestamp)
            # The caller tries again without the record.
            except RecordUnavailable:
                raise
            except TradewireError:
                return BrokerCheck(executor=executor, finding=finding)
            return BrokerCheck(executor=executor, finding=finding, clock=clock, skew=skew)
    except RecordUnavailable:
        raise
    except TradewireError as error:
        return BrokerCheck(executor=executor, finding=_failure(executor, error))


@contextmanager
def _opened(executor: ExecutorSettings, settings: Settings, record: Record | None) -> Iterator[Broker]:
    timeout_s = min(executor.retry.broker_timeout_s, _BROKER_TIMEOUT_S)
    # A copy with a shorter time limit, because a person waits for the findings.
    patient = executor.model_copy(update={"retry": executor.retry.model_copy(update={"broker_timeout_s": timeout_s})})
    if record is None:
        broker, _ = open_account(patient, settings=settings, exchange_url=settings.exchange_url)
    else:
        broker = open_runtime(patient, settings=settings, exchange_url=settings.exchange_url, record=record).broker
    with closing(broker):
        yield broker


def _account_of(broker: Broker) -> Account:
    # The broker is asked once more after a failure, because one lost answer does not mean that the broker is away.
    try:
        return broker.account()
    except (RecordUnavailable, BrokerRefusesAccount, BrokerOverRate):
        raise
    except TradewireError:
        return broker.account()


def _of_account(executor: ExecutorSettings, account: Account) -> CheckResult:
    if executor.account is not None and account.number != executor.account:
        saw = f"the keys belong to account {account.number}, not the pinned {executor.account}"
        return _critical(executor, saw, "The keys belong to another account.", "Set the keys of the pinned account.")
    if account.blocked:
        saw = f"account {account.number} is blocked for trading"
        return _critical(executor, saw, "The broker decided so.", "Ask the broker.")
    return ok(_name(executor), f"account {account.number} ({executor.mode}) answers")


def _failure(executor: ExecutorSettings, error: TradewireError) -> CheckResult:
    name = executor.id.upper().replace("-", "_")
    match error:
        case BrokerRefusesAccount():
            remedy = f"Correct {name}_API_KEY and {name}_API_SECRET, or ask the broker; tradewire tries once a minute."
            return _critical(executor, str(error), "The keys or the account are wrong.", remedy)
        case ConfigInvalid():
            keys = f"Set {name}_API_KEY and {name}_API_SECRET"
            # A key does not help here: the paper exchange opens an account for each executor.
            missing = "Run `tradewire up`, or set TRADEWIRE_EXCHANGE_URL" if executor.mode == "exchange" else keys
            remedy = f"{missing}; see `tradewire config check`."
            return _critical(executor, str(error), "The address or the keys are not known.", remedy)
        case BrokerOverRate():
            return warning(
                _name(executor),
                str(error),
                cause="The account's requests of the last minute are used up, perhaps by another program.",
                remedy="Wait a minute; `tradewire doctor` shows the budget. Find other programs that use the keys.",
            )
        case RecordUnavailable():
            remedy = "Start PostgreSQL first; it holds the account's request budget."
            return _critical(executor, f"not asked: {error}", "PostgreSQL is away.", remedy)
    cause = "The broker is down or slow, or the address is wrong."
    remedy = "Check `base_url`. Executions are held until it answers, entries until they are too old."
    return _critical(executor, str(error), cause, remedy)


def _critical(executor: ExecutorSettings, saw: str, cause: str, remedy: str) -> CheckResult:
    return critical(_name(executor), saw, cause=cause, remedy=remedy)


def _name(executor: ExecutorSettings) -> str:
    return f"broker {executor.id}"

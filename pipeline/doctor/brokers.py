"""Look at the broker of an executor."""

from __future__ import annotations

from contextlib import closing

from config.executors import ExecutorSettings
from config.settings import Settings
from pipeline.doctor.findings import Finding, Status
from pipeline.errors import BrokerRefusesAccount, TradewireError
from pipeline.store.record import Record
from workers.brokers.holdings import Account
from workers.engine import Desk, open_desk

#: The longest that one look at a broker may take, so that the whole answer is there within 5 s.
_BROKER_TIMEOUT_S = 2.5


def look_at_broker(executor: ExecutorSettings, settings: Settings, record: Record) -> Finding:
    """Say whether the broker answers with these keys and for this account."""
    name = f"broker {executor.id}"
    patient = executor.retry.model_copy(
        update={"broker_timeout_s": min(executor.retry.broker_timeout_s, _BROKER_TIMEOUT_S)}
    )
    try:
        desk = open_desk(
            executor.model_copy(update={"retry": patient}),
            settings=settings,
            exchange_url=settings.exchange_url,
            record=record,
        )
        account = _account_of(desk)
    except BrokerRefusesAccount as error:
        remedy = (
            f"Correct {executor.id.upper()}_API_KEY and _API_SECRET, or ask the broker; one probe a minute finds out."
        )
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause="Wrong keys or account.", remedy=remedy)
    except TradewireError as error:
        cause = "The broker is down, slow or not at this address."
        remedy = "Look at `base_url`; executions are held until it answers, entries until they are too old."
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause=cause, remedy=remedy)
    if executor.account is not None and account.number != executor.account:
        saw = f"the keys open account {account.number}, not the pinned {executor.account}"
        remedy = "Put the keys of the pinned account back."
        return Finding(name=name, status=Status.CRITICAL, saw=saw, cause="Keys of another account.", remedy=remedy)
    if account.blocked:
        saw = f"account {account.number} is blocked for trading"
        return Finding(
            name=name, status=Status.CRITICAL, saw=saw, cause="The broker's decision.", remedy="Ask the broker."
        )
    return Finding(name=name, status=Status.OK, saw=f"account {account.number} ({executor.mode}) answers")


def _account_of(desk: Desk) -> Account:
    """Read the account, and once more if need be: one lost answer is no absence."""
    with closing(desk):
        try:
            return desk.broker.account()
        except TradewireError:
            return desk.broker.account()

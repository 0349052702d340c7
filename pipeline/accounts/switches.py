"""Turn an account's switches on and off, and list those that are on. The record keeps who turned them and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of, account_keys_of
from pipeline.accounts.equity import equity_baseline
from pipeline.accounts.losses import LimitStep, LossLimit, Use, limit_step, uses
from pipeline.model.errors import NotPossible
from pipeline.model.reasons import Code, Reason
from pipeline.model.switches import Switch, SwitchKind, reason_of
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: The cause of a switch that a person turns on.
PERSON = "person"


def turn_on(
    connection: Connection[DictRow],
    *,
    account_key: str,
    kind: SwitchKind,
    cause: str,
    facts: Mapping[str, Any],
    flatten: bool = False,
    by: str,
    why: str | None = None,
) -> bool:
    """Turn a switch on in the caller's transaction; return whether that changed anything.

    A switch that is already on keeps the *facts*, the name (*by*) and the time with which it was turned on; a person's
    switch takes a new *why*. *flatten* asks the keeper to close everything once. While the switch stays on, a person
    may ask for that again; a limit may not.
    """
    values = {
        "switch_id": uuid4(),
        "holder": account_key,
        "kind": kind.value,
        "cause": cause,
        "facts": Json(Reason(code=Code.HALTED, facts=facts).to_json()),
        "flatten": flatten,
        "by": by,
        "why": why,
    }
    return execute(connection, sql("switches", "turn_on"), values) > 0


def turn_off(
    connection: Connection[DictRow],
    *,
    account_key: str | Collection[str],
    kinds: Collection[SwitchKind] | None,
    causes: Collection[str] | None,
    by: str,
    why: str | None = None,
) -> list[Switch]:
    """Turn off the switches of *kinds* and *causes* (None: all) in the caller's transaction, and return them."""
    values = {
        "holders": [account_key] if isinstance(account_key, str) else list(account_key),
        "kinds": None if kinds is None else [kind.value for kind in kinds],
        "causes": None if causes is None else list(causes),
        "by": by,
        "why": why,
    }
    return fetch_all(connection, Switch, sql("switches", "turn_off"), values)


def active_switches(connection: Connection[DictRow], account_key: str | Collection[str]) -> list[Switch]:
    """Return the switches that are on, the oldest first."""
    account_keys = [account_key] if isinstance(account_key, str) else list(account_key)
    return fetch_all(connection, Switch, sql("pre_trade_check", "switches"), {"holders": account_keys})


def release(connection: Connection[DictRow], executor_id: str, codes: Collection[Code]) -> int:
    """Make due now the executions of *executor_id* that are held for one of *codes*; return their number."""
    values = {"executor_id": executor_id, "reason_codes": [code.value for code in codes]}
    return execute(connection, sql("switches", "release_paused"), values)


@dataclass(frozen=True, kw_only=True)
class FlattenRequest:
    """A switch with a request to close everything."""

    switch_id: UUID
    cause: str
    set_by: str


def flatten_requests(connection: Connection[DictRow], executor_id: str) -> list[FlattenRequest]:
    """Return the switches that ask to close everything at *executor_id*'s account, the oldest first."""
    key = {"holders": account_keys_of(connection, executor_id)}
    return fetch_all(connection, FlattenRequest, sql("switches", "flatten_requests"), key)


def end_flatten(connection: Connection[DictRow], requests: Collection[FlattenRequest], *, by: str, why: str) -> bool:
    """End *requests* in the caller's transaction; return whether one had not ended yet. The halts stay on."""
    values = {"switch_ids": [request.switch_id for request in requests], "by": by, "why": why}
    return execute(connection, sql("switches", "end_flatten"), values) > 0


@dataclass(frozen=True, kw_only=True)
class SwitchStatus:
    """The switches that are on at one executor's account."""

    executor_id: str
    #: The account number; the provisional key before the first reading.
    account_key: str
    switches: tuple[Switch, ...]
    #: The switches that the current command has turned off.
    lifted: tuple[Switch, ...] = ()


class Switches:
    """Turns the switches of an executor's account for a person. Every method may be run again with the same values.

    Every method raises `RecordUnavailable` while PostgreSQL is away.
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    def turn(
        self, executor_id: str, kind: SwitchKind, *, flatten: bool = False, by: str, why: str | None
    ) -> SwitchStatus:
        """Turn a switch on and return the switches that are on afterwards."""

        def unit(connection: Connection[DictRow]) -> SwitchStatus:
            account_key = account_key_of(connection, executor_id)
            turn_on(
                connection, account_key=account_key, kind=kind, cause=PERSON, facts={}, flatten=flatten, by=by, why=why
            )
            return _status(connection, executor_id)

        return self._record.run(unit)

    def resume(self, executor_id: str, *, by: str, why: str | None) -> SwitchStatus:
        """Turn off every switch of the executor's account, and make due the executions that a pause has held.

        Raises:
            NotPossible: a limit halted the account, and *why* is missing or empty.
        """

        def unit(connection: Connection[DictRow]) -> SwitchStatus:
            account_keys = account_keys_of(connection, executor_id)
            active = active_switches(connection, account_keys)
            by_limit = [each for each in active if each.kind is SwitchKind.HALTED and is_limit(each)]
            if by_limit and not (why or "").strip():
                raise NotPossible(
                    f"{executor_id} was halted by its limits ({'; '.join(str(reason_of(each)) for each in by_limit)}): "
                    "give the reason for trading again with --why"
                )
            lifted = turn_off(connection, account_key=account_keys, kinds=None, causes=None, by=by, why=why)
            release(connection, executor_id, [Code.PAUSED])
            return replace(_status(connection, executor_id), lifted=tuple(lifted))

        return self._record.run(unit)

    def active_switches(self, executor_id: str) -> SwitchStatus:
        """Return the switches that are on."""
        return self._record.run(lambda connection: _status(connection, executor_id))

    def over(self, executor: ExecutorSettings) -> list[Use]:
        """Return the use of each limit at REDUCE or HALT: it stops entries again if its switch is turned off."""
        baseline = self._record.run(
            lambda connection: equity_baseline(connection, account_key_of(connection, executor.id))
        )
        if baseline is None:
            return []
        return [use for use in uses(executor, baseline) if limit_step(use) in (LimitStep.REDUCE, LimitStep.HALT)]


def is_limit(switch: Switch) -> bool:
    """Return whether a loss limit turned *switch* on."""
    return switch.cause in set(LossLimit)


def _status(connection: Connection[DictRow], executor_id: str) -> SwitchStatus:
    return SwitchStatus(
        executor_id=executor_id,
        account_key=account_key_of(connection, executor_id),
        switches=tuple(active_switches(connection, account_keys_of(connection, executor_id))),
    )

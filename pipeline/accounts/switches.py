"""Turn the switches of an account on and off, and say which stand; every turn is kept with who and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of, account_keys_of
from pipeline.accounts.equity import baseline_of, baseline_row
from pipeline.accounts.losses import LossLimit, Rung, Use, rung, uses
from pipeline.model.errors import NotPossible
from pipeline.model.reasons import Code, Reason
from pipeline.model.switches import Switch, SwitchKind, reason_of, switch_of
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: The cause of what a person turns.
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
    """Turn a switch on in the caller's transaction; True when that is new or changes something.

    One that stands already keeps the figures, the name and the time of its first turn: calling again with other
    *facts* changes nothing. *flatten* asks once to close everything; when that was done for a limit, the same
    limit does not ask again while its halt stands. A person may.
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
    return connection.execute(sql("switches", "turn_on"), values).fetchone() is not None


def turn_off(
    connection: Connection[DictRow],
    *,
    account_key: str | Collection[str],
    kinds: Collection[SwitchKind] | None,
    causes: Collection[str] | None,
    by: str,
    why: str | None = None,
) -> list[Switch]:
    """Turn off in the caller's transaction what stands of *kinds* and *causes* (None: all); return what did."""
    values = {
        "holders": [account_key] if isinstance(account_key, str) else list(account_key),
        "kinds": None if kinds is None else [kind.value for kind in kinds],
        "causes": None if causes is None else list(causes),
        "by": by,
        "why": why,
    }
    return [switch_of(row) for row in connection.execute(sql("switches", "turn_off"), values).fetchall()]


def active_switches(connection: Connection[DictRow], account_key: str | Collection[str]) -> list[Switch]:
    """Return the switches that stand, the oldest first."""
    account_keys = [account_key] if isinstance(account_key, str) else list(account_key)
    return [
        switch_of(row)
        for row in connection.execute(sql("pre_trade_check", "switches"), {"holders": account_keys}).fetchall()
    ]


def release(connection: Connection[DictRow], executor_id: str, codes: Collection[Code]) -> int:
    """Let what *executor_id* holds for one of *codes* be judged anew at once; return how many."""
    values = {"executor_id": executor_id, "reason_codes": [code.value for code in codes]}
    return len(connection.execute(sql("switches", "release_paused"), values).fetchall())


@dataclass(frozen=True, kw_only=True)
class SwitchStatus:
    """What stands at one executor's account."""

    executor_id: str
    #: The account's number, or a provisional name while nobody has read it.
    account_key: str
    switches: tuple[Switch, ...]
    #: What the command that was just given has lifted.
    lifted: tuple[Switch, ...] = ()


class Switches:
    """A person's switches, by the executor's name. Every method may be run again with the same values."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def turn(
        self, executor_id: str, kind: SwitchKind, *, flatten: bool = False, by: str, why: str | None
    ) -> SwitchStatus:
        """Turn a switch on and return what stands then.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """

        def unit(connection: Connection[DictRow]) -> SwitchStatus:
            account_key = account_key_of(connection, executor_id)
            turn_on(
                connection, account_key=account_key, kind=kind, cause=PERSON, facts={}, flatten=flatten, by=by, why=why
            )
            return _stand(connection, executor_id)

        return self._record.run(unit)

    def resume(self, executor_id: str, *, by: str, why: str | None) -> SwitchStatus:
        """Lift everything, and let what was held for a pause go on at once.

        Raises:
            NotPossible: a limit halted the account, and nobody says why it may trade again.
            RecordUnavailable: PostgreSQL is away.
        """

        def unit(connection: Connection[DictRow]) -> SwitchStatus:
            account_keys = account_keys_of(connection, executor_id)
            by_limit = [
                each
                for each in active_switches(connection, account_keys)
                if each.kind is SwitchKind.HALTED and is_limit(each)
            ]
            if by_limit and not why:
                raise NotPossible(
                    f"{executor_id} was halted by its limits ({'; '.join(str(reason_of(each)) for each in by_limit)}): "
                    "say --why it may trade again"
                )
            lifted = turn_off(connection, account_key=account_keys, kinds=None, causes=None, by=by, why=why)
            release(connection, executor_id, [Code.PAUSED])
            return replace(_stand(connection, executor_id), lifted=tuple(lifted))

        return self._record.run(unit)

    def active_switches(self, executor_id: str) -> SwitchStatus:
        """Return what stands.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        return self._record.run(lambda connection: _stand(connection, executor_id))

    def over(self, executor: ExecutorSettings) -> list[Use]:
        """Return the uses of loss limits that stop entries whatever a person lifts.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        figures = self._record.run(
            lambda connection: baseline_of(baseline_row(connection, account_key_of(connection, executor.id)))
        )
        if figures is None:
            return []
        return [use for use in uses(executor, figures) if rung(use) in (Rung.REDUCE, Rung.HALT)]


def is_limit(switch: Switch) -> bool:
    """Say whether a limit turned *switch*, and not a person."""
    return switch.cause in set(LossLimit)


def _stand(connection: Connection[DictRow], executor_id: str) -> SwitchStatus:
    return SwitchStatus(
        executor_id=executor_id,
        account_key=account_key_of(connection, executor_id),
        switches=tuple(active_switches(connection, account_keys_of(connection, executor_id))),
    )

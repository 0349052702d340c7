"""Set the switches of an account by the used part of its loss limits: a warning, closing only, halted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.equity import equity_baseline
from pipeline.accounts.losses import EquityBaseline, LimitStep, LossLimit, Use, limit_step, uses
from pipeline.accounts.switches import active_switches, turn_off, turn_on
from pipeline.model.switches import Switch, SwitchKind
from pipeline.store.query import execute
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: The cause of a switch that sets an account to closing only because its equity cannot be read.
UNREADABLE = "unreadable"
_STOPPING = frozenset({LimitStep.REDUCE, LimitStep.HALT})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change, to be logged after the commit."""

    event: str
    cause: str
    use: Use | None = None


@dataclass(frozen=True, kw_only=True)
class _AccountSwitches:
    """Turns one account's switches on and off in the caller's transaction."""

    connection: Connection[DictRow]
    account_key: str
    by: str

    def active(self) -> dict[tuple[SwitchKind, str], Switch]:
        switches = active_switches(self.connection, self.account_key)
        return {(switch.kind, switch.cause): switch for switch in switches}

    def turn_on(self, kind: SwitchKind, cause: str, facts: Mapping[str, Any], *, flatten: bool = False) -> bool:
        return turn_on(
            self.connection,
            account_key=self.account_key,
            kind=kind,
            cause=cause,
            facts=facts,
            flatten=flatten,
            by=self.by,
        )

    def turn_off(self, kind: SwitchKind, causes: Sequence[str], why: str, use: Use | None = None) -> list[Step]:
        lifted = turn_off(
            self.connection, account_key=self.account_key, kinds=[kind], causes=causes, by=self.by, why=why
        )
        return [Step(event="lifted", cause=switch.cause, use=use) for switch in lifted]


@dataclass(frozen=True, kw_only=True)
class LossLimitSwitches:
    """Sets the switches of one executor's account by its loss limits. Running an update twice changes nothing."""

    executor: ExecutorSettings
    who: str

    def would_stop(self, baseline: EquityBaseline, switches: Sequence[Switch]) -> bool:
        """Return whether an update would stop entries for a limit that has not stopped them yet.

        *switches* are those that are on.
        """
        stopped = {switch.cause for switch in switches if switch.kind is not SwitchKind.PAUSED}
        return any(limit_step(use) in _STOPPING and use.limit not in stopped for use in uses(self.executor, baseline))

    def update(self, connection: Connection[DictRow], account_key: str) -> list[Step]:
        """Set the switches that the account's figures ask for, in the caller's transaction; return the changes."""
        locked = execute(connection, sql("equity_monitor", "lock"), {"holder": account_key})
        baseline = equity_baseline(connection, account_key)
        if not locked or baseline is None:
            return []
        switches = self._switches(connection, account_key)
        steps = self._lift_expired(switches, baseline)
        active = switches.active()
        for use in uses(self.executor, baseline):
            steps += self._apply(switches, baseline, use, halted=(SwitchKind.HALTED, use.limit) in active)
        return steps

    def release(self, connection: Connection[DictRow], account_key: str) -> list[Step]:
        """Lift the closing-only switches that limits set before they were removed, in the caller's transaction."""
        switches = self._switches(connection, account_key)
        return switches.turn_off(SwitchKind.REDUCING, [*LossLimit, UNREADABLE], "its limits are off")

    def reduce_unreadable(
        self, connection: Connection[DictRow], account_key: str, *, read_at: datetime, unreadable_since: datetime
    ) -> list[Step]:
        """Set an account whose equity cannot be read to closing only, in the caller's transaction."""
        facts = {"read_at": read_at, "unreadable_since": unreadable_since}
        new = self._switches(connection, account_key).turn_on(SwitchKind.REDUCING, UNREADABLE, facts)
        return [Step(event=UNREADABLE, cause=UNREADABLE)] if new else []

    def _switches(self, connection: Connection[DictRow], account_key: str) -> _AccountSwitches:
        return _AccountSwitches(connection=connection, account_key=account_key, by=self.who)

    def _lift_expired(self, switches: _AccountSwitches, baseline: EquityBaseline) -> list[Step]:
        """Lift the switches whose cause is over: the account can be read, a limit is off, a new day began."""
        steps = switches.turn_off(SwitchKind.REDUCING, [UNREADABLE], "the account can be read")
        on = {use.limit for use in uses(self.executor, baseline)}
        off = [limit for limit in LossLimit if limit not in on]
        if off:
            steps += switches.turn_off(SwitchKind.REDUCING, off, "its limit is off")
        for (kind, cause), switch in switches.active().items():
            earlier = cause == LossLimit.DAILY_LOSS and switch.set_at < baseline.day_started_at
            # A halt that also closes the positions is not lifted before they are closed.
            if earlier and not switch.flatten and kind in self._kinds_of_one_day():
                steps += switches.turn_off(kind, [LossLimit.DAILY_LOSS], "a new day began")
        return steps

    def _kinds_of_one_day(self) -> set[SwitchKind]:
        resumes = self.executor.limits.next_day == "resume"
        return {SwitchKind.REDUCING, SwitchKind.HALTED} if resumes else {SwitchKind.REDUCING}

    def _apply(self, switches: _AccountSwitches, baseline: EquityBaseline, use: Use, *, halted: bool) -> list[Step]:
        """Set the switch of the step that *use* has reached; *halted*: the limit has halted the account already."""
        reached = limit_step(use)
        breach = {"holder": switches.account_key, "limit": use.limit.value, "reached": reached is LimitStep.HALT}
        execute(switches.connection, sql("equity_monitor", "record_breach"), breach)
        if reached is LimitStep.NONE:
            return switches.turn_off(SwitchKind.REDUCING, [use.limit], "the loss shrank", use)
        steps = self._warn(switches, baseline, use)
        # A halt that a person lifted during this breach is not set again; the account is closing only.
        lifted_by_person = use.limit in baseline.breached and not halted
        if reached is LimitStep.HALT and not lifted_by_person:
            return steps + self._stop(switches, SwitchKind.HALTED, use)
        if reached in _STOPPING and not halted:
            return steps + self._stop(switches, SwitchKind.REDUCING, use)
        return steps

    def _warn(self, switches: _AccountSwitches, baseline: EquityBaseline, use: Use) -> list[Step]:
        """Warn once per day and limit."""
        values = {"holder": switches.account_key, "day": baseline.day, "limit": use.limit.value}
        new = execute(switches.connection, sql("equity_monitor", "warn"), values)
        return [Step(event="warned", cause=use.limit, use=use)] if new else []

    def _stop(self, switches: _AccountSwitches, kind: SwitchKind, use: Use) -> list[Step]:
        flatten = kind is SwitchKind.HALTED and self.executor.limits.on_breach == "flatten"
        new = switches.turn_on(kind, use.limit.value, use.facts(), flatten=flatten)
        return [Step(event=kind.value, cause=use.limit, use=use)] if new else []


def log_steps(executor_id: str, account_key: str, steps: Sequence[Step]) -> None:
    """Log the changes."""
    for step in steps:
        facts = {name: str(value) for name, value in step.use.facts().items()} if step.use else {}
        account = {"executor_id": executor_id, "account": account_key, "cause": step.cause}
        match step.event:
            case "warned":
                log.warning("limit.neared", **account, **facts)
            case "lifted":
                log.info("account.released", **account, **facts)
            case "unreadable":
                log.error("account.unreadable", **account)
            case SwitchKind.REDUCING.value:
                log.warning("account.reduced", **account, **facts)
            case SwitchKind.HALTED.value:
                log.error("account.halted", **account, **facts)

"""Move an account up and down the ladder of its loss limits: warned, reducing, halted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.equity import baseline_of, baseline_row
from pipeline.accounts.losses import LossLimit, Rung, Use, rung, uses
from pipeline.accounts.switches import active_switches, turn_off, turn_on
from pipeline.model.switches import Switch, SwitchKind
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: The cause of reducing because equity cannot be read.
UNREADABLE = "unreadable"
_STOPPING = frozenset({Rung.REDUCE, Rung.HALT})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that changed, to be said after the commit."""

    event: str
    cause: str
    use: Use | None = None


@dataclass(frozen=True, kw_only=True)
class LossLadder:
    """The ladder of one executor's account. Climbing twice at the same figures changes nothing."""

    executor: ExecutorSettings
    who: str

    def stops(self, connection: Connection[DictRow], account_key: str) -> bool:
        """Say whether the figures would stop the account further than it is: look twice before that."""
        row = baseline_row(connection, account_key)
        figures = baseline_of(row)
        if row is None or figures is None:
            return False
        stopped = {
            switch.cause for switch in active_switches(connection, account_key) if switch.kind is not SwitchKind.PAUSED
        }
        return any(rung(use) in _STOPPING and use.limit not in stopped for use in uses(self.executor, figures))

    def climb(self, connection: Connection[DictRow], account_key: str) -> list[Step]:
        """Bring the switches to where the figures are, in the caller's transaction, and return what changed."""
        locked = connection.execute(sql("equity_monitor", "lock"), {"holder": account_key}).fetchone()
        row = baseline_row(connection, account_key)
        figures = baseline_of(row)
        if locked is None or row is None or figures is None:
            return []
        steps = self._over(connection, account_key, row, {use.limit for use in uses(self.executor, figures)})
        stand = {(switch.kind, switch.cause): switch for switch in active_switches(connection, account_key)}
        for use in uses(self.executor, figures):
            steps += self._move(connection, account_key, row, use, stand)
        return steps

    def let_go(self, connection: Connection[DictRow], account_key: str) -> list[Step]:
        """End what the ladder reduced, in the caller's transaction: none of its limits is on any more."""
        return self._end(connection, account_key, SwitchKind.REDUCING, [*LossLimit, UNREADABLE], "its limits are off")

    def blind(self, connection: Connection[DictRow], account_key: str, row: DictRow) -> list[Step]:
        """Reduce the account whose equity nobody can read, in the caller's transaction."""
        facts = {"read_at": row["read_at"], "unreadable_since": row["unreadable_since"]}
        if turn_on(
            connection, account_key=account_key, kind=SwitchKind.REDUCING, cause=UNREADABLE, facts=facts, by=self.who
        ):
            return [Step(event="blind", cause=UNREADABLE)]
        return []

    def _over(self, connection: Connection[DictRow], account_key: str, row: DictRow, on: set[LossLimit]) -> list[Step]:
        """End what is over by itself: the account can be read, a limit was switched off, a new day began."""
        steps = self._end(connection, account_key, SwitchKind.REDUCING, [UNREADABLE], "the account can be read")
        off = [limit for limit in LossLimit if limit not in on]
        steps += self._end(connection, account_key, SwitchKind.REDUCING, off, "its limit is off") if off else []
        earlier = {
            switch.kind
            for switch in active_switches(connection, account_key)
            if switch.cause == LossLimit.DAILY_LOSS and switch.set_at < row["started_at"]
        }
        for kind in earlier & self._end_with_the_day():
            steps += self._end(connection, account_key, kind, [LossLimit.DAILY_LOSS], "a new day began")
        return steps

    def _end_with_the_day(self) -> set[SwitchKind]:
        resumes = self.executor.limits.next_day == "resume"
        return {SwitchKind.REDUCING, SwitchKind.HALTED} if resumes else {SwitchKind.REDUCING}

    def _move(
        self,
        connection: Connection[DictRow],
        account_key: str,
        row: DictRow,
        use: Use,
        stand: Mapping[tuple[SwitchKind, str], Switch],
    ) -> list[Step]:
        reached = rung(use)
        breach = {"holder": account_key, "limit": use.limit.value, "reached": reached is Rung.HALT}
        # A person who lifted the halt of this breach is not overruled; the account only reduces then.
        excused = use.limit in row["breached"] and (SwitchKind.HALTED, use.limit) not in stand
        connection.execute(sql("equity_monitor", "breach"), breach)
        steps = self._warn(connection, account_key, row, use) if reached is not Rung.NONE else []
        if reached is Rung.NONE:
            return self._end(connection, account_key, SwitchKind.REDUCING, [use.limit], "the loss shrank", use)
        if reached is Rung.HALT and not excused:
            return steps + self._stop(connection, account_key, SwitchKind.HALTED, use)
        if reached in _STOPPING and (SwitchKind.HALTED, use.limit) not in stand:
            return steps + self._stop(connection, account_key, SwitchKind.REDUCING, use)
        return steps

    def _warn(self, connection: Connection[DictRow], account_key: str, row: DictRow, use: Use) -> list[Step]:
        """Once a day and limit."""
        values = {"holder": account_key, "day": row["day"], "limit": use.limit.value}
        new = connection.execute(sql("equity_monitor", "warn"), values).fetchone()
        return [Step(event="warned", cause=use.limit, use=use)] if new else []

    def _stop(self, connection: Connection[DictRow], account_key: str, kind: SwitchKind, use: Use) -> list[Step]:
        flatten = kind is SwitchKind.HALTED and self.executor.limits.on_breach == "flatten"
        if turn_on(
            connection,
            account_key=account_key,
            kind=kind,
            cause=use.limit.value,
            facts=use.facts(),
            flatten=flatten,
            by=self.who,
        ):
            return [Step(event=kind.value, cause=use.limit, use=use)]
        return []

    def _end(
        self,
        connection: Connection[DictRow],
        account_key: str,
        kind: SwitchKind,
        causes: Sequence[str],
        why: str,
        use: Use | None = None,
    ) -> list[Step]:
        gone = turn_off(connection, account_key=account_key, kinds=[kind], causes=causes, by=self.who, why=why)
        return [Step(event="lifted", cause=switch.cause, use=use) for switch in gone]


def say(executor_id: str, account_key: str, steps: list[Step]) -> None:
    """Log what changed."""
    for step in steps:
        facts = {name: str(value) for name, value in step.use.facts().items()} if step.use else {}
        whose = {"executor_id": executor_id, "account": account_key, "cause": step.cause}
        match step.event:
            case "warned":
                log.warning("limit.neared", **whose, **facts)
            case "lifted":
                log.info("account.released", **whose, **facts)
            case "blind":
                log.error("account.unreadable", **whose)
            case SwitchKind.REDUCING.value:
                log.warning("account.reduced", **whose, **facts)
            case SwitchKind.HALTED.value:
                log.error("account.halted", **whose, **facts)

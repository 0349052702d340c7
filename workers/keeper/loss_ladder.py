"""Move an account up and down the ladder of its loss limits: warned, reducing, halted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.equity import standing_of, standing_row
from pipeline.accounts.losses import LossLimit, Rung, Use, rung, uses
from pipeline.accounts.switches import standing, turn_off, turn_on
from pipeline.model.switches import Kind, Switch
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
class Ladder:
    """The ladder of one executor's account. Climbing twice at the same figures changes nothing."""

    executor: ExecutorSettings
    who: str

    def stops(self, connection: Connection[DictRow], holder: str) -> bool:
        """Say whether the figures would stop the account further than it is: look twice before that."""
        row = standing_row(connection, holder)
        figures = standing_of(row)
        if row is None or figures is None:
            return False
        stopped = {switch.cause for switch in standing(connection, holder) if switch.kind is not Kind.PAUSED}
        return any(rung(use) in _STOPPING and use.limit not in stopped for use in uses(self.executor, figures))

    def climb(self, connection: Connection[DictRow], holder: str) -> list[Step]:
        """Bring the switches to where the figures are, in the caller's transaction, and return what changed."""
        locked = connection.execute(sql("watch", "lock"), {"holder": holder}).fetchone()
        row = standing_row(connection, holder)
        figures = standing_of(row)
        if locked is None or row is None or figures is None:
            return []
        steps = self._over(connection, holder, row, {use.limit for use in uses(self.executor, figures)})
        stand = {(switch.kind, switch.cause): switch for switch in standing(connection, holder)}
        for use in uses(self.executor, figures):
            steps += self._move(connection, holder, row, use, stand)
        return steps

    def let_go(self, connection: Connection[DictRow], holder: str) -> list[Step]:
        """End what the ladder reduced, in the caller's transaction: none of its limits is on any more."""
        return self._end(connection, holder, Kind.REDUCING, [*LossLimit, UNREADABLE], "its limits are off")

    def blind(self, connection: Connection[DictRow], holder: str, row: DictRow) -> list[Step]:
        """Reduce the account whose equity nobody can read, in the caller's transaction."""
        facts = {"read_at": row["read_at"], "unreadable_since": row["unreadable_since"]}
        if turn_on(connection, holder=holder, kind=Kind.REDUCING, cause=UNREADABLE, facts=facts, by=self.who):
            return [Step(event="blind", cause=UNREADABLE)]
        return []

    def _over(self, connection: Connection[DictRow], holder: str, row: DictRow, on: set[LossLimit]) -> list[Step]:
        """End what is over by itself: the account can be read, a limit was switched off, a new day began."""
        steps = self._end(connection, holder, Kind.REDUCING, [UNREADABLE], "the account can be read")
        off = [limit for limit in LossLimit if limit not in on]
        steps += self._end(connection, holder, Kind.REDUCING, off, "its limit is off") if off else []
        earlier = {
            switch.kind
            for switch in standing(connection, holder)
            if switch.cause == LossLimit.DAILY_LOSS and switch.set_at < row["started_at"]
        }
        for kind in earlier & self._end_with_the_day():
            steps += self._end(connection, holder, kind, [LossLimit.DAILY_LOSS], "a new day began")
        return steps

    def _end_with_the_day(self) -> set[Kind]:
        resumes = self.executor.limits.next_day == "resume"
        return {Kind.REDUCING, Kind.HALTED} if resumes else {Kind.REDUCING}

    def _move(
        self,
        connection: Connection[DictRow],
        holder: str,
        row: DictRow,
        use: Use,
        stand: Mapping[tuple[Kind, str], Switch],
    ) -> list[Step]:
        reached = rung(use)
        breach = {"holder": holder, "limit": use.limit.value, "reached": reached is Rung.HALT}
        # A person who lifted the halt of this breach is not overruled; the account only reduces then.
        excused = use.limit in row["breached"] and (Kind.HALTED, use.limit) not in stand
        connection.execute(sql("watch", "breach"), breach)
        steps = self._warn(connection, holder, row, use) if reached is not Rung.NONE else []
        if reached is Rung.NONE:
            return self._end(connection, holder, Kind.REDUCING, [use.limit], "the loss shrank", use)
        if reached is Rung.HALT and not excused:
            return steps + self._stop(connection, holder, Kind.HALTED, use)
        if reached in _STOPPING and (Kind.HALTED, use.limit) not in stand:
            return steps + self._stop(connection, holder, Kind.REDUCING, use)
        return steps

    def _warn(self, connection: Connection[DictRow], holder: str, row: DictRow, use: Use) -> list[Step]:
        """Once a day and limit."""
        values = {"holder": holder, "day": row["day"], "limit": use.limit.value}
        new = connection.execute(sql("watch", "warn"), values).fetchone()
        return [Step(event="warned", cause=use.limit, use=use)] if new else []

    def _stop(self, connection: Connection[DictRow], holder: str, kind: Kind, use: Use) -> list[Step]:
        flatten = kind is Kind.HALTED and self.executor.limits.on_breach == "flatten"
        if turn_on(
            connection,
            holder=holder,
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
        holder: str,
        kind: Kind,
        causes: Sequence[str],
        why: str,
        use: Use | None = None,
    ) -> list[Step]:
        gone = turn_off(connection, holder=holder, kinds=[kind], causes=causes, by=self.who, why=why)
        return [Step(event="lifted", cause=switch.cause, use=use) for switch in gone]


def say(executor_id: str, holder: str, steps: list[Step]) -> None:
    """Log what changed."""
    for step in steps:
        facts = {name: str(value) for name, value in step.use.facts().items()} if step.use else {}
        whose = {"executor_id": executor_id, "account": holder, "cause": step.cause}
        match step.event:
            case "warned":
                log.warning("limit.neared", **whose, **facts)
            case "lifted":
                log.info("account.released", **whose, **facts)
            case "blind":
                log.error("account.unreadable", **whose)
            case Kind.REDUCING.value:
                log.warning("account.reduced", **whose, **facts)
            case Kind.HALTED.value:
                log.error("account.halted", **whose, **facts)

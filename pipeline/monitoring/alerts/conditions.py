"""See in the record what is wrong now. Each look is some cheap statements, whatever the past holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import ExecutionRateAlert
from config.schema.executor import ExecutorSettings
from pipeline.intake.routing import OWN
from pipeline.model.reasons import sentence
from pipeline.monitoring.alerts.kinds import AlertKind, Look, Raised, Severity
from pipeline.monitoring.heartbeats import GONE_AFTER
from pipeline.store.statements import sql

# Of one kind; a storm is counted, and told in one message.
_MOST = 1000
#: An outcome that nobody knows for so long is an alert.
UNKNOWN_AFTER = timedelta(seconds=30)
# The first exit and two more tries have failed.
_TRIES = 3

Connected = Connection[DictRow]
Condition = Callable[[Connected, Mapping[str, ExecutorSettings]], Look]


def conditions(rate: ExecutionRateAlert) -> list[Condition]:
    """Return what is looked at."""
    looks: list[Condition] = [_workers, _letters, _unknowns, _switches, _exits_not_done, _exits_late, _late_orders]
    return [*looks, _sources, _refusals, _Rates(rate)]


def keeper_down(connection: Connected) -> Look:
    """Look whether any keeper leads."""
    row = connection.execute(sql("alerts", "keepers")).fetchone()
    assert row is not None
    subject = "no keeper runs: lost jobs, unknown orders, fills and limits are looked after by nobody"
    alert = _alert(AlertKind.KEEPER_DOWN, "", Severity.CRITICAL, subject, {})
    return _look(AlertKind.KEEPER_DOWN, [] if row["count"] else [alert])


def _workers(connection: Connected, executors: Mapping[str, ExecutorSettings]) -> Look:
    rows = connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    alive = {row["name"] for row in rows if row["kind"] == "worker"}
    return _look(
        AlertKind.WORKER_MISSING,
        [
            _alert(AlertKind.WORKER_MISSING, name, Severity.CRITICAL, f"{name} has no worker; its executions wait", {})
            for name in executors
            if name not in alive
        ],
    )


def _letters(connection: Connected, _: Mapping[str, ExecutorSettings]) -> Look:
    rows = connection.execute(sql("alerts", "dead_letters"), {"limit": _MOST}).fetchall()
    raised = [
        _alert(
            AlertKind.DEAD_LETTER,
            f"{row['execution_id']}:{row['number']}",
            Severity.CRITICAL,
            f"dead letter at {_what(row)}: {sentence(row['reason_code'], row['reason_facts'])}",
            {"executor": row["executor_id"], "execution_id": row["execution_id"], "reason": row["reason_code"]},
        )
        for row in rows
    ]
    return _look(AlertKind.DEAD_LETTER, raised, complete=len(rows) < _MOST)


def _unknowns(connection: Connected, _: Mapping[str, ExecutorSettings]) -> Look:
    key = {"age": UNKNOWN_AFTER, "limit": _MOST}
    rows = connection.execute(sql("alerts", "unknowns"), key).fetchall()
    raised = [
        _alert(
            AlertKind.UNKNOWN,
            str(row["execution_id"]),
            Severity.CRITICAL,
            f"nobody knows for {row['age_s']:.0f} s whether there is an order at {_what(row)}",
            {"executor": row["executor_id"], "execution_id": row["execution_id"]},
        )
        for row in rows
    ]
    return _look(AlertKind.UNKNOWN, raised, complete=len(rows) < _MOST)


def _switches(connection: Connected, executors: Mapping[str, ExecutorSettings]) -> Look:
    rows = connection.execute(sql("alerts", "switches"), {"executor_ids": list(executors)}).fetchall()
    return _look(AlertKind.STOPPED, [_stopped(row) for row in rows])


def _stopped(row: DictRow) -> Raised:
    closing = ", and everything is being closed" if row["flatten"] else ""
    why = f" ({row['why']})" if row["why"] else ""
    return _alert(
        AlertKind.STOPPED,
        f"{row['executor_id']}:{row['kind']}:{row['cause']}",
        Severity.CRITICAL if row["kind"] == "halted" else Severity.WARNING,
        f"{row['executor_id']} is {row['kind']}: {row['cause']}{why}, by {row['set_by']}{closing}",
        {"executor": row["executor_id"], "switch": row["kind"], "cause": row["cause"]},
    )


def _exits_not_done(connection: Connected, _: Mapping[str, ExecutorSettings]) -> Look:
    found = {}
    for row in connection.execute(sql("alerts", "exits_tried"), {"source": f"{OWN}exit"}).fetchall():
        root, _, number = row["source_id"].rpartition(":")
        if number.isdecimal() and int(number) >= _TRIES:
            found[root] = _alert(
                AlertKind.EXIT_NOT_DONE,
                root,
                Severity.CRITICAL,
                f"an exit of {row['symbol']} at {row['executor_id']} did not close the position; it is tried again",
                {"executor": row["executor_id"], "symbol": row["symbol"], "execution_id": root},
            )
    return _look(AlertKind.EXIT_NOT_DONE, found.values())


def _exits_late(connection: Connected, executors: Mapping[str, ExecutorSettings]) -> Look:
    raised = []
    for name in executors:
        key = {"executor_id": name, "limit": _MOST}
        for row in connection.execute(sql("exit_follow_up", "late"), key).fetchall():
            waits = f" ({row['reason_code']})" if row["reason_code"] else ""
            subject = f"an exit of {row['symbol']} at {name} waits for {row['age'].total_seconds() / 60:.0f} min{waits}"
            facts = {"executor": name, "execution_id": row["execution_id"]}
            raised.append(_alert(AlertKind.EXIT_LATE, str(row["execution_id"]), Severity.CRITICAL, subject, facts))
    return _look(AlertKind.EXIT_LATE, raised)


def _late_orders(connection: Connected, _: Mapping[str, ExecutorSettings]) -> Look:
    rows = connection.execute(sql("alerts", "late_orders"), {"limit": _MOST}).fetchall()
    raised = [
        _alert(
            AlertKind.LATE_ORDER,
            str(row["execution_id"]),
            Severity.CRITICAL,
            f"the broker holds an order for what had ended here: {_what(row)}",
            {"executor": row["executor_id"], "execution_id": row["execution_id"], "order_id": row["order_id"]},
        )
        for row in rows
    ]
    return _look(AlertKind.LATE_ORDER, raised, complete=len(rows) < _MOST)


def _sources(connection: Connected, _: Mapping[str, ExecutorSettings]) -> Look:
    """Look at what the producers say of their sources."""
    rows = connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    raised = []
    for row in rows:
        for name, health in (row["facts"].get("sources") or {}).items() if row["kind"] == "producer" else ():
            silent, failing = health.get("silent") == "True", health.get("ok") == "False"
            if health.get("finished") == "True" or not (silent or failing):
                continue
            what = "cannot be read" if failing else "is silent for longer than its rhythm"
            said = f", since {health['last_signal_at']}" if health.get("last_signal_at") else ""
            raised.append(
                _alert(AlertKind.SOURCE_SILENT, name, Severity.WARNING, f"the source {name} {what}{said}", {})
            )
    return _look(AlertKind.SOURCE_SILENT, raised)


def _refusals(connection: Connected, executors: Mapping[str, ExecutorSettings]) -> Look:
    rows = connection.execute(sql("alerts", "refusals"), {"executor_ids": list(executors)}).fetchall()
    return _look(
        AlertKind.ACCOUNT_REFUSED,
        [
            _alert(
                AlertKind.ACCOUNT_REFUSED,
                row["executor_id"],
                Severity.CRITICAL,
                f"the broker refuses the account of {row['executor_id']}: {row['message'][:200]}",
                {"executor": row["executor_id"]},
            )
            for row in rows
        ],
    )


class _Rates:
    """Looks at the execution rates; where many executions came, less often, so that it costs a thirtieth at most."""

    _SHARE = 30

    def __init__(self, rate: ExecutionRateAlert) -> None:
        self._rate = rate
        self._not_before = 0.0

    def __call__(self, connection: Connected, _: Mapping[str, ExecutorSettings]) -> Look:
        began = time.monotonic()
        if began < self._not_before:
            return Look(kinds=frozenset(), raised=())
        key = {"window": timedelta(seconds=self._rate.window_s)}
        rows = connection.execute(sql("alerts", "rates"), key).fetchall()
        took_s = time.monotonic() - began
        self._not_before = began + took_s * self._SHARE
        return _look(AlertKind.EXECUTION_RATE, [self._low(row) for row in rows if self._is_low(row)])

    def _is_low(self, row: DictRow) -> bool:
        enough = bool(row["decided"] >= self._rate.minimum)
        return enough and row["ordered"] * 100 < row["decided"] * self._rate.below_percent

    def _low(self, row: DictRow) -> Raised:
        which = f"{row['executor_id']}:{row['mode'].value}"
        minutes = self._rate.window_s // 60
        who = f"{row['executor_id']} ({row['mode'].value})"
        subject = f"{who} made orders of {row['ordered']} out of {row['decided']} executions in {minutes} min"
        facts = {"executor": row["executor_id"], "decided": row["decided"], "ordered": row["ordered"]}
        return _alert(AlertKind.EXECUTION_RATE, which, Severity.CRITICAL, subject, facts)


def _alert(kind: AlertKind, which: str, severity: Severity, subject: str, facts: Mapping[str, Any]) -> Raised:
    key = f"{kind}:{which}" if which else kind.value
    return Raised(key=key, kind=kind, severity=severity, subject=subject, facts=facts)


def _look(kind: AlertKind, raised: Iterable[Raised], *, complete: bool = True) -> Look:
    return Look(kinds=frozenset({kind}), raised=tuple(raised), complete=complete)


def _what(row: Mapping[str, Any]) -> str:
    return f"{row['executor_id']}, {row['action'].value} {row['symbol']}"

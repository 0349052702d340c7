"""Show a drill to a person: a progress bar while it runs, then one table, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.entrypoints.drill.audit import AuditVerdict
from pipeline.entrypoints.drill.recovery import NEVER_S, percentile
from pipeline.entrypoints.drill.result import SLOWEST, Result

#: So many findings are printed; of what tradewire is compared with fewer will do.
_MOST_FINDINGS, _MOST_COMPARED = 50, 3
#: A recovery should not take longer.
_SLOW_S = 10.0


class ProgressBar:
    """A progress bar on the terminal; where there is none, a line per step."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            TextColumn("{task.completed:>5}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[remark]}"),
            console=console,
        )
        self._task: TaskID | None = None
        self._total = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, what: str, total: int) -> None:
        """Finish the last bar and begin another."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._total)
        self._total = total
        self._task = self._progress.add_task(what, total=total, remark="")

    def at(self, done: int, remark: str = "") -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, remark=remark)


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the table, a column per system, and every finding."""
    table = Table(title=f"drill, seed {results[0].seed}", title_justify="left")
    table.add_column("")
    for result in results:
        table.add_column(result.system, justify="right")
    for name, cells in _rows(results):
        table.add_row(name, *cells)
    console.print(table)
    for place, result in enumerate(results):
        most = _MOST_COMPARED if place else _MOST_FINDINGS
        for finding in result.findings[:most]:
            console.print(f"{result.system}: {finding}", markup=False, soft_wrap=True)
        if len(result.findings) > most:
            console.print(f"{result.system}: and {len(result.findings) - most} more (--json lists all)")
        for recovery in result.recoveries[:SLOWEST]:
            if recovery.seconds > _SLOW_S:
                seconds, execution_id = _seconds(recovery.seconds), recovery.execution_id
                console.print(f"{result.system}: slow recovery of {execution_id}: {seconds}", soft_wrap=True)
        if result.kept:
            console.print(f"{result.system}: logs and ledgers are kept in {result.kept}", markup=False, soft_wrap=True)


def _rows(results: Sequence[Result]) -> list[tuple[str, list[str]]]:
    rows = [
        ("signals sent", [str(result.sent) for result in results]),
        ("accepted", [str(result.accepted) for result in results]),
        ("executions owed", [str(result.owed) for result in results]),
        ("orders at the exchange", [str(result.orders) for result in results]),
        ("ended in a reason", [str(sum(result.reasons.values())) for result in results]),
        *_counted("  ", [result.reasons for result in results]),
        ("dead letters", [str(result.dead) for result in results]),
        *((verdict.value, [_verdict(result, verdict) for result in results]) for verdict in AuditVerdict),
    ]
    for name, percent in (("p50", 50), ("p99", 99), ("max", 100)):
        rows.append((f"recovery {name}", [_seconds(percentile(result.recoveries, percent)) for result in results]))
    rows.append(("recoveries measured", [str(len(result.recoveries)) for result in results]))
    rows += _counted("", [result.broken for result in results])
    rows += _counted("broker ", [result.strikes for result in results])
    rows.append(("took", [f"{result.took_s:.0f} s" for result in results]))
    return rows


def _counted(prefix: str, tallies: Sequence[Mapping[str, int]]) -> list[tuple[str, list[str]]]:
    names = sorted({name for tally in tallies for name in tally})
    return [(prefix + name, [_figure(tally.get(name)) for tally in tallies]) for name in names]


def _figure(value: Any) -> str:
    return "" if value is None else str(value)


def _verdict(result: Result, verdict: AuditVerdict) -> str:
    count = result.count(verdict)
    colour = "red" if count else "green"
    return f"[bold {colour}]{count}[/]"


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return "never" if value == NEVER_S else f"{value:.2f} s"

"""Show a drill to a person: a progress bar while it runs, then a table and the findings."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.entrypoints.drill.findings import AuditVerdict
from pipeline.entrypoints.drill.recovery import NEVER_S, PERCENTS, percentile
from pipeline.entrypoints.drill.result import SLOWEST, DrillResult
from pipeline.model.texts import printable

#: At most this many findings are printed.
_MOST_FINDINGS = 50
#: Seconds. Of the longest recoveries, those above this are listed.
_SLOW_S = 10.0


class ProgressBar:
    """A progress bar on the terminal, or one line per step if the output is not a terminal."""

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

    def step(self, name: str, total: int) -> None:
        """Finish the last bar and begin another."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._total)
        self._total = total
        self._task = self._progress.add_task(name, total=total, remark="")

    def advance(self, done: int, remark: str = "") -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, remark=remark)


def show(console: Console, result: DrillResult) -> None:
    """Print the figures as a table, then the first findings and the slow ones among the longest recoveries."""
    table = Table(title=f"drill, seed {result.seed}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, figure in _rows(result):
        table.add_row(name, figure)
    console.print(table)
    for finding in result.findings[:_MOST_FINDINGS]:
        console.print(printable(str(finding)), markup=False, soft_wrap=True)
    if len(result.findings) > _MOST_FINDINGS:
        console.print(f"and {len(result.findings) - _MOST_FINDINGS} more (--json lists all)")
    for recovery in result.recoveries[:SLOWEST]:
        if recovery.seconds > _SLOW_S:
            console.print(f"slow recovery of {recovery.execution_id}: {_seconds(recovery.seconds)}", soft_wrap=True)
    if result.kept:
        console.print(printable(f"logs and ledgers are kept in {result.kept}"), markup=False, soft_wrap=True)


def _rows(result: DrillResult) -> Iterator[tuple[str, str]]:
    yield "signals sent", str(result.sent)
    yield "accepted", str(result.accepted)
    yield "executions", str(result.executions)
    yield "  added by tradewire", str(result.added)
    yield "orders at the exchange", str(result.orders)
    yield "ended with a reason", str(sum(result.reasons.values()))
    yield from _counted("  ", result.reasons)
    yield "dead letters", str(result.dead)
    for verdict in AuditVerdict:
        count = result.count(verdict)
        yield verdict.value, f"[bold {'red' if count else 'green'}]{count}[/]"
    for name, percent in PERCENTS.items():
        yield f"recovery {name}", _seconds(percentile(result.recoveries, percent))
    yield "recoveries measured", str(len(result.recoveries))
    if result.exit_waits:
        yield "exits", str(len(result.exit_waits))
        yield "longest wait of an exit", _seconds(result.exit_waits[0].seconds)
    yield from _counted("", result.broken)
    yield from _counted("broker ", result.fault_hits)
    yield "took", f"{result.took_s:.0f} s"


def _counted(prefix: str, tally: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    return ((prefix + name, str(count)) for name, count in sorted(tally.items()))


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return "never" if value == NEVER_S else f"{value:.2f} s"

"""Draw the figures, fitted to the terminal: accounts, dead letters, newest executions, keys."""

from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.entrypoints.terminal.figures import ExecutorLine, ScreenFigures
from pipeline.model.switches import SwitchKind
from pipeline.model.texts import printable

KEYS = "up/down select  p pause  r resume  h halt  tab dead letters  d requeue  q quit"
# Lines besides the rows: the head, the head of the table, two titles, the message and the keys; and one to spare.
_FIXED = 7
# The strictest first.
_SWITCHES = {
    SwitchKind.HALTED: Text("halted", style="bold red"),
    SwitchKind.REDUCING: Text("closing only", style="yellow"),
    SwitchKind.PAUSED: Text("paused", style="yellow"),
}


@dataclass(kw_only=True)
class View:
    """The selection, the open question and the last message."""

    #: Whether the arrow keys select dead letters; otherwise they select accounts.
    selects_dead_letters: bool = False
    executor: int = 0
    dead_letter: int = 0
    message: str = ""
    #: The open question, and the text that was typed so far.
    question: str | None = None
    typed: str = field(default="")

    def move(self, by: int, figures: ScreenFigures) -> None:
        """Move the selection down by this many lines; up when the number is negative."""
        if self.selects_dead_letters:
            self.dead_letter = max(0, min(self.dead_letter + by, len(figures.dead_letters) - 1))
        else:
            self.executor = max(0, min(self.executor + by, len(figures.lines) - 1))


def draw(figures: ScreenFigures | None, view: View, *, width: int, height: int) -> RenderableType:
    """Return the screen in *height* lines of *width* characters, or in more lines if not all accounts fit."""
    if figures is None:
        return Group(Text("tradewire top"), Text(printable(view.message or "reading the record …"), style="yellow"))
    room = max(height - _FIXED - len(figures.lines), 2)
    # At most a third is for dead letters, the rest for the newest executions.
    dead_rows = min(len(figures.dead_letters), max(1, room // 3))
    newest = max(room - max(dead_rows, 1), 1)
    return Group(
        _head(figures),
        _executors(figures, view, width),
        Text(f"needs you (dead letters): {len(figures.dead_letters) or 'none'}", style="bold"),
        _dead_letters(figures, view, dead_rows),
        Text("newest executions", style="bold"),
        _newest(figures, newest),
        _foot(view),
    )


def _head(figures: ScreenFigures) -> Text:
    ms = figures.latency_ms
    latency = "no order yet" if ms["p50"] is None else f"p50 {ms['p50']:.0f} p99 {ms['p99']:.0f} ms"
    text = f"tradewire {figures.at:%H:%M:%S} UTC   {figures.signals} signals in 1 h   latency {latency}"
    return Text(text, style="reverse", no_wrap=True, overflow="ellipsis")


def _executors(figures: ScreenFigures, view: View, width: int) -> Table:
    table = Table(box=None, pad_edge=False, expand=False, width=width, header_style="bold")
    for title in ("account", "mode", "state", "rate", "open", "oldest", "dead", "workers", "tightest limit"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for number, line in enumerate(figures.lines):
        chosen = number == view.executor and not view.selects_dead_letters
        table.add_row(*_cells(line, chosen=chosen), style="reverse" if chosen else "")
    return table


def _cells(line: ExecutorLine, *, chosen: bool) -> list[RenderableType]:
    switches = {switch.kind for switch in line.switches.switches}
    state = next((text for kind, text in _SWITCHES.items() if kind in switches), Text("trading"))
    rate = "-" if not line.eligible else f"{line.with_order}/{line.eligible} {line.with_order / line.eligible:.0%}"
    tightest = "-" if line.tightest is None else f"{line.tightest.percent:.0f}% {line.tightest.limit}"
    return [
        f"{'>' if chosen else ' '}{line.executor_id}",
        Text(line.mode, style="bold white on red" if line.mode == "live" else ""),  # Real money.
        state,
        rate,
        str(line.open),
        "-" if line.oldest_s is None else f"{line.oldest_s:.0f}s",
        Text(str(line.dead), style="bold red" if line.dead else ""),
        Text(str(line.workers), style="" if line.workers else "bold red"),
        tightest,
    ]


def _dead_letters(figures: ScreenFigures, view: View, most: int) -> Group:
    first = max(0, view.dead_letter - most + 1)  # Scroll down to the selected dead letter.
    rows = []
    for number, dead_letter in list(enumerate(figures.dead_letters))[first : first + most]:
        chosen = view.selects_dead_letters and number == view.dead_letter
        signal = f"{dead_letter.action.value} {dead_letter.symbol}"
        text = f"{dead_letter.opened_at:%H:%M:%S} {dead_letter.executor_id} {signal} {dead_letter.reason}"
        style = "reverse" if chosen else ""
        rows.append(Text(printable(f"{'>' if chosen else ' '}{text}"), style=style, no_wrap=True, overflow="ellipsis"))
    return Group(*rows)


def _newest(figures: ScreenFigures, most: int) -> Group:
    rows = []
    for row in figures.newest[:most]:
        what = row.reason or (f"order {row.order_id}" if row.order_id else "")
        text = (
            f" {row.created_at:%H:%M:%S} {row.executor_id:<10} {row.action.value:<4} {row.symbol:<6} "
            f"{row.state.value:<9} {what}"
        )
        rows.append(Text(printable(text), no_wrap=True, overflow="ellipsis"))
    return Group(*rows)


def _foot(view: View) -> Group:
    if view.question is not None:
        message = Text(printable(f"{view.question} {view.typed}_"), style="bold yellow", no_wrap=True)
    else:
        message = Text(printable(view.message), style="yellow", no_wrap=True, overflow="ellipsis")
    return Group(message, Text(KEYS, style="dim", no_wrap=True, overflow="ellipsis"))

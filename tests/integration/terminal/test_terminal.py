"""`tail` and `top` show a real record. Actions by key are stored with the person and the reason."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from rich.console import Console

from pipeline.accounts.switches import Switches
from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.entrypoints.terminal.actions import Actions
from pipeline.entrypoints.terminal.changes import follow
from pipeline.entrypoints.terminal.figures import read
from pipeline.entrypoints.terminal.screen import KEYS, View, draw
from pipeline.model.switches import SwitchKind
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.store.record import Record
from tests.core_fixtures import Processes, Started
from tests.factories import Core, executor_toml, until

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()=>][B0]?")
WAIT_S = 60.0


class Terminal:
    """A pseudo terminal of 80 by 24 with one command in it."""

    def __init__(self, core: Core, *arguments: str) -> None:
        self.descriptor, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "DATABASE_URL": core.database_url,
            "TRADEWIRE_EXECUTORS": str(core.executors_path),
            "TRADEWIRE_EXCHANGE_URL": core.exchange.url,
            "TRADEWIRE_HOME": str(core.settings.home),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.entrypoints.cli", *arguments],
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._said = ""

    def press(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def shows(self, text: str) -> bool:
        """Return whether the newest screen has *text*."""
        while select.select([self.descriptor], [], [], 0.0)[0]:
            try:
                self._said += os.read(self.descriptor, 65536).decode("utf-8", "replace")
            except OSError:
                break
        screens = self._said.split("tradewire ")
        return text in _ESCAPES.sub("", "".join(screens[-2:]))

    def until(self, text: str) -> None:
        until(lambda: self.shows(text), within_s=WAIT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.descriptor)


@pytest.fixture
def two(make_core: Callable[..., Core]) -> Core:
    made = make_core(executor_toml() + executor_toml("prop_firm"))
    made.prices(AAPL=100, MSFT=100)
    return made


@pytest.fixture
def terminal(two: Core) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(two, *arguments))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def died(core: Core, symbol: str = "MSFT") -> Any:
    """Make a dead letter at argo."""
    execution = core.send(symbol)
    core.rows(
        "UPDATE execution SET state = 'submitting', lease_until = now(), due_at = NULL WHERE execution_id = %s",
        [execution],
    )
    core.rows(
        "UPDATE execution SET state = 'dead', lease_until = NULL, reason_code = 'internal_error' "
        "WHERE execution_id = %s",
        [execution],
    )
    return execution


def drawn(core: Core, view: View, *, width: int = 80, height: int = 24) -> list[str]:
    """Return the screen's lines."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(draw(read(core.record, core.executors), view, width=width, height=height))
    return capture.get().splitlines()


def test_the_screen_has_the_records_figures_in_80_by_24(two: Core) -> None:
    done = two.run(two.send("AAPL"))
    died(two)
    for _ in range(40):
        two.send("AAPL", confidence=10)
    with closing(Heartbeat(two.database_url, kind="worker", name="argo")):
        until(lambda: two.rows("SELECT 1 FROM heartbeat"))
        lines = drawn(two, View())
    text = "\n".join(lines)

    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= 80
    (argo,) = (line for line in lines if line.startswith(">argo"))
    assert argo.split()[:4] == [">argo", "exchange", "trading", "1/2"]
    assert "50%" in argo
    assert " 0 " in next(line for line in lines if line.startswith(" prop_firm"))
    assert "42 signals in 1 h" in text
    assert "needs you (dead letters): 1" in text
    assert "internal_error" in text
    assert "confidence_below_minimum" in text
    assert done["order_id"] is not None
    assert KEYS in text


def test_the_newest_orders_id_is_on_the_screen(two: Core) -> None:
    done = two.run(two.send("AAPL"))

    assert any(str(done["order_id"])[:12] in line for line in drawn(two, View(), width=140))


def test_keys_pause_resume_halt_and_requeue_with_who_and_why(two: Core) -> None:
    letter = died(two)
    actions = Actions(record=two.record, view=View(), by="somebody@here")

    def press(*keys: str) -> str:
        for key in keys:
            assert actions.press(key, read(two.record, two.executors))
        return actions.view.message

    assert press("down", "p") == "prop_firm is paused"
    assert press("r") == "prop_firm: lifted paused"
    assert press("up", "h", "n") == "nothing was changed"
    assert two.rows("SELECT 1 AS one FROM switch") == []
    assert press("h", "y") == "argo is halted"
    assert press("tab", "d", "y") == "requeued BUY MSFT at argo"
    assert press("d").endswith("there is no dead letter")
    assert not actions.press("q", None)

    (switch,) = two.rows("SELECT kind, set_by, why FROM switch")
    (move,) = two.rows("SELECT moved_by, moved_why FROM history WHERE reason_code = 'requeued'")
    assert (switch["kind"], switch["set_by"]) == ("halted", "somebody@here")
    assert move == {"moved_by": "somebody@here", "moved_why": "on `tradewire top`"}
    assert two.state(letter) == "queued"


def test_a_limits_halt_is_lifted_only_with_a_reason(two: Core) -> None:
    two.rows(
        "INSERT INTO switch (switch_id, holder, kind, cause, facts, flatten, set_by) "
        "VALUES (gen_random_uuid(), 'executor:argo', 'halted', 'daily_loss', '{}', false, 'keeper')"
    )
    actions = Actions(record=two.record, view=View(), by="somebody")
    for key in ("r", "enter"):
        actions.press(key, read(two.record, two.executors))
    refused = actions.view.message
    for key in ("r", "k", "o", "x", "back", "enter"):
        actions.press(key, read(two.record, two.executors))

    assert "--why" in refused
    assert actions.view.message == "argo: lifted halted"
    assert two.rows("SELECT 1 AS one FROM switch") == []
    assert "ko" in [row["why"] for row in two.rows("SELECT why FROM switch_history")]


def test_the_command_on_a_terminal_shows_it_acts_and_leaves_the_terminal_as_it_was(
    two: Core, terminal: Callable[..., Terminal]
) -> None:
    died(two)
    screen = terminal("top")
    before = termios.tcgetattr(screen.descriptor)
    screen.until("needs you (dead letters): 1")
    screen.press("h")
    screen.until("halt argo? y/n")
    screen.press("y")
    screen.until("argo is halted")
    screen.press("dy")
    screen.until("needs you (dead letters): none")
    screen.press("q")

    assert screen.process.wait(20) == 0
    assert [row["kind"] for row in two.rows("SELECT kind FROM switch")] == ["halted"]
    assert termios.tcgetattr(screen.descriptor)[3] == before[3]


def test_without_a_terminal_the_screen_says_so(two: Core, processes: Processes) -> None:
    process = processes.start(two, "top")

    assert process.wait(WAIT_S) == 2
    assert "needs a terminal" in processes.said(process)


def tailing(core: Core, processes: Processes, *arguments: str) -> Started:
    """Start `tail`."""
    return processes.start(core, "tail", "--since", "1h", *arguments)


def test_tail_filters_by_executor_symbol_state_and_reason_and_ends_clean(two: Core, processes: Processes) -> None:
    tails = {
        name: tailing(two, processes, *arguments)
        for name, arguments in {
            "reason": ("--reason", "confidence_below_minimum", "--executor", "argo"),
            "symbol": ("--symbol", "aapl", "--json"),
            "status": ("--status", "queued"),
        }.items()
    }
    two.send("MSFT", confidence=10)
    two.run(two.send("AAPL"))
    lines = {name: until(lambda tail=tail: processes.said(tail), within_s=WAIT_S) for name, tail in tails.items()}
    until(lambda: '"filled"' in processes.said(tails["symbol"]) or '"accepted"' in processes.said(tails["symbol"]))
    for tail in tails.values():
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 0

    (reason,) = processes.said(tails["reason"]).splitlines()
    assert "MSFT" in reason
    assert "argo" in reason
    symbols = {json.loads(line)["symbol"] for line in processes.said(tails["symbol"]).splitlines()}
    assert symbols == {"AAPL"}
    assert all("queued" in line for line in lines["status"].splitlines())


def test_tail_shows_the_first_hold_of_an_entry_during_a_pause(two: Core, processes: Processes) -> None:
    Switches(two.record).turn("argo", SwitchKind.PAUSED, by="ann", why="lunch")
    tail = tailing(two, processes, "--executor", "argo")
    held = two.run(two.send("AAPL"))

    line = until(lambda: processes.said(tail), within_s=WAIT_S)
    tail.send_signal(signal.SIGINT)

    assert held["state"] == "held"
    assert "held       paused by=ann" in line


def test_a_reason_that_does_not_exist_is_refused(two: Core, processes: Processes) -> None:
    process = processes.start(two, "tail", "--reason", "bad_luck")

    assert process.wait(WAIT_S) == 2
    assert "tradewire reasons" in processes.said(process)


def test_an_absence_of_postgres_is_said_once_and_nothing_of_that_time_is_missed(two: Core) -> None:
    port, stop, said = free_port(), threading.Event(), []
    moves: list[str] = []
    away = Record(f"postgresql://nobody@127.0.0.1:{port}/none", connections=1, retry_for_s=0.0)

    class Fickle(Record):
        """A record that is away while `there` is not set."""

        there = threading.Event()

        def __init__(self) -> None:
            """Open no connections."""

        def run(self, unit: Any, **more: Any) -> Any:
            return (two.record if self.there.is_set() else away).run(unit, **more)

    fickle = Fickle()
    fickle.there.set()

    def watch() -> None:
        moves.extend(row.symbol for row in follow(fickle, stop, since=None, say=said.append))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        time.sleep(0.5)
        fickle.there.clear()
        until(lambda: said)
        two.send("AAPL", confidence=10)
        time.sleep(1.5)
        fickle.there.set()
        until(lambda: moves)
    finally:
        stop.set()
        thread.join(20)
        away.close()

    assert moves == ["AAPL", "AAPL"]
    assert [line.split(",")[0].split(":")[0] for line in said] == ["PostgreSQL is away", "PostgreSQL is back"]


def test_lists_name_the_next_command_at_a_terminal_and_not_in_a_pipe(
    two: Core, terminal: Callable[..., Terminal], processes: Processes
) -> None:
    died(two)

    terminal("executions").until("why ID` shows")
    terminal("dead", "list").until("dead show ID` shows")
    piped = processes.start(two, "executions")

    assert piped.wait(WAIT_S) == 0
    assert "why ID" not in processes.said(piped)


def test_signals_from_the_keyboard_are_announced_and_no_signal_is_said(
    two: Core, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("signal", "send", "-")

    screen.until("Ctrl-D ends the input")
    screen.press("\x04")
    screen.until("0 signals")

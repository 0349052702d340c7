"""Run the full screen: read the record each second, draw, and act on keys.

rich draws the screen: typer depends on it anyway, and one screen with a few keys needs no further library.
"""

import threading
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.terminal.actions import Actions
from pipeline.entrypoints.terminal.figures import ScreenFigures, read
from pipeline.entrypoints.terminal.keys import Keys, unbuffered
from pipeline.entrypoints.terminal.screen import View, draw
from pipeline.model.errors import TradewireError
from pipeline.store.record import Record

_READ_EVERY_S = 1.0
_KEY_WAIT_S = 0.1  # Seconds after which the screen is drawn again when no key is pressed.


class FigureReader:
    """Reads the figures each second in a thread of its own, so that keys never wait for the database."""

    def __init__(self, record: Record, executors: Mapping[str, ExecutorSettings]) -> None:
        self.figures: ScreenFigures | None = None
        #: Why the figures are old; None while they are current.
        self.failure: str | None = None
        self._record, self._executors = record, executors
        self._stop, self._again = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="figures", daemon=True)
        self._thread.start()

    def read_now(self) -> None:
        """Read at once, because something was changed."""
        self._again.set()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._again.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.figures, self.failure = read(self._record, self._executors), None
            except TradewireError as error:
                self.failure = str(error)
            self._again.wait(_READ_EVERY_S)
            self._again.clear()


def show(
    record: Record,
    executors: Mapping[str, ExecutorSettings],
    *,
    by: str,
    descriptor: int,
    stop: threading.Event,
    refusal: str | None = None,
) -> None:
    """Show the screen on the terminal of *descriptor* until `q`, *stop* or the terminal's end.

    If *refusal* is given, the keys that let an account trade again only show it.
    """
    console, view = Console(), View()
    actions, keys = Actions(record=record, view=view, by=by, refusal=refusal), Keys(descriptor)
    reader = FigureReader(record, executors)
    try:
        with unbuffered(descriptor), Live(console=console, screen=True, auto_refresh=False) as live:
            while not stop.is_set():
                view.message = f"the figures are old: {reader.failure}" if reader.failure else view.message
                live.update(draw(reader.figures, view, width=console.width, height=console.height), refresh=True)
                key = keys.next(_KEY_WAIT_S, text=actions.asks)
                if key is None:
                    continue
                if not actions.press(key, reader.figures):
                    return
                # Show the effect of the key at once.
                reader.read_now()
    except EOFError:
        return
    finally:
        reader.close()

"""Carry out the keys of the screen: set switches and requeue dead letters, and record who did it and why."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.accounts.switches import Switches, is_limit
from pipeline.entrypoints.terminal.figures import ScreenFigures
from pipeline.entrypoints.terminal.keys import BACK, DOWN, ENTER, ESCAPE, TAB, UP
from pipeline.entrypoints.terminal.screen import View
from pipeline.model.errors import NotPossible, TradewireError
from pipeline.model.switches import SwitchKind
from pipeline.operations.dead_letters import DeadLetter, DeadLetters
from pipeline.store.record import Record

_WHY = "on `tradewire top`"
_LONGEST = 60  # Characters of an answer, so that it fits behind its question.
_UNCHANGED = "nothing was changed"


@dataclass(kw_only=True)
class Actions:
    """Carries out one key after the other."""

    record: Record
    view: View
    by: str
    #: Why this screen may not let an account trade again; None if it may.
    refusal: str | None = None
    #: Called with the text when the open question is answered; returns the message to show.
    _answer: Callable[[str], str] = lambda _text: _UNCHANGED

    def press(self, key: str, figures: ScreenFigures | None) -> bool:
        """Act on *key*; return False to leave the screen."""
        if self.view.question is not None:
            self._type(key)
        elif key == "q":
            return False
        elif figures is not None:
            self._command(key, figures)
        return True

    @property
    def asks(self) -> bool:
        """Return whether a question is open, so that keys are text."""
        return self.view.question is not None

    def _command(self, key: str, figures: ScreenFigures) -> None:
        view = self.view
        match key:
            case _ if key in (UP, DOWN):
                view.move(-1 if key == UP else 1, figures)
            case _ if key == TAB:
                view.selects_dead_letters = not view.selects_dead_letters and bool(figures.dead_letters)
            case "p" | "h" | "r" if figures.lines:
                self._switch(key, figures)
            case "d" if figures.dead_letters:
                dead_letter = figures.dead_letters[min(view.dead_letter, len(figures.dead_letters) - 1)]
                what = f"requeue {dead_letter.action.value} {dead_letter.symbol} at {dead_letter.executor_id}? y/n"
                self._ask(what, lambda text: self._requeue(dead_letter, text))
            case "d":
                view.message = "no account needs you: there is no dead letter"

    def _switch(self, key: str, figures: ScreenFigures) -> None:
        # The list may have become shorter since the selection moved.
        line = figures.lines[min(self.view.executor, len(figures.lines) - 1)]
        name, live = line.executor_id, " (LIVE)" if line.mode == "live" else ""
        if key == "p":
            self._do(lambda: self._turn(name, SwitchKind.PAUSED))
        elif key == "h":
            self._ask(
                f"halt {name}{live}? y/n",
                lambda text: self._turn(name, SwitchKind.HALTED) if _yes(text) else _UNCHANGED,
            )
        elif any(switch.kind is SwitchKind.HALTED and is_limit(switch) for switch in line.switches.switches):
            self._ask(
                f"{name}{live} was halted by a limit. Why may it trade again?", lambda text: self._resume(name, text)
            )
        else:
            self._do(lambda: self._resume(name, _WHY))

    def _turn(self, name: str, kind: SwitchKind) -> str:
        Switches(self.record).turn(name, kind, by=self.by, why=_WHY)
        return f"{name} is {kind.value}"

    def _resume(self, name: str, why: str) -> str:
        self._may_trade()
        lifted = Switches(self.record).resume(name, by=self.by, why=why.strip() or None).lifted
        kinds = ", ".join(switch.kind.value for switch in lifted)
        return f"{name}: lifted {kinds}" if lifted else f"{name}: no switch was on"

    def _requeue(self, dead_letter: DeadLetter, text: str) -> str:
        if not _yes(text):
            return _UNCHANGED
        self._may_trade()
        DeadLetters(self.record).requeue(dead_letter.execution_id, by=self.by, why=_WHY)
        return f"requeued {dead_letter.action.value} {dead_letter.symbol} at {dead_letter.executor_id}"

    def _may_trade(self) -> None:
        if self.refusal is not None:
            raise NotPossible(self.refusal)

    def _ask(self, question: str, answer: Callable[[str], str]) -> None:
        self.view.question, self.view.typed, self._answer = question, "", answer

    def _type(self, key: str) -> None:
        view = self.view
        if key == ESCAPE:
            view.question, view.message = None, _UNCHANGED
        elif key == BACK:
            view.typed = view.typed[:-1]
        elif key == ENTER or (view.question or "").endswith("y/n"):
            text, view.question = view.typed if key == ENTER else key, None
            answer = self._answer
            self._do(lambda: answer(text))
        elif len(key) == 1 and key.isprintable() and len(view.typed) < _LONGEST:
            view.typed += key

    def _do(self, act: Callable[[], str]) -> None:
        try:
            self.view.message = act()
        except TradewireError as error:
            self.view.message = str(error)


def _yes(text: str) -> bool:
    return text.strip().lower() in ("y", "yes")

"""What a person does from the page: switches and dead letters, each behind a form that asks who and why."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from pipeline.accounts.switches import Switches
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.access import Form, PageRefused, PageRoute, PageVisit, go_to, visited_by
from pipeline.entrypoints.web.page.rendering import page
from pipeline.model.errors import NotPossible
from pipeline.model.switches import SwitchKind
from pipeline.operations.tokens import Scope
from pipeline.views.history import signal_history

ALL = "all"
_LONGEST = 300


@dataclass(frozen=True, kw_only=True)
class Verb:
    """Something that a person may ask for."""

    says: str
    #: What happens then, in a sentence.
    means: str
    done: str
    #: It asks to be confirmed once more.
    grave: bool = False


SWITCHES = MappingProxyType(
    {
        "pause": Verb(
            says="Pause", means="Entries are held until somebody resumes; exits go.", done="Paused: entries are held."
        ),
        "resume": Verb(
            says="Resume",
            means="Every switch of the account is lifted; what was held goes on at once.",
            done="Resumed: every switch is lifted.",
        ),
        "reduce": Verb(
            says="Reduce",
            means="Entries are skipped and working entries are canceled until somebody resumes; exits go.",
            done="Reducing: entries are skipped, exits go.",
        ),
        "halt": Verb(
            says="Halt",
            means="Entries are skipped and working entries are canceled; only a person lifts it. Exits go.",
            done="Halted: entries are skipped until a person resumes.",
            grave=True,
        ),
        "flatten": Verb(
            says="Flatten",
            means="Halt, cancel every order, close every position at the market, and again until nothing is left.",
            done="Flattening: halted, and everything is being closed.",
            grave=True,
        ),
    }
)
LETTERS = MappingProxyType(
    {
        "requeue": Verb(
            says="Requeue",
            means="It goes back to work. An order that may exist is looked up before anything is sent.",
            done="Requeued: it goes back to work within seconds.",
        ),
        "discard": Verb(
            says="Discard",
            means="It is closed for good and nothing is sent. Nobody can requeue it after that.",
            done="Discarded: it is closed for good.",
            grave=True,
        ),
    }
)
_KINDS = MappingProxyType(
    {"pause": SwitchKind.PAUSED, "reduce": SwitchKind.REDUCING, "halt": SwitchKind.HALTED, "flatten": SwitchKind.HALTED}
)


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    visit = visited_by(context.gate, Scope.OPERATE)
    switches = Switches(context.record)

    @routes.get("/act/{verb}")
    def ask(
        verb: str,
        *,
        visitor: PageVisit = visit,
        executor: Annotated[str, Query(max_length=100)] = "",
        execution: UUID | None = None,
    ) -> Response:
        if verb in SWITCHES:
            names = _names(context, executor)
            modes = {name: context.executors[name].mode for name in names}
            return page("act.html", visit=visitor, verb=verb, act=SWITCHES[verb], executor=executor, modes=modes)
        if verb not in LETTERS or execution is None:
            raise PageRefused(404, "there is no such page")
        executions = signal_history(context.record, execution).executions
        one = next((each for each in executions if each.execution_id == execution), None)
        if one is None:
            raise NotPossible(f"{execution} is a signal, not one execution of it")
        return page("act.html", visit=visitor, verb=verb, act=LETTERS[verb], one=one, modes={})

    @routes.post("/act/{verb}")
    def act(verb: str, form: Form, visitor: PageVisit = visit) -> Response:
        verbs = {**SWITCHES, **LETTERS}
        if verb not in verbs:
            raise PageRefused(404, "there is no such page")
        by, why = _who(form, visitor), _said(form, "why")
        if verbs[verb].grave and "confirmed" not in form:
            raise PageRefused(422, f"{verbs[verb].says} asks for a tick in the box that confirms it")
        if verb in SWITCHES:
            _turn(context, switches, verb, form, by=by, why=why)
        else:
            _close(context, verb, form, by=by, why=why)
        return go_to(f"/?done={verb}")

    return routes


def _turn(context: WebContext, switches: Switches, verb: str, form: dict[str, str], *, by: str, why: str) -> None:
    for name in _names(context, form.get("executor", "")):
        if verb == "resume":
            switches.resume(name, by=by, why=why)
        else:
            switches.turn(name, _KINDS[verb], flatten=verb == "flatten", by=by, why=why)


def _close(context: WebContext, verb: str, form: dict[str, str], *, by: str, why: str) -> None:
    which = _id(form.get("execution", ""))
    if verb == "requeue":
        context.letters.requeue(which, by=by, why=why, accept_age="accept_age" in form)
    else:
        context.letters.discard(which, by=by, why=why)


def _names(context: WebContext, executor: str) -> list[str]:
    if executor == ALL:
        return list(context.executors)
    if executor not in context.executors:
        raise PageRefused(404, f"there is no executor {executor!r} in the file")
    return [executor]


def _who(form: dict[str, str], visitor: PageVisit) -> str:
    """Return whose name the history keeps: what the person says, and the token, which cannot be made up."""
    return f"{_said(form, 'who')} ({visitor.holder.name}@page)"


def _said(form: dict[str, str], field: str) -> str:
    text = "".join(letter for letter in form.get(field, "") if letter.isprintable()).strip()
    if not text:
        raise PageRefused(422, f"say {field}: it is kept in the history")
    return text[:_LONGEST]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise PageRefused(422, f"{text[:40]!r} is no execution's id") from None

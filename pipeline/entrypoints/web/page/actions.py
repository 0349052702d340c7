"""Set switches, and requeue or discard dead letters, from the page. Each form asks for a name and a reason."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.operating import Turn, apply_turn
from pipeline.entrypoints.web.page.access import Form, PageRefused, PageRoute, PageVisit, go_to, visited_by
from pipeline.entrypoints.web.page.rendering import page
from pipeline.model.errors import NotPossible
from pipeline.operations.tokens import Scope
from pipeline.views.history import signal_history
from pipeline.views.history_schemas import ExecutionHistory

ALL = "all"
_LONGEST = 300


@dataclass(frozen=True, kw_only=True)
class PageAction:
    """An action that the page offers."""

    label: str
    #: The effect of the action, in a sentence or two.
    means: str
    #: The notice after it was done.
    done: str
    #: Whether the form asks for a confirmation.
    grave: bool = False


SWITCHES = MappingProxyType(
    {
        "pause": PageAction(
            label="Pause",
            means="Entries wait until a person resumes. Exits are sent.",
            done="Paused: entries wait, exits are sent.",
        ),
        "resume": PageAction(
            label="Resume",
            means="Every switch of the account is lifted, and waiting entries go on at once.",
            done="Resumed: every switch is lifted.",
        ),
        "reduce": PageAction(
            label="Reduce",
            means="Closing only, until a person resumes: entries are skipped and working entries are canceled.",
            done="Closing only: entries are skipped, exits are sent.",
        ),
        "halt": PageAction(
            label="Halt",
            means="Entries are skipped and working entries are canceled until a person resumes. Exits are sent.",
            done="Halted: entries are skipped until a person resumes.",
            grave=True,
        ),
        "flatten": PageAction(
            label="Flatten",
            means="Halt, cancel every order and close every position at the market, until nothing is left.",
            done="Flattening: halted, and every position is being closed.",
            grave=True,
        ),
    }
)
LETTERS = MappingProxyType(
    {
        "requeue": PageAction(
            label="Requeue",
            means="The execution starts again. An order that may be at the broker is looked up first.",
            done="Requeued: the execution starts within seconds.",
        ),
        "discard": PageAction(
            label="Discard",
            means="The execution is closed for good, and nothing is sent. It cannot be requeued after that.",
            done="Discarded: the execution is closed for good.",
            grave=True,
        ),
    }
)


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    visit = visited_by(context.gate, Scope.OPERATE)

    @routes.get("/act/{verb}")
    def ask(
        verb: str,
        *,
        visitor: PageVisit = visit,
        executor: Annotated[str, Query(max_length=100)] = "",
        execution: UUID | None = None,
    ) -> Response:
        if verb in SWITCHES:
            modes = {name: context.executors[name].mode for name in _names(context, executor)}
            return page("act.html", visit=visitor, verb=verb, act=SWITCHES[verb], executor=executor, modes=modes)
        if verb not in LETTERS or execution is None:
            raise PageRefused(404, "there is no such page")
        one = _execution(context, execution)
        return page("act.html", visit=visitor, verb=verb, act=LETTERS[verb], one=one, modes={})

    _add_post(routes, context)
    return routes


def _add_post(routes: APIRouter, context: WebContext) -> None:
    visit = visited_by(context.gate, Scope.OPERATE)
    actions = {**SWITCHES, **LETTERS}

    @routes.post("/act/{verb}")
    def act(verb: str, form: Form, visitor: PageVisit = visit) -> Response:
        if verb not in actions:
            raise PageRefused(404, "there is no such page")
        by, why = _who(form, visitor), _text(form, "why")
        if actions[verb].grave and "confirmed" not in form:
            raise PageRefused(422, f"{actions[verb].label}: tick the box that confirms it")
        if verb in SWITCHES:
            _turn(context, verb, form, by=by, why=why)
        else:
            _close(context, verb, form, by=by, why=why)
        return go_to(f"/?done={verb}")


def _execution(context: WebContext, execution_id: UUID) -> ExecutionHistory:
    executions = signal_history(context.record, execution_id).executions
    found = next((each for each in executions if each.execution_id == execution_id), None)
    if found is None:
        raise NotPossible(f"{execution_id} is a signal and not an execution")
    return found


def _turn(context: WebContext, verb: str, form: dict[str, str], *, by: str, why: str) -> None:
    for name in _names(context, form.get("executor", "")):
        apply_turn(context.record, name, Turn(verb), by=by, why=why)


def _close(context: WebContext, verb: str, form: dict[str, str], *, by: str, why: str) -> None:
    which = _id(form.get("execution", ""))
    if verb == "requeue":
        context.dead_letters.requeue(which, by=by, why=why, accept_age="accept_age" in form)
    else:
        context.dead_letters.discard(which, by=by, why=why)


def _names(context: WebContext, executor: str) -> list[str]:
    if executor == ALL:
        return list(context.executors)
    if executor not in context.executors:
        raise PageRefused(404, f"there is no account {executor!r} in the file")
    return [executor]


# The history also keeps the token's name, because a person can type any name into the form.
def _who(form: dict[str, str], visitor: PageVisit) -> str:
    return f"{_text(form, 'who')} ({visitor.holder.name}@page)"


def _text(form: dict[str, str], field: str) -> str:
    text = "".join(letter for letter in form.get(field, "") if letter.isprintable()).strip()
    if not text:
        raise PageRefused(422, f"fill in {field}: it is kept in the history")
    return text[:_LONGEST]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise PageRefused(422, f"{text[:40]!r} is not the id of an execution") from None

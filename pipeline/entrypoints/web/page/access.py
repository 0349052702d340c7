"""Who visits the page: only a session with the right scope, and forms only from the page itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from pipeline.entrypoints.web.api.auth import Gate
from pipeline.entrypoints.web.api.sessions import FIELD, BrowserSession
from pipeline.entrypoints.web.page.rendering import HEADERS, page
from pipeline.model.errors import NotMigrated, NotPossible, RecordUnavailable
from pipeline.operations.tokens import Holder, Scope


class PageRefused(Exception):
    """A visit that ends with a page that says why."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class NobodyYet(Exception):
    """Nobody has logged in."""


@dataclass(frozen=True, kw_only=True)
class PageVisit:
    """One request of somebody who logged in."""

    holder: Holder
    session: BrowserSession
    #: What every form carries.
    csrf: str

    @property
    def may_operate(self) -> bool:
        """Say whether this visitor sees buttons."""
        return Scope.OPERATE in self.holder.scopes


def go_to(path: str) -> RedirectResponse:
    """Send the browser to another page with a GET."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


class PageRoute(APIRoute):
    """A route whose refusals are pages and not JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with a page for everything that may go wrong on purpose."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except NobodyYet:
                wanted = request.url.path if request.method == "GET" else "/"
                return go_to("/login" if wanted == "/" else f"/login?next={quote(wanted)}")
            except PageRefused as error:
                return page("refused.html", status=error.status, says=str(error))
            except NotPossible as error:
                return page("refused.html", status=409, says=str(error))
            except RequestValidationError:
                return page("refused.html", status=422, says="this address is not understood")
            except (RecordUnavailable, NotMigrated) as error:
                return page("refused.html", status=503, says=f"{error}. Nothing can be shown or done until it is back.")

        return answer


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; the body is bounded before it comes here."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


Form = Annotated[dict[str, str], Depends(form_of)]


def check_form(gate: Gate, session: BrowserSession | None, form: dict[str, str]) -> BrowserSession:
    """Return the session that the form is from.

    Raises:
        Refused: it is from another page, or the session is over.
    """
    if session is None or not gate.sessions.is_from(session, form.get(FIELD)):
        raise PageRefused(
            403, "this form is not from this page, or your session is over: go back, load it anew, try again"
        )
    return session


def visited_by(gate: Gate, scope: Scope) -> Any:
    """Return the dependency that lets in a session with *scope*, and a POST only from the page's own forms."""

    async def let_in(request: Request) -> PageVisit:
        session = gate.sessions.of(request)
        if session is None or session.name is None:
            raise NobodyYet
        holder = await run_in_threadpool(gate.named, session.name)
        if holder is None:
            raise NobodyYet
        if scope not in holder.scopes:
            raise PageRefused(403, f"the token {holder.name} does not have the scope {scope.value}")
        if gate.count(f"page:{holder.name}") is not None:
            raise PageRefused(429, "this token has used its requests of the minute")
        if request.method == "POST":
            check_form(gate, session, await form_of(request))
        return PageVisit(holder=holder, session=session, csrf=gate.sessions.token_of(session))

    return Depends(let_in)

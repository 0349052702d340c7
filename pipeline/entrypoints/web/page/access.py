"""Check every request to the page: the session, its scope, and that a form comes from the page itself."""

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
from pipeline.entrypoints.web.api.errors import sentence_of
from pipeline.entrypoints.web.api.sessions import FIELD, BrowserSession
from pipeline.entrypoints.web.page.rendering import HEADERS, page
from pipeline.model.errors import NotPossible, RecordUnavailable
from pipeline.operations.tokens import Holder, Scope


class PageRefused(Exception):
    """A request is refused with a page that explains why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LoginNeeded(Exception):
    """The browser has no session with a valid token."""


@dataclass(frozen=True, kw_only=True)
class PageVisit:
    """One request of a logged-in person."""

    holder: Holder
    session: BrowserSession
    #: The token against forgery that every form sends.
    csrf: str

    @property
    def may_operate(self) -> bool:
        """Return whether the visitor may operate, so that the page shows buttons."""
        return Scope.OPERATE in self.holder.scopes


def go_to(path: str) -> RedirectResponse:
    """Return a redirection to another page, which the browser opens with a GET."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


class PageRoute(APIRoute):
    """A route that answers refusals with pages, not with JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with a page for every expected error."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except LoginNeeded:
                # After the login the browser opens this path with a GET, so do not use the path of a sent form.
                wanted = request.url.path if request.method == "GET" else "/"
                return go_to("/login" if wanted == "/" else f"/login?next={quote(wanted)}")
            except PageRefused as error:
                return page("refused.html", status=error.status, message=str(error))
            except NotPossible as error:
                return page("refused.html", status=409, message=str(error))
            except RequestValidationError:
                return page("refused.html", status=422, message="this address is not understood")
            except RecordUnavailable as error:
                return page(
                    "refused.html", status=503, message=f"{sentence_of(error)}. Nothing works until it is back."
                )

        return answer


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form. `RequestLimits` has checked the length of the body."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


Form = Annotated[dict[str, str], Depends(form_of)]


def check_form(gate: Gate, session: BrowserSession | None, form: dict[str, str]) -> BrowserSession:
    """Return the session of *form*.

    Raises:
        PageRefused: the form is from another page, or the session is over.
    """
    if session is None or not gate.sessions.is_from(session, form.get(FIELD)):
        raise PageRefused(
            403, "this form is not from this page, or your session is over: go back, reload the page, and try again"
        )
    return session


def admit(gate: Gate, request: Request, scope: Scope) -> PageVisit:
    """Return the visit of a request whose session has *scope*, and count the request.

    Raises:
        LoginNeeded: there is no session, or its token was revoked.
        PageRefused: the token does not have the scope, or has used up its requests of this minute.
        RecordUnavailable: the token must be looked up, and PostgreSQL is away.
    """
    session = gate.session_of(request)
    holder = None if session is None or session.name is None else gate.named(session.name)
    if session is None or holder is None:
        raise LoginNeeded
    if scope not in holder.scopes:
        raise PageRefused(403, f"the token {holder.name} does not have the scope {scope.value}")
    if gate.count(f"page:{holder.name}") is not None:
        raise PageRefused(429, "this token has used up this minute's requests")
    return PageVisit(holder=holder, session=session, csrf=gate.sessions.token_of(session))


def visited_by(gate: Gate, scope: Scope) -> Any:
    """Return a dependency of routes: it requires a session with *scope*, and accepts only the page's own forms."""

    async def let_in(request: Request) -> PageVisit:
        visit = await run_in_threadpool(admit, gate, request, scope)
        if request.method == "POST":
            check_form(gate, visit.session, await form_of(request))
        return visit

    return Depends(let_in)

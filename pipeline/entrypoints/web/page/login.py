"""Log in to the page with a token, and log out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from config.login_link import PATH, use_login_link
from pipeline.entrypoints.web.api.auth import Gate
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.peer import peer_of
from pipeline.entrypoints.web.page.access import Form, PageRefused, PageRoute, check_form, go_to
from pipeline.entrypoints.web.page.rendering import page
from pipeline.operations.tokens import MAIN, Scope

# The rest of a longer token is cut off: our tokens are shorter, and hashing more would only cost time.
_LONGEST_TOKEN = 1000


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    gate = context.gate

    @routes.get("/login")
    def login_form(request: Request, wanted: Annotated[str, Query(alias="next", max_length=200)] = "/") -> Response:
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            # The browser sends no session cookie with a link from another site. It sends the cookie with the next page.
            return page("arrived.html", wanted=_own_path(wanted))
        return _login_page(gate, request, wanted=_own_path(wanted), message=None)

    @routes.post("/login")
    def login(request: Request, form: Form) -> Response:
        return _login(gate, request, form)

    @routes.get(PATH + "{code}")
    def login_once(request: Request, code: str) -> Response:
        if gate.count("page:link") is not None or not use_login_link(context.settings.home, code[:_LONGEST_TOKEN]):
            message = "This link was used before, or is too old. Log in with a token."
            return _login_page(gate, request, wanted="/", message=message, status=403)
        # A browser's history keeps no redirections, so the code does not stay in it. The code also works only once.
        answer = go_to("/")
        gate.sessions.keep(answer, gate.sessions.new(MAIN), secure=request.url.scheme == "https")
        return answer

    @routes.post("/logout")
    def logout(request: Request, form: Form) -> Response:
        gate.end_session(check_form(gate, gate.session_of(request), form))
        answer = go_to("/login")
        gate.sessions.end(answer)
        return answer

    return routes


def _login(gate: Gate, request: Request, form: dict[str, str]) -> Response:
    check_form(gate, gate.sessions.of_login(request), form)
    token, address = form.get("token", "").strip()[:_LONGEST_TOKEN], peer_of(request)
    with gate.guesses.trying(address, token) as guess:
        if guess.wait_s is not None:
            raise PageRefused(429, "there were too many wrong tokens in this minute: wait, and try again")
        holder = gate.holder(token)
        guess.right = holder is not None
    wanted = _own_path(form.get("next", "/"))
    if holder is None:
        return _login_page(gate, request, wanted=wanted, message="This token is unknown or revoked.", status=403)
    if Scope.READ not in holder.scopes:
        message = f"The token {holder.name} may not read: it lacks the scope read."
        return _login_page(gate, request, wanted=wanted, message=message, status=403)
    answer = go_to(wanted)
    gate.sessions.keep(answer, gate.sessions.new(holder.name), secure=request.url.scheme == "https")
    return answer


def _login_page(gate: Gate, request: Request, *, wanted: str, message: str | None, status: int = 200) -> Response:
    held = gate.sessions.of_login(request)
    session = held or gate.sessions.new(None)
    answer = page("login.html", status=status, csrf=gate.sessions.token_of(session), wanted=wanted, message=message)
    if held is None:
        gate.sessions.keep(answer, session, secure=request.url.scheme == "https")
    return answer


# A login must not redirect to another site.
def _own_path(wanted: str) -> str:
    own = wanted.startswith("/") and not wanted.startswith("//") and wanted.isprintable() and "\\" not in wanted
    return wanted if own else "/"

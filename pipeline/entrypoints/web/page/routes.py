"""The page at `/`: what signals became, how executors stand, and what waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.access import PageRefused, PageRoute, PageVisit, visited_by
from pipeline.entrypoints.web.page.actions import LETTERS, SWITCHES
from pipeline.entrypoints.web.page.figures import WINDOWS
from pipeline.entrypoints.web.page.panels import Shown
from pipeline.entrypoints.web.page.rendering import HEADERS, page, prepare, static_files
from pipeline.entrypoints.web.page.timeline import timeline
from pipeline.model.symbols import canonical
from pipeline.operations.tokens import Scope
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.views.history import signal_history

# A page does not wait for Redis: it says that it does not answer.
_QUEUE_PATIENCE_S = 0.3
_FOR_EVER = "public, max-age=31536000, immutable"

_Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00-\x1f]*$")]


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    visit = visited_by(context.gate, Scope.READ)
    shown = _shown(context)
    prepare()
    _add_whole(routes, shown, visit)
    _add_parts(routes, shown, visit)

    @routes.get("/lives/{which}")
    def one_life(which: UUID, visitor: PageVisit = visit) -> Response:
        found = signal_history(context.record, which, executors=context.executors)
        lives = [(execution.to_json(), timeline(execution)) for execution in found.executions]
        return page("life.html", visit=visitor, signal=found.signal.to_json(), lives=lives, which=str(which))

    @routes.get("/static/{name}")
    def static(name: str) -> Response:
        found = static_files().get(name)
        if found is None:
            raise PageRefused(404, "there is no such file")
        return Response(found[0], media_type=found[1], headers=HEADERS | {"Cache-Control": _FOR_EVER})

    return routes


def _add_whole(routes: APIRouter, shown: Shown, visit: Any) -> None:
    """Add the page as a browser first asks for it."""

    @routes.get("/")
    def whole(
        *,
        visitor: PageVisit = visit,
        symbol: _Word = "",
        source: _Word = "",
        cursor: _Word = "",
        window: _Word = "24h",
        done: _Word = "",
    ) -> Response:
        verbs = {**SWITCHES, **LETTERS}
        values: dict[str, Any] = {"visit": visitor, "done": verbs[done].done if done in verbs else None}
        for read in _parts(shown).values():
            values |= read()
        values |= shown.charts(_window(window)) | _signals(shown, symbol, source, cursor)
        return page("page.html", windows=WINDOWS, **values)


def _add_parts(routes: APIRouter, shown: Shown, visit: Any) -> None:
    """Add the parts of the page, each by itself: what its script asks for when something moved."""
    parts = _parts(shown)

    @routes.get("/parts/signals")
    def signals_part(
        visitor: PageVisit = visit, symbol: _Word = "", source: _Word = "", cursor: _Word = ""
    ) -> Response:
        return page("signals.html", visit=visitor, **_signals(shown, symbol, source, cursor))

    @routes.get("/parts/charts")
    def charts_part(visitor: PageVisit = visit, window: _Word = "24h") -> Response:
        return page("charts.html", visit=visitor, windows=WINDOWS, **shown.charts(_window(window)))

    @routes.get("/parts/{name}")
    def part(name: str, visitor: PageVisit = visit) -> Response:
        if name not in parts:
            raise PageRefused(404, "there is no such page")
        return page(f"{name}.html", visit=visitor, **parts[name]())


def _parts(shown: Shown) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what needs no word of the visitor's, by the name of its template."""
    return {
        "executors": shown.executors,
        "letters": shown.letters,
        "processes": shown.processes,
        "refusals": shown.refusals,
    }


def _shown(context: WebContext) -> Shown:
    url = context.settings.redis_url
    if url is None:
        return Shown(context, None)
    return Shown(context, ExecutionQueue(connect(url.get_secret_value(), timeout_s=_QUEUE_PATIENCE_S)))


def _signals(shown: Shown, symbol: str, source: str, cursor: str) -> dict[str, Any]:
    try:
        wanted = canonical(symbol) if symbol.strip() else None
        return shown.signals(symbol=wanted, source=source.strip() or None, cursor=cursor or None)
    except ValueError as error:
        # No symbol, or a cursor of another list.
        raise PageRefused(422, str(error)) from None


def _window(window: str) -> str:
    if window not in WINDOWS:
        raise PageRefused(422, f"a window is one of {', '.join(WINDOWS)}")
    return window

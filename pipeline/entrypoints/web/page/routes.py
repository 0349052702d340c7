"""The page at `/`: signals with their outcomes, the accounts, and what needs a person."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.access import PageRefused, PageRoute, PageVisit, visited_by
from pipeline.entrypoints.web.page.actions import LETTERS, SWITCHES
from pipeline.entrypoints.web.page.figures import WINDOWS
from pipeline.entrypoints.web.page.panels import PageData
from pipeline.entrypoints.web.page.rendering import HEADERS, page, prepare, static_files
from pipeline.entrypoints.web.page.timeline import timeline
from pipeline.model.symbols import canonical
from pipeline.operations.tokens import Scope
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.views.history import signal_history

# Seconds that the page waits for Redis. After that, it shows that Redis does not answer.
_QUEUE_TIMEOUT_S = 0.3
_FOR_EVER = "public, max-age=31536000, immutable"

_Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00-\x1f]*$")]


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    visit = visited_by(context.gate, Scope.READ)
    data = _page_data(context)
    prepare()
    _add_whole(routes, data, visit)
    _add_parts(routes, data, visit)

    @routes.get("/lives/{which}")
    def one_life(which: UUID, visitor: PageVisit = visit) -> Response:
        found = signal_history(context.record, which, executors=context.executors)
        lives = [(execution.to_json(), timeline(execution)) for execution in found.executions]
        return page("life.html", visit=visitor, signal=found.signal.to_json(), lives=lives, which=str(which))

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        found = static_files().get(name)
        if found is None:
            raise PageRefused(404, "there is no such file")
        return Response(found[0], media_type=found[1], headers=HEADERS | {"Cache-Control": _FOR_EVER})

    return routes


def _add_whole(routes: APIRouter, data: PageData, visit: Any) -> None:
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
        actions = {**SWITCHES, **LETTERS}
        values: dict[str, Any] = {"visit": visitor, "done": actions[done].done if done in actions else None}
        for read in _parts(data).values():
            values |= read()
        values |= data.charts(_window(window)) | _signals(data, symbol, source, cursor)
        return page("page.html", windows=WINDOWS, **values)


# The page's script reads these parts again when an execution's state has changed.
def _add_parts(routes: APIRouter, data: PageData, visit: Any) -> None:
    parts = _parts(data)

    @routes.get("/parts/signals")
    def signals_part(
        visitor: PageVisit = visit, symbol: _Word = "", source: _Word = "", cursor: _Word = ""
    ) -> Response:
        return page("signals.html", visit=visitor, **_signals(data, symbol, source, cursor))

    @routes.get("/parts/charts")
    def charts_part(visitor: PageVisit = visit, window: _Word = "24h") -> Response:
        return page("charts.html", visit=visitor, windows=WINDOWS, **data.charts(_window(window)))

    @routes.get("/parts/{name}")
    def part(name: str, visitor: PageVisit = visit) -> Response:
        if name not in parts:
            raise PageRefused(404, "there is no such page")
        return page(f"{name}.html", visit=visitor, **parts[name]())


def _parts(data: PageData) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return the parts that need no parameter, by the name of their template."""
    return {
        "executors": data.executors,
        "letters": data.letters,
        "processes": data.processes,
        "refusals": data.refusals,
    }


def _page_data(context: WebContext) -> PageData:
    url = context.settings.redis_url
    if url is None:
        return PageData(context, None)
    return PageData(context, ExecutionQueue(connect(url.get_secret_value(), timeout_s=_QUEUE_TIMEOUT_S)))


def _signals(data: PageData, symbol: str, source: str, cursor: str) -> dict[str, Any]:
    try:
        wanted = canonical(symbol) if symbol.strip() else None
        return data.signals(symbol=wanted, source=source.strip() or None, cursor=cursor or None)
    except ValueError as error:
        # The symbol is not valid, or the cursor belongs to another list.
        raise PageRefused(422, str(error)) from None


def _window(window: str) -> str:
    if window not in WINDOWS:
        raise PageRefused(422, f"a window is one of {', '.join(WINDOWS)}")
    return window

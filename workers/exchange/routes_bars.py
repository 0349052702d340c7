"""Answer `/bars`, without authentication: the price bars that the exchange has played."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from workers.exchange.runtime import ExchangeRuntime

#: The longest time that one request may wait, in seconds.
_LONGEST_WAIT_S = 60.0
_MOST_DAYS = 5000


def bars_routes(runtime: ExchangeRuntime) -> list[Route]:
    """Return the routes that read the bars of *runtime*."""

    async def cycles(request: Request) -> JSONResponse:
        after = _integer(request, "after", 0)
        wait = _number(request, "wait")
        if after is None or wait is None:
            return JSONResponse({"message": "after and wait must be numbers"}, 422)
        await runtime.wait_for_cycle(after, min(max(wait, 0.0), _LONGEST_WAIT_S))
        tape, cursor = runtime.tape, runtime.cursor
        found = tape.after(after, cursor) if tape is not None and cursor is not None else []
        await runtime.committed()
        return JSONResponse({"cursor": cursor, "cadence_s": runtime.cadence_s, "cycles": found})

    async def history(request: Request) -> JSONResponse:
        until, days = _integer(request, "until", runtime.cursor or 0), _integer(request, "days", 1)
        tape, cursor = runtime.tape, runtime.cursor
        if tape is None or cursor is None:
            return JSONResponse({"cycles": []})
        if until is None or days is None or not 1 <= until <= cursor or not 1 <= days <= _MOST_DAYS:
            return JSONResponse({"message": f"until must be 1 to {cursor}, days 1 to {_MOST_DAYS}"}, 422)
        return JSONResponse({"cycles": tape.history(until, days)})

    return [Route("/bars", cycles, methods=["GET"]), Route("/bars/history", history, methods=["GET"])]


def _integer(request: Request, name: str, default: int) -> int | None:
    try:
        return int(request.query_params.get(name) or default)
    except ValueError:
        return None


def _number(request: Request, name: str) -> float | None:
    try:
        return float(request.query_params.get(name) or 0)
    except ValueError:
        return None

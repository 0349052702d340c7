"""`/openapi.json`, and `/docs`: the same description as one page, which loads nothing from other hosts."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.rendering import HEADERS, page


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one route, from the OpenAPI description."""

    method: str
    path: str
    summary: str
    description: str
    #: Each parameter's name, place, whether it is required, and its meaning.
    parameters: tuple[tuple[str, str, bool, str], ...]
    example: str | None
    #: Each answer's status and meaning.
    answers: tuple[tuple[str, str], ...]


def router(_: WebContext) -> APIRouter:
    """Return the routes. They need no token, because they show nothing from the record."""
    routes = APIRouter(include_in_schema=False)
    made: dict[Callable[[FastAPI], bytes], bytes] = {}

    # Anybody may ask for these two, and each takes many milliseconds to make, so each is made once.
    async def once(request: Request, make: Callable[[FastAPI], bytes]) -> bytes:
        if make not in made:
            made[make] = await run_in_threadpool(make, request.app)
        return made[make]

    @routes.get("/openapi.json")
    async def description(request: Request) -> Response:
        return Response(await once(request, _description), media_type="application/json")

    @routes.get("/docs")
    async def manual(request: Request) -> Response:
        return Response(await once(request, _manual), media_type="text/html", headers=HEADERS)

    return routes


def _description(app: FastAPI) -> bytes:
    return bytes(JSONResponse(app.openapi()).body)


def _manual(app: FastAPI) -> bytes:
    openapi: dict[str, Any] = app.openapi()
    groups = [(tag["name"], tag["description"], _of(openapi, tag["name"])) for tag in openapi.get("tags", [])]
    return bytes(page("manual.html", about=openapi["info"], groups=groups).body)


def _of(openapi: dict[str, Any], tag: str) -> list[Operation]:
    return [
        _operation(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
        if tag in operation.get("tags", ())
    ]


def _operation(method: str, path: str, operation: dict[str, Any]) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=tuple(
            (each["name"], each["in"], each.get("required", False), each.get("description", ""))
            for each in operation.get("parameters", ())
        ),
        example=next(_examples(operation.get("requestBody", {})), None),
        answers=tuple(
            (status, answer.get("description", "")) for status, answer in operation.get("responses", {}).items()
        ),
    )


def _examples(body: dict[str, Any]) -> Iterator[str]:
    for content in body.get("content", {}).values():
        given = [each.get("value") for each in content.get("examples", {}).values()]
        given += [content["example"]] if "example" in content else []
        given += content.get("schema", {}).get("examples", [])
        for example in given:
            yield json.dumps(example, indent=2) if not isinstance(example, str) else example

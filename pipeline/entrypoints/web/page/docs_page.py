"""`/docs`: the OpenAPI description as one page, which loads nothing from other hosts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.rendering import page


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
    """Return the route. It needs no token, because it shows nothing from the record."""
    routes = APIRouter()

    @routes.get("/docs", include_in_schema=False)
    def manual(request: Request) -> HTMLResponse:
        openapi: dict[str, Any] = request.app.openapi()
        groups = [(tag["name"], tag["description"], _of(openapi, tag["name"])) for tag in openapi.get("tags", [])]
        return page("manual.html", about=openapi["info"], groups=groups)

    return routes


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

"""The parameters of queries, read strictly."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from pipeline.entrypoints.web.api.errors import ApiError
from pipeline.model.signals import Action
from pipeline.model.symbols import canonical
from pipeline.model.times import moment_of
from pipeline.views.paging import BadCursor
from pipeline.views.schemas import Page

T = TypeVar("T")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# PostgreSQL cannot store NUL, and names have no control characters.
_PRINTABLE = r"^[^\x00-\x1f]+$"


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _moment(value: Any) -> Any:
    return moment_of(value) if isinstance(value, str) else value


# Without this check, Python would also accept 1_000 and the digits of other alphabets.
def _digits(value: Any) -> Any:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("a number in digits is expected")
    return value


def _one_form(value: str | None) -> str | None:
    return None if value is None else canonical(value)


Name = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_PRINTABLE)]
Executor = Annotated[
    str | None, Query(min_length=1, max_length=100, pattern=_PRINTABLE, description="An executor's name, like `argo`.")
]
Symbol = Annotated[
    str | None,
    AfterValidator(_one_form),
    Query(min_length=1, max_length=40, pattern=_PRINTABLE, examples=["AAPL", "BTC/USD"]),
]
Side = Annotated[Action | None, BeforeValidator(_upper), Query()]
Since = Annotated[
    datetime | None,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "maxLength": 64}),
    Query(description="RFC 3339 with a zone, or how long ago: 90s, 15m, 2h, 3d.", examples=["2h"]),
]
Digits = BeforeValidator(_digits)
Limit = Annotated[int, Digits, Query(ge=1, le=100, description="At most this many items.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="The `next_cursor` of the previous page. Send the same filters.")
]
Hours = Annotated[int, Digits, Query(ge=1, le=8760, description="How many hours back.")]


def hours_ago(hours: int) -> datetime:
    """Return the time *hours* before now."""
    return datetime.now(UTC) - timedelta(hours=hours)


def page(read: Callable[[], Page[T]]) -> Page[T]:
    """Return the page that *read* returns.

    Raises:
        ApiError: the cursor is not valid for this list.
    """
    try:
        return read()
    except BadCursor as error:
        raise ApiError(422, "invalid_request", str(error)) from None

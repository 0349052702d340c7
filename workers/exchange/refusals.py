"""The broker's refusals: HTTP status, code and message."""

from decimal import Decimal
from typing import Any

from pipeline.model.errors import TradewireError

BAD_REQUEST = 40010000
BAD_PARAMETER = 40010001
BUSINESS_RULE = 42210000
NOT_ALLOWED = 40310000
NOT_FOUND = 40410000


class RequestRefused(TradewireError):
    """The exchange refuses the request and has changed nothing."""

    def __init__(self, status: int, message: str, code: int | None = None, **extra: str | list[str]) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {**extra, "message": message}
        if code is not None:
            self.body["code"] = code


def bad_parameter(message: str) -> RequestRefused:
    """Return the 422 for a parameter that is wrong for every account."""
    return RequestRefused(422, message, BAD_PARAMETER)


def rule(message: str, **extra: str) -> RequestRefused:
    """Return the 422 for a request that the market's rules forbid."""
    return RequestRefused(422, message, BUSINESS_RULE, **extra)


def forbidden(message: str, **extra: str | list[str]) -> RequestRefused:
    """Return the 403 for an order that this account may not place."""
    return RequestRefused(403, message, NOT_ALLOWED, **extra)


def not_found(message: str) -> RequestRefused:
    """Return the 404 with the broker's code."""
    return RequestRefused(404, message, NOT_FOUND)


def unauthorized() -> RequestRefused:
    """Return the 401, which has no code."""
    return RequestRefused(401, "unauthorized.")


def plain(value: Decimal) -> str:
    """Write *value* without exponent and without trailing zeros, as the broker does."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text

"""Render the templates. Every value is escaped, and pages load nothing from other hosts."""

import hashlib
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

#: A page may load only its own files; it has no inline scripts or styles, and no page may frame it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
#: Words that the page shows in place of the values in JSON, since traders use them.
_STATUS_WORDS = {"held": "waiting", "unknown": "may be at the broker", "dead": "needs you", "reducing": "closing only"}
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def prepare() -> None:
    """Load every template and file now, so that the first request does not wait for it."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)
    static_files()


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a whole page or a part of one."""
    return HTMLResponse(_environment().get_template(template).render(values), status_code=status, headers=HEADERS)


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return the bytes and the media type of every file beside the templates."""
    folder = files("pipeline.entrypoints.web.page").joinpath("static")
    found = {each.name: each.read_bytes() for each in folder.iterdir()}
    return {name: (body, _KINDS[name[name.rindex(".") :]]) for name, body in found.items()}


def static_url(name: str) -> str:
    """Return the address of a file. It changes with the content, so that browsers may keep the file for ever."""
    return f"/static/{name}?v={hashlib.sha256(static_files()[name][0]).hexdigest()[:12]}"


def span(seconds: float | None) -> str:
    """Return a span for people: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`. A span below zero is `0.0 s`."""
    if seconds is None or not math.isfinite(seconds):
        return "none"
    seconds = max(seconds, 0.0)  # The clocks of two machines may differ a little.
    if seconds < 10:  # noqa: PLR2004 -- below ten, a tenth of a second matters
        return f"{seconds:.1f} s"
    for length, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def percent(rate: float | None) -> str:
    """Return a rate in percent, rounded down to a tenth."""
    return "none yet" if rate is None or not math.isfinite(rate) else f"{int(rate * 1000) / 10:.1f} %"


def amount(number: Decimal | float | None) -> str:
    """Return a count or an amount of money: `3`, `9,044.80`."""
    if number is None or not math.isfinite(number):
        return "not known"
    return f"{number:z,.0f}" if number == int(number) else f"{number:z,.2f}"


def status(word: str) -> str:
    """Return a state or a switch in the words that traders use."""
    return _STATUS_WORDS.get(word, word.replace("_", " "))


def clock(moment: datetime | str) -> str:
    """Return a time of the day in UTC, with its date if it is at least 20 hours ago."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    at = at.astimezone(UTC)
    recent = datetime.now(UTC) - at < timedelta(hours=20)
    return f"{at:%H:%M:%S}" if recent else f"{at:%Y-%m-%d %H:%M:%S}"


def exact(moment: datetime | str) -> str:
    """Return a time to the millisecond, UTC."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("pipeline.entrypoints.web.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "span": span,
        "percent": percent,
        "amount": amount,
        "clock": clock,
        "exact": exact,
        "status": status,
    }
    made.globals |= {"static": static_url}
    return made

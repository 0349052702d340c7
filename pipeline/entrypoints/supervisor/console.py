"""Print whole lines on the terminal, from any thread."""

import contextlib
import sys
import threading
from collections.abc import Sequence

from config.login_link import make_login_link
from config.services import Services
from pipeline.entrypoints.supervisor.plan import Plan
from pipeline.model.texts import printable

_lock = threading.Lock()
_RED, _PLAIN = "\x1b[1;31m", "\x1b[0m"


def print_line(line: str) -> None:
    """Print *line*, with control characters escaped. If the output is closed, do nothing."""
    _write(printable(line))


def print_alarm(line: str) -> None:
    """Print *line*, in red on a terminal."""
    _write(f"{_RED}{printable(line)}{_PLAIN}" if sys.stdout.isatty() else printable(line))


def print_banner(plan: Plan, services: Services, *, unanswered: Sequence[str] = ()) -> None:
    """Print the text that is shown when everything has been started."""
    link = None
    # The link logs in, so it must not get into a log that keeps the output.
    if services.web_url is not None and sys.stdout.isatty() and any(line.name == "web" for line in plan.processes):
        link = make_login_link(plan.home, services.web_url)
    _write(printable(banner(plan, services, unanswered=unanswered, link=link), lines=True))


def _write(text: str) -> None:
    with _lock, contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def banner(plan: Plan, services: Services, *, unanswered: Sequence[str] = (), link: str | None = None) -> str:
    """Return the text that is shown when everything has been started. It contains no token.

    *unanswered* are the processes whose health route does not answer; *link* is an address that logs in once.
    """
    rows = [
        *([("OPEN", f"{link}  logs in once, within 15 minutes")] if link else []),
        ("web", services.web_url or ""),
        ("rq-dashboard", f"{services.rq_dashboard_url}  user tradewire, password: the api_token"),
        ("exchange", services.exchange_url or "not used"),
        ("postgresql", _where(plan, "postgres", "DATABASE_URL")),
        ("valkey", _where(plan, "valkey", "REDIS_URL")),
        ("accounts", ", ".join(plan.executors)),
        ("processes", ", ".join(line.name for line in [*plan.servers, *plan.processes])),
        ("logs", f"{plan.home}/logs"),
        ("api_token", f"in {plan.home}/services.json; `tradewire config env` exports it"),
    ]
    if unanswered:
        rows.append(("NO ANSWER", f"{', '.join(unanswered)}: see the logs"))
    body = [f"  {name:<13} {text}" for name, text in rows]
    return "\n".join(["", "tradewire is up; Ctrl-C stops it", *body, ""])


def _where(plan: Plan, server: str, variable: str) -> str:
    embedded = any(line.name == server for line in plan.servers)
    return f"embedded, below {plan.home}/{server}" if embedded else f"yours, from {variable}"

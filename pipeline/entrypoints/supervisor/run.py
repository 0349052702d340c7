"""Run all of tradewire with one command, until it is asked to stop.

This is a supervisor of our own. honcho's manager, which fits the Procfile, ends everything when one process
ends and restarts nothing; circus brings ZeroMQ and Tornado; supervisord is configured by files and runs as a
daemon. None orders a start by what is ready or makes the children end when it is killed itself, and that is
most of the code here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from config.schema.settings import Settings
from pipeline.entrypoints.supervisor.console import banner, say
from pipeline.entrypoints.supervisor.home_lock import HomeLock, lock_home
from pipeline.entrypoints.supervisor.migration import Gate
from pipeline.entrypoints.supervisor.plan import Plan, make_plan
from pipeline.entrypoints.supervisor.servers.wakeups import Wakeups
from pipeline.entrypoints.supervisor.supervisor import ServerMissing, Supervisor

log = structlog.get_logger(__name__)

#: Lines to show as they come, from a database URL until the event is set.
Feed = Callable[[str, threading.Event], Iterable[str]]

_FEED_PAUSE_S = 1.0


def run_up(
    settings: Settings,
    *,
    feed: Feed,
    gate: Gate,
    seconds: float | None = None,
    source: str | None = None,
    without: Sequence[str] = (),
) -> int:
    """Run everything; return 0 when stopped on request, 1 when a server that is needed did not come up.

    Args:
        settings: The environment.
        feed: What to show while it runs.
        gate: What is asked of the record before any process is started.
        seconds: Stop after so many seconds from now; without it, on SIGINT, SIGTERM or SIGHUP.
        source: The producer's source in place of the environment's; `none` for none.
        without: Names of processes, or of executors, that are not run.

    Raises:
        ConfigInvalid: Something must be mended first; nothing runs.
    """
    until = float("inf") if seconds is None else time.monotonic() + seconds
    wakeups = Wakeups()
    with lock_home(settings.home.resolve()) as claim:
        for name in claim.end_leftovers():
            say(f"ended {name}, which an earlier run had left behind")
        plan = make_plan(settings, source=source, without=without)
        return supervise(plan, claim, wakeups, feed=feed, gate=gate, until=until)


def supervise(plan: Plan, claim: HomeLock, wakeups: Wakeups, *, feed: Feed, gate: Gate, until: float) -> int:
    """Run *plan* until *until* (of the monotonic clock) or a request to stop; return the exit code.

    Raises:
        ConfigInvalid: An embedded server cannot be set up here, or *gate* is shut.
    """
    for remark in plan.remarks:
        say(remark)
    over = threading.Event()
    supervisor = Supervisor(plan, claim=claim, wakeups=wakeups, say=say, gate=gate)
    shown = False
    try:
        while not wakeups.stops_asked and time.monotonic() < until:
            supervisor.tick()
            if supervisor.complete and not shown:
                shown = True
                say(banner(plan, supervisor.services))
                _show(feed, supervisor, over)
            supervisor.pause(until - time.monotonic())
    except ServerMissing as error:
        say(f"cannot start: {error}")
        return 1
    finally:
        over.set()
        say("stopping")
        supervisor.stop()
    say("stopped")
    return 0


def _show(feed: Feed, supervisor: Supervisor, over: threading.Event) -> None:
    url = supervisor.services.database_url
    if url is not None:
        follower = threading.Thread(target=_follow, args=(feed, url.get_secret_value(), over), daemon=True)
        follower.start()


def _follow(feed: Feed, url: str, over: threading.Event) -> None:
    while not over.is_set():
        try:
            for line in feed(url, over):
                say(line)
        except Exception as error:  # noqa: BLE001 - whatever the feed lacks, what runs goes on
            log.warning("feed.interrupted", error=str(error))
        over.wait(_FEED_PAUSE_S)

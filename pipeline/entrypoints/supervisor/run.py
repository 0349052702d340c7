"""Run all of tradewire with one command, until a stop is requested.

This supervisor does two things that others do not, and most of its code is for them: it starts a process only when the
servers that the process needs are ready, and its children end when it is killed. honcho's manager reads the Procfile,
but ends everything when one process ends, and restarts nothing. circus depends on ZeroMQ and Tornado. supervisord is
configured by files and runs as a daemon.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from config.alerts import Alerts, load_alerts
from config.schema.settings import Settings
from config.started_homes import remember_home
from pipeline.entrypoints.supervisor.alarms import ProcessCrashes
from pipeline.entrypoints.supervisor.console import print_alarm, print_banner, print_line
from pipeline.entrypoints.supervisor.crash_alerts import CrashAlerts
from pipeline.entrypoints.supervisor.home_lock import HomeLock, lock_home
from pipeline.entrypoints.supervisor.left_open import print_left_open
from pipeline.entrypoints.supervisor.migration import Gate
from pipeline.entrypoints.supervisor.plan import Plan, make_plan
from pipeline.entrypoints.supervisor.servers.wakeups import Wakeups
from pipeline.entrypoints.supervisor.servers.way import open_way
from pipeline.entrypoints.supervisor.supervisor import ServerMissing, Supervisor

log = structlog.get_logger(__name__)

#: Takes a database URL, and yields lines to print as they come, until the event is set.
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
    user: str | None = None,
    strict: bool = False,
) -> int:
    """Run everything; return 0 after a requested stop or the time limit, 1 after a failure.

    A failure: a server does not come up, the record cannot be used, not everything came up within the time limit, or
    a process keeps crashing and *strict* is set.

    Args:
        settings: The environment.
        feed: Yields the lines to print while everything runs.
        gate: Checks the record before the processes that need it are started.
        seconds: Stop after this many seconds; None for a stop on SIGINT, SIGTERM or SIGHUP only.
        source: The producer's source in place of the environment's; `none` for no signals.
        user: The user that the embedded PostgreSQL runs as when this process runs as root. If it is given, `up` may
            also let all users pass through the folders above the home.
        strict: End when a process crashes again and again.
        without: Names of processes or executors to leave out.

    Raises:
        ConfigInvalid: A setting is wrong, an embedded server cannot be set up here, or *gate* refuses. All processes
            have been stopped.
    """
    until = float("inf") if seconds is None else time.monotonic() + seconds
    wakeups = Wakeups()
    with lock_home(settings.home.resolve()) as lock:
        for name in lock.end_leftovers():
            print_line(f"ended {name}, which was still running from an earlier `tradewire up`")
        if settings.database_url is None:
            open_way(settings.home.resolve(), user, say=print_line)
        plan = make_plan(settings, source=source, without=without, user=user)
        _remember(plan)
        alerts = load_alerts(settings)
        return supervise(plan, lock, wakeups, feed=feed, gate=gate, until=until, alerts=alerts, strict=strict)


def supervise(
    plan: Plan,
    lock: HomeLock,
    wakeups: Wakeups,
    *,
    feed: Feed,
    gate: Gate,
    until: float,
    alerts: Alerts,
    strict: bool = False,
) -> int:
    """Run *plan* until *until* (of the monotonic clock) or a stop request; return the exit code.

    Raises:
        ConfigInvalid: An embedded server cannot be set up here, or *gate* refuses.
    """
    for remark in plan.remarks:
        print_line(remark)
    if plan.servers:
        first = "" if (plan.home / "services.json").exists() else " for the first time, which takes some seconds"
        print_line(f"starting {', '.join(line.name for line in plan.servers)}{first} …")
    over = threading.Event()
    supervisor = Supervisor(
        plan, lock=lock, wakeups=wakeups, report=print_line, alarm=print_alarm, gate=gate, strict=strict
    )
    banner_printed, crash_alerts = False, None
    try:
        while not wakeups.stop_requests and time.monotonic() < until:
            supervisor.tick()
            if supervisor.complete and not banner_printed:
                banner_printed = True
                print_banner(plan, supervisor.services, unanswered=supervisor.unanswered)
                _start_feed(feed, supervisor, over)
                crash_alerts = _start_crash_alerts(supervisor, alerts)
            supervisor.pause(until - time.monotonic())
    except ServerMissing as error:
        print_line(f"cannot start: {error}")
        return 1
    except ProcessCrashes as error:
        print_alarm(f"{error}; --strict ends everything")
        return 1
    finally:
        over.set()
        if crash_alerts is not None:
            crash_alerts.close()
        if banner_printed:
            print_left_open(supervisor.services.database_url)
        print_line("stopping")
        supervisor.stop()
    if not banner_printed and not wakeups.stop_requests:
        print_line("stopped; not everything came up within the time limit")
        return 1
    print_line("stopped")
    return 0


def _remember(plan: Plan) -> None:
    try:
        remember_home(plan.home)
    except OSError as error:
        print_line(f"commands of other folders need TRADEWIRE_HOME={plan.home} ({error})")


def _start_crash_alerts(supervisor: Supervisor, alerts: Alerts) -> CrashAlerts | None:
    url = supervisor.services.database_url
    if url is None:
        return None
    started = CrashAlerts(
        url.get_secret_value(), alerts, crashing=lambda: supervisor.crashing, silent=lambda: supervisor.silent
    )
    started.start()
    return started


def _start_feed(feed: Feed, supervisor: Supervisor, over: threading.Event) -> None:
    url = supervisor.services.database_url
    if url is not None:
        follower = threading.Thread(target=_print_feed, args=(feed, url.get_secret_value(), over), daemon=True)
        follower.start()


def _print_feed(feed: Feed, url: str, over: threading.Event) -> None:
    while not over.is_set():
        try:
            for line in feed(url, over):
                print_line(line)
        except Exception as error:  # noqa: BLE001 - no fault of the feed may stop the processes
            log.warning("feed.interrupted", error=str(error))
        over.wait(_FEED_PAUSE_S)

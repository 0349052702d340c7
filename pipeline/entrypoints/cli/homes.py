"""The commands that act on a home as a whole: status, down, reset."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import typer

from config.places import located_settings
from config.schema.settings import Settings
from config.services import UP, effective, running_services
from config.started_homes import started_homes
from pipeline.entrypoints.cli.asking import Yes, ask
from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.supervisor.embedded_addresses import embedded_variables, refuse_ended_servers
from pipeline.entrypoints.supervisor.left_open import left_open, unknown_left
from pipeline.entrypoints.supervisor.offline import has_cluster, offline_postgres
from pipeline.entrypoints.supervisor.reset import set_aside
from pipeline.entrypoints.supervisor.servers.orphans import wait_until_gone
from pipeline.model.errors import ConfigInvalid, NotPossible, Problem
from pipeline.startup.acting import modes, name_accounts
from pipeline.startup.context import settings_for_a_person

#: Seconds to wait until `up` has ended. It promises 5 s, but takes longer on a busy machine.
_DOWN_WITHIN_S = 30.0


def status(*, as_json: AsJson = False) -> None:
    """Show every home of yours, and what runs there: exit 0 when one runs, 1 when none does."""
    homes = [_status(home) for home in _homes()]
    if as_json:
        echo_json({"homes": homes})
    for one in [] if as_json else homes:
        runs = f"runs (pid {one['pid']}), {one['web_url']}" if one["running"] else "does not run"
        accounts = ", ".join(f"{each['executor_id']} ({each['mode']})" for each in one["accounts"])
        echo(f"{one['home']}: {runs}", f"  {one['executors']}: {accounts or 'no account'}")
    if not homes and not as_json:
        echo("no home: nothing was started yet")
    raise typer.Exit(0 if any(one["running"] for one in homes) else 1)


def down(*, yes: Yes = False) -> None:
    """Stop a running `tradewire up`, after showing the open orders and positions that it will not watch any more."""
    settings = settings_for_a_person("down", anywhere=True)
    services = running_services(settings.home)
    if services is None:
        raise NotPossible(f"no `tradewire up` runs in {settings.home.absolute()}")
    name_accounts(settings)
    url = settings.database_url
    ask("Stop it?", left_open(url.get_secret_value() if url else None), yes=yes)
    process = psutil.Process(services.pids[UP])
    os.kill(process.pid, signal.SIGTERM)
    if wait_until_gone([process], within_s=_DOWN_WITHIN_S):
        raise NotPossible(f"`tradewire up` (pid {process.pid}) still runs after {_DOWN_WITHIN_S:g} s")
    echo("stopped")


def reset(*, yes: Yes = False) -> None:
    """Start over with an empty record and paper exchange. The old data is kept in a folder of the home."""
    settings = settings_for_a_person("reset")
    refuse_ended_servers(settings.home)
    if settings.environment().get("DATABASE_URL") is not None and not embedded_variables(settings.home):
        message = "names a server of your own, whose record `reset` does not remove: create another database there"
        raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)])
    home = settings.home.resolve()
    name_accounts(settings)
    ask("Start over?", _left_in(home), yes=yes)
    echo(f"kept in {set_aside(home)}")


def _homes() -> list[Path]:
    try:
        here = located_settings(anywhere=True).home.absolute()
    except ConfigInvalid:
        return started_homes()  # Several homes run, or a variable is wrong.
    return list(dict.fromkeys([here, *started_homes()])) if here.is_dir() else started_homes()


def _status(home: Path) -> dict[str, Any]:
    settings, running = _of(home), None
    with suppress(ConfigInvalid):
        running = running_services(home)
    return {
        "home": str(home),
        "running": running is not None,
        "pid": running.pids[UP] if running else None,
        "web_url": running.web_url if running else None,
        "rq_dashboard_url": running.rq_dashboard_url if running else None,
        "executors": str(settings.executors),
        "accounts": [{"executor_id": name, "mode": mode} for name, mode in modes(settings).items()],
    }


def _of(home: Path) -> Settings:
    settings = Settings().with_paths({"home": home}, last_started=True)
    with suppress(ConfigInvalid):
        return effective(settings)
    return settings


def _left_in(home: Path) -> list[str]:
    if not has_cluster(home):
        return []
    try:
        with offline_postgres(home) as url:
            return left_open(url)
    except NotPossible as error:
        # This does not prevent the reset: a server that does not start is a reason for it.
        return [unknown_left(str(error))]

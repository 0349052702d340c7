"""The commands `backup` and `restore`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from config.schema.ownership import require_safe
from config.schema.settings import Settings
from pipeline.entrypoints.cli.asking import Yes, ask
from pipeline.entrypoints.cli.options import ByMachine
from pipeline.entrypoints.cli.output import echo
from pipeline.entrypoints.supervisor.backups import read_backup, replace_embedded, with_database, write_backup
from pipeline.entrypoints.supervisor.embedded_addresses import refuse_ended_servers
from pipeline.entrypoints.supervisor.home_lock import lock_home
from pipeline.entrypoints.supervisor.offline import has_cluster, offline_postgres
from pipeline.model.errors import NotPossible
from pipeline.startup.acting import name_accounts
from pipeline.startup.arguments import me
from pipeline.startup.context import direct_database_url, settings_for_a_person
from pipeline.store.processes import living_processes
from pipeline.store.record import Record

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the backup.", dir_okay=False)]


def backup(file: File) -> None:
    """Write the whole record into a new FILE. It needs no pause: signals and orders go on."""
    settings = settings_for_a_person("backup", anywhere=True)
    name_accounts(settings)
    with _record(settings) as url:
        write_backup(url, file)
    echo(f"wrote {file}: {file.stat().st_size / 1e6:.1f} MB")


def restore(file: File, *, yes: Yes = False, by: ByMachine = None) -> None:
    """Read the record from FILE, while no process runs. The embedded server keeps the replaced record.

    A server of your own must have an empty database at DATABASE_URL.
    """
    settings = settings_for_a_person("restore")
    refuse_ended_servers(settings.home)
    name_accounts(settings)
    try:
        is_there = file.is_file()
    except OSError as error:  # Such as a name that is too long.
        raise NotPossible(f"{file} cannot be read: {error.strerror}") from error
    if not is_there:
        raise NotPossible(f"there is no file {file}")
    require_safe(file)
    if _is_own_server(settings):
        url = direct_database_url(settings)
        _refuse_running(url)
        read_backup(url, file, by=by or me())
    else:
        _ask_to_replace(settings.home.resolve(), file, yes=yes)
        with offline_postgres(settings.home.resolve()) as url:
            kept = replace_embedded(url, file, by=by or me())
            kept_url = with_database(url, kept)
        echo(f"the replaced record is kept as the database {kept}. While `tradewire up` runs, these commands reach it:")
        echo(f"  write it into a file, to go back: DATABASE_URL='{kept_url}' tradewire backup {kept}.backup")
        echo(f"  remove it: psql '{url}' -c 'DROP DATABASE {kept}'")
    echo("restored. It lacks everything since the backup. Entries wait until each account is compared with it:")
    echo("`tradewire reconcile` shows what differs.")


def _ask_to_replace(home: Path, file: Path, *, yes: bool) -> None:
    with lock_home(home):  # Do not ask while an `up` runs there, which is refused.
        pass
    # The replaced record is kept, so a script needs no `--yes`.
    if has_cluster(home) and (yes or (sys.stdin is not None and sys.stdin.isatty())):
        ask(f"Replace it by {file}?", [f"the record in {home} will be replaced, and kept as another database"], yes=yes)


@contextmanager
def _record(settings: Settings) -> Iterator[str]:
    if settings.database_url is None and has_cluster(settings.home):
        with offline_postgres(settings.home.resolve()) as url:
            yield url
    else:
        yield direct_database_url(settings)


def _is_own_server(settings: Settings) -> bool:
    return settings.environment().get("DATABASE_URL") is not None


def _refuse_running(url: str) -> None:
    with Record(url, connections=1, retry_for_s=3.0) as record:
        try:
            running = record.run(living_processes)
        except NotPossible:
            return  # The database is empty.
    if running:
        raise NotPossible(f"processes still run: {', '.join(map(str, running))}")

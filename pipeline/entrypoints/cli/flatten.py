"""`tradewire flatten`: close all positions, through keeper and workers or directly at the broker."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from config.schema.settings import Settings
from pipeline.accounts.switches import Switches
from pipeline.entrypoints.cli.options import AsJson, ByMachine, finite
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.switches import All, Names, Why, one_of, print_statuses
from pipeline.model.errors import ConfigInvalid, RecordUnavailable, TradewireError
from pipeline.model.json_values import number_json
from pipeline.model.switches import SwitchKind
from pipeline.startup.acting import name_accounts
from pipeline.startup.arguments import me, names_of
from pipeline.startup.context import executors_for, names_to_stop, open_record, open_to_change, settings_for_a_person
from pipeline.store.record import Record
from pipeline.views.account_schemas import SwitchStatusView
from pipeline.views.flatten_progress import FlattenProgress, wait_for_flat
from workers.flatten.command import FlattenOutcome, flatten_directly
from workers.flatten.journal_import import import_journals


def flatten(
    executor: Names = None,
    *,
    every: All = False,
    why: Why = None,
    by: ByMachine = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, metavar="SECONDS", help="How long to wait at most until the account is flat."
        ),
    ] = 60.0,
    direct: Annotated[
        bool, typer.Option("--direct", help="Trade directly at the broker from here; works without PostgreSQL.")
    ] = False,
    bring_in: Annotated[
        bool, typer.Option("--import", help="Only import the journals of --direct into the record, as the keeper does.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Halt, cancel all orders and close all positions until the account is flat: exit 0 when flat, 1 when not."""
    settings = settings_for_a_person("flatten", anywhere=True)
    if bring_in:
        with open_record(settings) as record:
            echo(f"journals imported: {import_journals(record, settings.home, by=by or me())}")
        return
    names = (names_of if direct else names_to_stop)(settings, one_of(executor), every=every)
    run = _directly if direct else _with_the_keeper
    try:
        flat = run(settings, names, by=by or me(), why=why, wait_s=wait, as_json=as_json)
    except (ConfigInvalid, RecordUnavailable):
        if not direct:
            echo(
                "it is not known whether the keeper will flatten: use --direct to trade directly at the broker",
                err=True,
            )
        raise
    raise typer.Exit(0 if flat else 1)


def _with_the_keeper(
    settings: Settings, names: list[str], *, by: str, why: str | None, wait_s: float, as_json: bool
) -> bool:
    with open_to_change(settings, names) as record:
        switches = Switches(record)
        statuses = [switches.turn(name, SwitchKind.HALTED, flatten=True, by=by, why=why) for name in names]
        if not as_json:
            print_statuses(statuses, as_json=False)
        left = {name: _watch(record, name, wait_s=wait_s, quiet=as_json) for name in names}
    if as_json:
        bodies = [
            SwitchStatusView.of(status).to_json() | {"progress": left[status.executor_id].to_json()}
            for status in statuses
        ]
        echo_json(bodies)
    return all(progress.flat for progress in left.values())


def _directly(settings: Settings, names: list[str], *, by: str, why: str | None, wait_s: float, as_json: bool) -> bool:
    # The whole file must be right here, because it determines the accounts that are traded.
    executors = executors_for(settings)
    name_accounts(settings, names)

    def one(name: str) -> FlattenOutcome | str:
        say = partial(_say_line, name, as_json)
        try:
            end = flatten_directly(executors[name], settings, by=by, why=why, wait_s=wait_s, say=say)
        except TradewireError as error:
            # An account that does not answer must not keep the others from being closed.
            say(f"not flat: {error}")
            return str(error)
        say(_end_of(end))
        return end

    # All at once: no account waits until another one is flat.
    with ThreadPoolExecutor(len(names)) as pool:
        ended = dict(zip(names, pool.map(one, names), strict=True))
    if as_json:
        echo_json([{"executor_id": name} | _json(end) for name, end in ended.items()])
    return all(isinstance(end, FlattenOutcome) and end.flat for end in ended.values())


def _watch(record: Record, executor_id: str, *, wait_s: float, quiet: bool) -> FlattenProgress:
    say = (lambda _: None) if quiet else partial(_say, executor_id)
    return wait_for_flat(record, executor_id, wait_s=wait_s, say=say)


def _say(executor_id: str, progress: FlattenProgress) -> None:
    for line in progress.lines():
        echo(f"{executor_id}: {line}")


def _say_line(executor_id: str, as_json: bool, line: str) -> None:  # noqa: FBT001 -- bound by partial
    # An output that cannot be written, such as a closed pipe or a full disk, must not keep a position open.
    with suppress(OSError):
        # Progress must not mix with the JSON on standard output.
        echo(f"{executor_id}: {line}", err=as_json)


def _end_of(end: FlattenOutcome) -> str:
    import_note = (
        ""
        if end.recorded or end.journal is None
        else "; the keeper imports the journal into the record, as does `tradewire flatten --import`"
    )
    if end.flat:
        return f"flat: no position, no open order{import_note}"
    left = "unknown" if end.left is None else ", ".join(f"{name} {held}" for name, held in end.left.items()) or "orders"
    return f"not flat, left: {left}{import_note}"


def _json(end: FlattenOutcome | str) -> dict[str, object]:
    if isinstance(end, str):
        return {"flat": False, "left": None, "journal": None, "recorded": False, "error": end}
    left = None if end.left is None else {symbol: number_json(held) for symbol, held in end.left.items()}
    journal = None if end.journal is None else str(end.journal)
    return {"flat": end.flat, "left": left, "journal": journal, "recorded": end.recorded, "error": None}

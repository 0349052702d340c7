"""The command `reconcile`: compare the accounts with the record, and adopt what differs."""

import getpass
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

import typer

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.entrypoints.cli.options import AsJson, By
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.tables import print_table
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.findings import FindingState
from pipeline.operations.adopting import adopt as adopt_findings
from pipeline.startup.arguments import executor_of, symbol_of
from pipeline.startup.context import executors_for, open_to_change, settings_for_a_person
from pipeline.store.record import Record
from pipeline.views.findings import FindingsView, FindingView, findings
from workers.account.runtime import open_runtime
from workers.keeper.finding_store import CONFIRMS, NotSaved, Saved
from workers.keeper.reconciliation import reconcile_once

_BY = "reconcile"


def reconcile(
    *,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Adopt the orders and quantities of others that were found.")
    ] = False,
    symbol: Annotated[str | None, typer.Option(help="With --adopt: only in this symbol.")] = None,
    why: Annotated[str | None, typer.Option(help="With --adopt: why; it is recorded.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Compare open orders and positions at the brokers with the record: exit 0 if they agree, 1 if not.

    The ends and fills of our own orders are adopted from the broker. Everything else that differs is a finding, and
    entries of its symbol wait until it is gone; exits are sent. A difference is a finding when it is seen twice, so the
    command takes some seconds then. With --adopt, orders of others are known from then on, and their quantities belong
    to the strategy `manual`.
    """
    if (symbol is not None or why is not None) and not adopt:
        raise ConfigInvalid([Problem(key="--adopt", message="is missing: --symbol and --why belong to it")])
    wanted = symbol_of(symbol)
    settings = settings_for_a_person("reconcile")
    executors = executors_for(settings)
    chosen = list(executors.values()) if executor is None else [executor_of(executors, executor)]
    ids = [each.id for each in chosen]
    with open_to_change(settings, ids) as record:
        unread = [each.id for each in chosen if not _compare(each, settings, record)]
        if adopt:
            adopt_findings(record, ids, symbol=wanted, by=by or getpass.getuser(), why=why)
        found = findings(record, ids)
    if as_json:
        echo_json(found.to_json())
    else:
        _print(found)
    for executor_id in unread:
        echo(f"{executor_id}: the account could not be read to the end; `tradewire doctor` shows why", err=True)
    raise typer.Exit(1 if unread or _present(found) else 0)


def _compare(executor: ExecutorSettings, settings: Settings, record: Record) -> bool:
    """Reconcile the account, twice if a difference has to be confirmed; return whether it could be read."""
    with closing(open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)) as it:
        saved = reconcile_once(record, it, _BY)
        if saved is NotSaved.OUTDATED or (isinstance(saved, Saved) and saved.suspected):
            time.sleep(CONFIRMS.total_seconds())
            saved = reconcile_once(record, it, _BY)
    # If the keeper was faster, its reading is the newest.
    return saved not in (NotSaved.FAILED, NotSaved.REFUSED)


def _present(found: FindingsView) -> list[FindingView]:
    return [each for each in found.findings if each.state in (FindingState.OPEN, FindingState.SUSPECTED)]


def _print(found: FindingsView) -> None:
    for each in found.executors:
        at = "never compared" if each.at is None else f"compared at {each.at:%H:%M:%S}Z"
        count = sum(finding.executor_id == each.executor_id for finding in _present(found))
        agrees = "agrees with the record" if each.clean else f"{count} open or suspected"
        echo(f"{each.executor_id}: {agrees}, {at}")
    if found.findings:
        echo("")
        _print_findings(found.findings)


def _print_findings(found: Sequence[FindingView]) -> None:
    rows = [
        (each.executor_id, each.symbol, each.kind.value, each.state.value, _figures(each), each.remedy)
        for each in found
    ]
    print_table(("account", "symbol", "finding", "state", "figures", "remedy"), rows, left=6)


def _figures(finding: FindingView) -> str:
    return " ".join(f"{name}={value}" for name, value in finding.facts.items())

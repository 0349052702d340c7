"""The command `report`: counts of signals and their results, used limits, and switches."""

from typing import Any

from config.schema.settings import Settings
from pipeline.accounts.limit_usage import Headroom, headroom
from pipeline.accounts.losses import LimitStep
from pipeline.accounts.switches import Switches
from pipeline.entrypoints.cli.options import AsJson, Since
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.switches import reason_after
from pipeline.model.errors import ConfigInvalid
from pipeline.startup.context import executors_for, open_record, settings_for_a_person, since
from pipeline.store.record import Record
from pipeline.views.account_schemas import HeadroomView, SwitchStatusView
from pipeline.views.report import report as make_report


def report(*, after: Since = None, as_json: AsJson = False) -> None:
    """Count the signals and their results, and show how much of each limit is used and which switches are on."""
    settings = settings_for_a_person("report", anywhere=True)
    with open_record(settings) as record:
        accounts, limits = _accounts(record, settings)
        body = make_report(record, since=since(after)).to_json() | accounts
    if as_json:
        echo_json(body)
        return
    _print_counts(body)
    _print_accounts(body, limits)


def _accounts(record: Record, settings: Settings) -> tuple[dict[str, Any], list[Headroom]]:
    # With a wrong executors file the counts are still printed, and `headroom` and `switches` are null.
    try:
        executors = executors_for(settings)
    except ConfigInvalid as error:
        for problem in error.problems:
            echo(str(problem), err=True)
        return {"headroom": None, "switches": None}, []
    statuses = [Switches(record).active_switches(executor_id) for executor_id in executors]
    limits = headroom(record, executors)
    body = {
        "headroom": [HeadroomView.model_validate(room).to_json() for room in limits],
        "switches": [
            {"executor_id": status["executor_id"], "account": status["account"]} | switch
            for status in (SwitchStatusView.of(each).to_json() for each in statuses)
            for switch in status["switches"]
        ],
    }
    return body, limits


def _print_counts(body: dict[str, Any]) -> None:
    echo(f"signals {body['signals']}   refused {body['refused']}   executions {body['executions']}")
    rate = body["execution_rate"]
    echo(f"execution rate {'none yet' if rate is None else f'{rate:.1%}'}   (orders / decided and not skipped)")
    latency = body["latency_ms"]
    times = "  ".join(f"{name} {_milliseconds(latency[name])}" for name in ("p50", "p95", "p99"))
    echo(f"latency from the record to the order id: {times}")
    for executor_id, modes in body["by_executor"].items():
        for mode, tally in modes.items():
            echo("", f"{executor_id} ({mode}): {tally['with_order']} orders of {tally['eligible']} eligible")
            _print_by_name("by state", tally["by_status"])
            _print_by_name("by reason", tally["by_reason"])


def _print_by_name(heading: str, counts: dict[str, int]) -> None:
    if counts:
        echo(f"  {heading}")
    for name, count in counts.items():
        echo(f"  {count:>7}  {name}")


def _milliseconds(value: float | None) -> str:
    return "none yet" if value is None else f"{value} ms"


def _print_accounts(body: dict[str, Any], limits: list[Headroom]) -> None:
    if limits:
        echo("", f"{'limits':<12} {'':<32} {'used':>14} {'allowed':>14} {'left':>14} {'unit':<9} {'% used':>7}")
    for room in limits:
        step = "" if room.rung is LimitStep.NONE else f"  {room.rung.value}"
        # In JSON, a gain is a use below zero.
        left = min(room.left, room.allowed)
        echo(
            f"{room.executor_id:<12} {room.limit.replace('_percent', ''):<32} {room.used_part:>14} {room.allowed:>14} "
            f"{left:>14} {room.unit:<9} {room.percent:>5} %{step}"
        )
    switches = body["switches"] or []  # Null if the executors file is wrong.
    if switches:
        echo("", "switches")
    for switch in switches:
        echo(f"{switch['executor_id']:<12} {switch['kind']}{reason_after(switch['kind'], switch['reason'])}")

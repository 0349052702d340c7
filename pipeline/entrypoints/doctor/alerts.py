"""Look at the alerts that are open, and whether anybody is told of them."""

from __future__ import annotations

from config.alerts import Alerts, load_alerts
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.model.errors import ConfigInvalid
from pipeline.monitoring.alerts.commands import listed, tested
from pipeline.store.record import Record

_SHOWN = 5


def look_at_alerts(record: Record, settings: Settings) -> list[CheckResult]:
    """Return a finding on what is open, and one on the channels.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    try:
        channels = _channels(record, load_alerts(settings))
    except ConfigInvalid as error:
        remedy = "Correct alerts.toml, or set the variable."
        channels = CheckResult(name="alert channels", status=CheckStatus.CRITICAL, saw=str(error), remedy=remedy)
    return [_open(record), channels]


def _open(record: Record) -> CheckResult:
    rows = listed(record, all_=False)
    if not rows:
        return CheckResult(name="alerts", status=CheckStatus.OK, saw="none is open")
    waits = any(row["acked_at"] is None for row in rows)
    said = "; ".join(row["subject"] for row in rows[:_SHOWN])
    more = f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return CheckResult(
        name="alerts",
        # Of what somebody looks at already, nobody has to be warned.
        status=CheckStatus.WARNING if waits else CheckStatus.OK,
        saw=f"{len(rows)} open: {said}{more}",
        cause="Each is named above or below too, if it still lasts.",
        remedy="`tradewire alerts list`; pipeline/docs/alerts.md says how to recover from each.",
    )


def _channels(record: Record, alerts: Alerts) -> CheckResult:
    name = "alert channels"
    if alerts.silent:
        return CheckResult(name=name, status=CheckStatus.OK, saw='nobody is told, as alerts.toml says ("none")')
    if not alerts.channels:
        return CheckResult(
            name=name, status=CheckStatus.OK, saw="none is set up: alerts are rows, and nobody is told of them"
        )
    took = record.run(lambda connection: tested(connection, alerts))
    lacking = [channel for channel in alerts.channels if channel not in took]
    if not lacking:
        return CheckResult(name=name, status=CheckStatus.OK, saw=f"{', '.join(took)}: tested")
    return CheckResult(
        name=name,
        status=CheckStatus.WARNING,
        saw=f"{', '.join(lacking)}: not tested at this address",
        cause="Nobody knows whether a message would arrive.",
        remedy="`tradewire alerts test`.",
    )

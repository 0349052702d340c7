"""Check the open alerts, and whether messages about them reach a person."""

from config.alerts import Alerts, load_alerts
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, critical, ok, warning
from pipeline.model.errors import ConfigInvalid
from pipeline.monitoring.alerts.commands import listed, open_by_kind, tested_channels
from pipeline.store.record import Record

_SHOWN = 5  # More would not fit into one line.


def check_alerts(record: Record, settings: Settings) -> list[CheckResult]:
    """Return a finding on the open alerts, and one on the channels. Raises RecordUnavailable."""
    try:
        channels = _channels(record, load_alerts(settings))
    except ConfigInvalid as error:
        cause, remedy = "The file is wrong, or a variable is not set.", "Correct alerts.toml, or set the variable."
        channels = critical("alert channels", str(error), cause=cause, remedy=remedy)
    return [_open(record), channels]


def _open(record: Record) -> CheckResult:
    kinds = open_by_kind(record)
    if not kinds:
        return ok("alerts", "none is open")
    count = sum(each.open for each in kinds)
    alerts = listed(record, all_=False, limit=_SHOWN)
    subjects = "; ".join(alert.subject for alert in alerts)
    # Many alerts of one kind must not hide those of another.
    by_kind = f" ({', '.join(map(str, kinds))} in all)" if len(kinds) > 1 else ""
    more = f"; and {count - len(alerts)} more{by_kind}" if count > len(alerts) else ""
    return CheckResult(
        name="alerts",
        # An acknowledged alert is not a warning: a person already works on it.
        status=CheckStatus.WARNING if any(each.waiting for each in kinds) else CheckStatus.OK,
        saw=f"{count} open: {subjects}{more}",
        cause="The other findings name each cause that still lasts.",
        remedy="`tradewire alerts list`; pipeline/docs/alerts.md describes how to recover from each.",
    )


def _channels(record: Record, alerts: Alerts) -> CheckResult:
    name = "alert channels"
    if alerts.silent:
        return ok(name, 'turned off: alerts.toml says "none"')
    if not alerts.channels:
        return ok(name, "none is set up: alerts are listed, and no message is sent")
    took = record.run(lambda connection: tested_channels(connection, alerts))
    lacking = [channel for channel in alerts.channels if channel not in took]
    if not lacking:
        return ok(name, f"{', '.join(took)}: tested")
    return warning(
        name,
        f"{', '.join(lacking)}: not tested at this address",
        cause="It is not known whether a message would arrive.",
        remedy="`tradewire alerts test`.",
    )

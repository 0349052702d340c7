"""Doctor shows the open alerts, and whether a channel would deliver them."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.alerts import load_alerts
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.alerts import check_alerts
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.monitoring.alerts.commands import ack, try_channels
from pipeline.store.record import Record
from tests.integration.execution_states import Rows


def looked(record: Record, settings: Settings) -> dict[str, CheckResult]:
    return {finding.name: finding for finding in check_alerts(record, settings)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "alerts.toml"
    path.write_text("")
    return Settings(alerts=path)


def test_without_alerts_and_without_channels_it_is_well(record: Record, settings: Settings) -> None:
    found = looked(record, settings)

    assert {finding.status for finding in found.values()} == {CheckStatus.OK}
    assert "no message is sent" in found["alert channels"].saw


def test_open_alerts_are_shown_until_somebody_looks(record: Record, rows: Rows, settings: Settings) -> None:
    for number in range(7):
        rows(
            "INSERT INTO alert (key, kind, severity, subject) VALUES (%s, 'unknown', 'critical', %s)",
            [f"unknown:{number}", f"trouble {number}"],
        )
    finding = looked(record, settings)["alerts"]
    assert (finding.status, finding.remedy is not None) == (CheckStatus.WARNING, True)
    assert finding.saw.startswith("7 open: trouble 6; ")
    assert finding.saw.endswith("; and 2 more")

    ack(record, None, by="ada", why="on it")

    assert looked(record, settings)["alerts"].status is CheckStatus.OK


def test_many_alerts_of_one_kind_hide_neither_their_number_nor_another_kind(
    record: Record, rows: Rows, settings: Settings
) -> None:
    rows("INSERT INTO alert (key, kind, severity, subject) VALUES ('unknown:1', 'unknown', 'critical', 'the old one')")
    rows(
        "INSERT INTO alert (key, kind, severity, subject, acked_at, acked_by) SELECT 'exit_refused:' || n,"
        " 'exit_refused', 'critical', 'refused', now(), 'ada' FROM generate_series(1, 300) AS n"
    )

    finding = looked(record, settings)["alerts"]

    assert finding.status is CheckStatus.WARNING
    assert finding.saw.startswith("301 open: refused; ")
    assert finding.saw.endswith("; and 296 more (unknown 1, exit_refused 300 in all)")


def test_a_channel_that_was_not_tested_or_is_not_set_is_named(
    record: Record, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.alerts.write_text('channels = ["ALERTS_MAIN"]')
    monkeypatch.delenv("ALERTS_MAIN", raising=False)
    assert looked(record, settings)["alert channels"].status is CheckStatus.CRITICAL

    monkeypatch.setenv("ALERTS_MAIN", "json://127.0.0.1/hush")
    finding = looked(record, settings)["alert channels"]
    assert (finding.status, "hush" in str(finding)) == (CheckStatus.WARNING, False)

    try_channels(record, load_alerts(settings), ["ALERTS_MAIN"], by="ada", send=lambda *_: True)

    assert looked(record, settings)["alert channels"].status is CheckStatus.OK

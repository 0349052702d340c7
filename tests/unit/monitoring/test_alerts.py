"""The page lists each alert, a message is readable, and faults of alerts.toml are named."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.alerts import AlertSettings, fingerprint, load_alerts
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid
from pipeline.monitoring.alerts.kinds import AlertKind, Severity
from pipeline.monitoring.alerts.messages import UnreportedAlert, compose
from pipeline.monitoring.alerts.order_messages import EndedOrder, compose_orders

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "pipeline/docs/alerts.md").read_text("utf-8")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_the_page_has_a_section_for_every_kind_of_alert() -> None:
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == sorted(AlertKind)


def test_the_page_names_only_commands_that_exist() -> None:
    from typer.main import get_command

    from tests.command import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]

    assert set(re.findall(r"tradewire ([a-z]+)", PAGE)) <= known


# --- messages ---


def unreported(number: int = 1, **changes: Any) -> UnreportedAlert:
    told = {"opened_in": None, "over_at": None, "opened_at": NOON}
    alert = {"kind": "unknown", "severity": Severity.CRITICAL, "subject": f"trouble {number}"}
    return UnreportedAlert(**alert | told | changes)


def test_a_message_tells_what_begins_what_went_and_what_is_over() -> None:
    over = NOON + timedelta(minutes=1)
    message = compose(
        [unreported(1), unreported(2, over_at=over), unreported(3, opened_in=uuid4(), over_at=over, kind="limit")]
    )

    assert message.body.splitlines() == [
        "Wrong now:",
        "- [critical] trouble 1 (2026-01-02 12:00:00 UTC)",
        "Already over:",
        "- [critical] trouble 2 (2026-01-02 12:00:00 to 12:01:00 UTC)",
        "It is over:",
        "- [critical] trouble 3 (2026-01-02 12:00:00 to 12:01:00 UTC)",
    ]
    assert message.title == "tradewire: trouble 1 (and 1 more)"
    assert message.severity == "critical"


def test_a_message_is_as_grave_as_the_worst_that_begins() -> None:
    over = {"opened_in": uuid4(), "over_at": NOON}

    assert compose([unreported(severity=Severity.WARNING), unreported(**over)]).severity == "warning"
    assert compose([unreported(severity=Severity.WARNING), unreported()]).severity == "critical"
    assert compose([unreported(**over)]).severity == "over"


def test_a_title_stays_short_and_keeps_the_count() -> None:
    title = compose([unreported(subject="x" * 300), unreported()]).title

    assert len(title) == 120
    assert title.endswith("… (and 1 more)")


def test_a_message_has_room_at_every_service_and_the_gravest_alerts_first() -> None:
    warnings = [unreported(n, kind=f"kind {n}", severity=Severity.WARNING, subject="w" * 500) for n in range(30)]
    message = compose([*warnings, unreported(subject="c" * 100_000)])

    assert len(message.title) + len(message.body) < 1024
    assert message.title.startswith("tradewire: ccc")
    assert message.body.startswith("Wrong now:\n- [critical] ccc")
    assert message.body.count("[warning]") == 3
    assert message.body.endswith(" UTC)\n- and more: tradewire alerts list")


# --- alerts.toml ---


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("ALERTS_DEADMAN_URL", raising=False)
    monkeypatch.delenv("TRADEWIRE_EVENTS_SECRET", raising=False)
    monkeypatch.setenv("ALERTS_MAIN", "json://127.0.0.1/hush")

    def written(text: str) -> Settings:
        (tmp_path / "alerts.toml").write_text(text)
        return Settings(alerts=tmp_path / "alerts.toml")

    return written


def test_the_file_that_ships_is_read_and_has_no_channels() -> None:
    alerts = load_alerts(Settings(alerts=ROOT / "config/alerts.toml"))

    assert (alerts.settings, dict(alerts.channels)) == (AlertSettings(), {})


def test_the_examples_in_the_file_that_ships_are_right_once_they_are_in(file: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("ALERTS_SECOND", "json://127.0.0.1/two")
    text = (ROOT / "config/alerts.toml").read_text("utf-8")
    uncommented = re.sub(
        r"^# (channels|group_s|\[execution_rate\]|below_percent|minimum|window_s)", r"\1", text, flags=re.MULTILINE
    )

    alerts = load_alerts(file(uncommented))

    assert list(alerts.channels) == ["ALERTS_MAIN", "ALERTS_SECOND"]
    assert alerts.settings == AlertSettings(channels=("ALERTS_MAIN", "ALERTS_SECOND"))


def test_the_addresses_in_the_examples_are_such_as_apprise_reads() -> None:
    from apprise import Apprise

    for text in ((ROOT / "config/alerts.toml").read_text("utf-8"), PAGE, (ROOT / ".env.example").read_text("utf-8")):
        for address in re.findall(r"ALERTS_(?:MAIN|SECOND)=(mailto://\S+)", text):
            assert Apprise().add(address)
    assert not Apprise().add("nonsense://x")


def test_a_file_that_is_not_there_is_no_channel_unless_somebody_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        load_alerts(Settings(alerts=tmp_path / "nowhere.toml"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('channels = ["ALERTS_OTHER"]', "ALERTS_OTHER"),
        ('channels = ["slack://hush/hush"]', "channels.0"),
        ('channels = "ALERTS_MAIN"', "channels"),
        ('channels = ["ALERTS_DEADMAN_URL"]', "channels.0"),
        ('alerts = "some"', "alerts"),
        ("group_s = 0", "group_s"),
        ("[execution_rate]\nbelow_percent = 101", "execution_rate.below_percent"),
        ('fills = "week"\nchannels = ["ALERTS_MAIN"]', "fills"),
        ('fills = "each"', "fills"),
        ('fills = "each"\nalerts = "none"\nchannels = ["ALERTS_MAIN"]', "fills"),
        ('[events]\nurl = "https://example.com/hush"', "TRADEWIRE_EVENTS_SECRET"),
        ('[events]\nurl = "http://example.com/hush"', "events.url"),
        ('[events]\nurl = "https://me:hush@example.com/"', "events.url"),
        ('[events]\nurl = "https://example.com/?token=hush"', "events.url"),
        ('[events]\nurl = "ftp://example.com/hush"', "events.url"),
        ('[events]\nurl = "https://exa mple.com/hush"', "events.url"),
        ('[events]\nurl = "https://[hush"', "events.url"),
        ("[events]\nsecret = 'hush'", "events.secret"),
        ("colour = 1", "colour"),
    ],
)
def test_what_is_wrong_is_named_and_no_address_is_repeated(file: Any, text: str, key: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        load_alerts(file(text))

    assert [problem.key for problem in raised.value.problems] == [key]
    assert "hush" not in str(raised.value)


def test_an_address_that_is_none_is_refused_without_saying_it(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_MAIN", "hush hush")
    monkeypatch.setenv("ALERTS_DEADMAN_URL", "http://example.com/hush")

    with pytest.raises(ConfigInvalid) as raised:
        load_alerts(file('channels = ["ALERTS_MAIN"]'))

    assert [problem.key for problem in raised.value.problems] == ["ALERTS_MAIN", "ALERTS_DEADMAN_URL"]
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://hooks.example.com:8443/events/", "http://127.0.0.1:9000", "http://[::1]/in"])
def test_events_go_to_an_address_as_it_is_written(file: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TRADEWIRE_EVENTS_SECRET", "hush-hush-hush-hush")

    alerts = load_alerts(file(f'[events]\nurl = "{url}"'))

    assert alerts.settings.events.url == url
    assert alerts.events_secret is not None
    assert "hush" not in repr(alerts)
    assert load_alerts(file("")).events_secret is None


def test_the_word_none_asks_for_no_channel(file: Any) -> None:
    alerts = load_alerts(file('alerts = "none"\nchannels = ["ALERTS_MISSING"]'))

    assert alerts.silent
    assert alerts.channels == {}


def test_a_fingerprint_tells_addresses_apart_and_not_what_they_are(file: Any) -> None:
    address = load_alerts(file('channels = ["ALERTS_MAIN"]')).channels["ALERTS_MAIN"]

    assert re.fullmatch("[0-9a-f]{16}", fingerprint(address))
    assert "hush" not in repr(address)


# --- ended orders ---


def ended(state: str = "filled", **changes: Any) -> EndedOrder:
    data = {
        "executor_id": "argo", "mode": "live", "action": "BUY", "symbol": "AAPL", "state": state, "reason_code": None,
        "reason_facts": {}, "filled_quantity": "10.50", "filled_average_price": "190.10",
    }  # fmt: skip
    return EndedOrder(event_id=1, at=NOON, data=data | changes)


def test_an_ended_order_is_told_with_what_was_filled() -> None:
    nothing = {"filled_quantity": "0", "filled_average_price": None}

    assert ended().line == "argo (live): BUY AAPL filled, 10.5 at 190.1"
    assert ended("canceled").line == "argo (live): BUY AAPL canceled, 10.5 at 190.1 filled"
    assert ended("expired", **nothing).line == "argo (live): BUY AAPL expired, nothing filled"
    assert ended("filled", filled_average_price=None).line == "argo (live): BUY AAPL filled, 10.5"
    refused = ended("rejected", **nothing, reason_code="rejected_by_broker", reason_facts={"message": "no\nway"})
    assert refused.line == 'argo (live): BUY AAPL rejected, nothing filled: rejected_by_broker message="no\\nway"'


def test_many_ended_orders_are_one_message_with_a_count() -> None:
    message = compose_orders([ended() for _ in range(60)])

    assert message.title == "tradewire: 60 orders ended"
    assert len(message.body.splitlines()) == 51
    assert message.body.endswith("and 10 more: tradewire executions")
    assert message.severity == "over"
    assert compose_orders([ended(), ended("rejected")]).severity == "warning"

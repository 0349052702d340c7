from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.times import moment_of


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_a_span_is_counted_back_from_now(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - moment_of(text)) < timedelta(seconds=5)


def test_a_time_with_a_zone_is_that_time_in_utc() -> None:
    assert moment_of("2026-01-31T10:30:00+01:00") == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-01-31T09:30:00", "0001-01-01T00:00:00+23:59", "999999999d", "9999999999d", "5w", "٣d", "3d\n"],
)
def test_text_that_is_not_a_time_is_refused_with_the_known_forms(text: str) -> None:
    with pytest.raises(ValueError, match="neither a time like"):
        moment_of(text)

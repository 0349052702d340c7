from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pipeline.entrypoints.web.page.rendering import amount, clock, exact, percent, span, static_files, static_url


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (None, "none"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12, "12 s"),
        (119, "119 s"),
        (180, "3 min"),
        (7200, "2 h"),
        (200000, "2 d"),
    ],
)
def test_a_span_reads_as_people_say_it(seconds: float | None, says: str) -> None:
    assert span(seconds) == says


@pytest.mark.parametrize(("rate", "says"), [(None, "none yet"), (1.0, "100.0 %"), (0.9999, "99.9 %"), (0.0, "0.0 %")])
def test_a_rate_is_never_rounded_up_to_the_whole(rate: float | None, says: str) -> None:
    assert percent(rate) == says


def test_an_amount_has_cents_where_it_has_any() -> None:
    assert [amount(Decimal(each)) for each in ("3", "4500.0", "9044.8", "-0.5")] == ["3", "4,500", "9,044.80", "-0.50"]


def test_an_older_time_says_its_day() -> None:
    assert clock(datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2020-01-02 03:04:05"
    assert clock(datetime.now(UTC)).count(":") == 2
    assert exact("2020-01-02T03:04:05.678901Z") == "2020-01-02 03:04:05.678 UTC"


def test_an_address_of_a_file_names_what_is_in_it() -> None:
    addresses = {static_url(name) for name in static_files()}

    assert len(addresses) == len(static_files()) >= 3
    assert all(len(address.rpartition("?v=")[2]) == 12 for address in addresses)

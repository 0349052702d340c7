"""The alpaca source with the real alpaca-py, over HTTP, at a server that answers as Alpaca's data API does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from pipeline.intake.sources import alpaca
from pipeline.intake.sources.alpaca import AlpacaSource, open_source
from pipeline.intake.sources.protocol import AlpacaKeys, SourceContext
from pipeline.model.errors import SourceUnavailable
from pipeline.model.signals import read_signal
from tests.integration.sources.http_server import answering

KEY, SECRET = "PKTESTTESTTESTTEST01", "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3"
NEVER = threading.Event()


class Api(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bars: dict[str, Any] = {}
        self.status = 200
        self.text: str | None = None
        self.mute_s = 0.0
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        self.server.requests.append((address.path, parse_qs(address.query), dict(self.headers)))
        time.sleep(self.server.mute_s)
        body = self.server.text or json.dumps({"bars": self.server.bars, "next_page_token": None})
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Log nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    with answering(server):
        yield server


@pytest.fixture
def source(api: Api) -> Iterator[AlpacaSource]:
    keys = AlpacaKeys(key=KEY, secret=SecretStr(SECRET), base_url=f"http://127.0.0.1:{api.server_port}")
    opened = open_source(SourceContext(alpaca=keys, cadence_s=5.0))
    yield opened
    opened.close()


def minutes(*closes: float, last: datetime) -> list[dict[str, Any]]:
    """Return minute bars, the last of which begins at *last*."""
    first = last - timedelta(minutes=len(closes) - 1)
    return [
        {
            "t": (first + timedelta(minutes=index)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "o": close,
            "h": close + 0.1,
            "l": close - 0.1,
            "c": close,
            "v": 1200,
            "n": 9,
            "vw": close,
        }
        for index, close in enumerate(closes)
    ]


def now_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)


FLAT = [190.0] * 10


def test_a_new_bar_becomes_a_signal_with_its_close_as_the_price(api: Api, source: AlpacaSource) -> None:
    last = now_minute()
    api.bars = {"AAPL": minutes(*FLAT, 190.45, last=last), "MSFT": minutes(*[400.0] * 11, last=last)}

    (item,) = source.poll(NEVER)

    signal = read_signal(item)  # type: ignore[arg-type]
    assert (signal.source, signal.symbol, signal.action) == ("alpaca", "AAPL", "BUY")
    assert str(signal.entry_price) == "190.45"
    assert signal.source_id == f"AAPL-{last.isoformat()}"
    assert signal.generated_at == last + timedelta(minutes=1)


def test_a_bar_that_has_not_ended_by_this_clock_is_as_old_as_its_receipt(api: Api, source: AlpacaSource) -> None:
    """Otherwise a clock that is a minute slow would make every signal a minute old."""
    api.bars = {"AAPL": minutes(*FLAT, 190.45, last=now_minute() + timedelta(minutes=1))}

    (item,) = source.poll(NEVER)

    assert read_signal(item).generated_at is None  # type: ignore[arg-type]


def test_a_bar_gives_one_signal_and_the_next_bar_another(api: Api, source: AlpacaSource) -> None:
    last = now_minute()
    api.bars = {"AAPL": minutes(*FLAT, 190.45, last=last - timedelta(minutes=1))}
    first, again = source.poll(NEVER), source.poll(NEVER)
    api.bars = {"AAPL": minutes(*FLAT, 190.45, 190.9, last=last)}
    second = source.poll(NEVER)

    assert [len(first), len(again), len(second)] == [1, 0, 1]


def test_an_old_bar_is_no_news(api: Api, source: AlpacaSource) -> None:
    """The market is closed, and the last bar is yesterday's."""
    api.bars = {"AAPL": minutes(*FLAT, 195.0, last=now_minute() - timedelta(hours=16))}

    assert list(source.poll(NEVER)) == []


@pytest.mark.parametrize("bars", [{}, {"AAPL": []}, {"AAPL": minutes(1.0, last=datetime.now(UTC))}])
def test_too_few_bars_are_no_signal(api: Api, source: AlpacaSource, bars: dict[str, Any]) -> None:
    api.bars = bars

    assert list(source.poll(NEVER)) == []


def test_one_request_asks_for_all_symbols_with_the_keys_in_its_headers_only(api: Api, source: AlpacaSource) -> None:
    source.poll(NEVER)

    ((path, query, headers),) = api.requests
    assert path == "/v2/stocks/bars"
    assert query["symbols"] == ["AAPL,IBM,MSFT"]
    assert (query["timeframe"], query["adjustment"], query["feed"]) == (["1Min"], ["split"], ["iex"])
    assert (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"]) == (KEY, SECRET)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 504])
def test_a_refusal_is_asked_once_and_shows_no_key(api: Api, source: AlpacaSource, status: int) -> None:
    api.status, api.text = status, json.dumps({"message": f"no: {KEY} {SECRET}"})

    with pytest.raises(SourceUnavailable, match=f"Alpaca answered {status}") as caught:
        source.poll(NEVER)

    assert len(api.requests) == 1
    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "[]",
        '{"bars": {"AAPL": [{"t": "now", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}]}, "next_page_token": null}',
        '{"bars": {"AAPL": [{"t": "2026-01-02T10:00:00Z"}]}, "next_page_token": null}',
        '{"bars": {"AAPL": [{"t": "2026-01-02T10:00Z", "o": 1, "h": NaN, "l": 1, "c": 1, "v": 1}]}}',
        '{"bars": {"AAPL": [7]}, "next_page_token": null}',
        '{"bars": {"AAPL": 7}, "next_page_token": null}',
    ],
)
def test_an_answer_that_makes_no_sense_is_unavailable(api: Api, source: AlpacaSource, text: str) -> None:
    api.text = text

    with pytest.raises(SourceUnavailable, match=r"could not be read|cannot be read"):
        source.poll(NEVER)


def test_a_bar_that_makes_no_sense_does_not_use_up_the_others_news(api: Api, source: AlpacaSource) -> None:
    good = minutes(*FLAT, 190.45, last=now_minute())
    api.bars = {"AAPL": good, "MSFT": [{"t": 7}]}
    with pytest.raises(SourceUnavailable, match="A bar of MSFT"):
        source.poll(NEVER)
    api.bars = {"AAPL": good}

    assert len(source.poll(NEVER)) == 1


def test_a_mute_server_is_not_waited_for_without_end(
    api: Api, source: AlpacaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca, "_TIMEOUT_S", (1.0, 0.2))
    api.mute_s = 2.0

    with pytest.raises(SourceUnavailable, match="ReadTimeout"):
        source.poll(NEVER)


def test_a_server_that_is_away_is_unavailable_and_shows_no_key() -> None:
    keys = AlpacaKeys(key=KEY, secret=SecretStr(SECRET), base_url="http://127.0.0.1:1")
    source = open_source(SourceContext(alpaca=keys))

    with pytest.raises(SourceUnavailable, match="ConnectionError") as caught:
        source.poll(NEVER)

    assert SECRET not in repr(caught.value)
    source.close()


def test_polls_are_never_so_close_that_the_rate_limit_is_used_up() -> None:
    keys = AlpacaKeys(key=KEY, secret=SecretStr(SECRET))

    assert open_source(SourceContext(alpaca=keys, cadence_s=0.01)).pause_s >= 2

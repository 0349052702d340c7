"""A second implementation of Alpaca's trading API, which accepts and fills orders and often fails to answer.

A share of the requests gets a faulty answer: the exchange closes the connection, answers 504 as a gateway does, sends
nothing, or sends an unreadable body. These requests are carried out too, except half of those that get silence.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

FAULTS = ("drop", "504", "silence", "garbage")
_ACCOUNT = {
    "status": "ACTIVE", "currency": "USD", "equity": "1000000000", "last_equity": "1000000000", "cash": "1000000000",
    "buying_power": "2000000000", "non_marginable_buying_power": "1000000000", "trading_blocked": False,
    "account_blocked": False, "trade_suspended_by_user": False, "shorting_enabled": True,
}  # fmt: skip
_CLOCK = {
    "timestamp": "2026-03-02T12:00:00-05:00", "is_open": True,
    "next_open": "2026-03-03T09:30:00-05:00", "next_close": "2026-03-02T16:00:00-05:00",
}  # fmt: skip

_ASSET = {"class": "us_equity", "status": "active", "tradable": True, "fractionable": True, "shortable": True}
_POSITION = {"asset_class": "us_equity", "side": "long", "avg_entry_price": "20", "current_price": "20"}

Answer = tuple[int, Any]


class Book:
    """The accounts and all their orders, by API key."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.lock = threading.Lock()
        self.orders: dict[str, list[dict[str, Any]]] = {}
        self.faults: Counter[str] = Counter()

    def submit(self, key: str, body: dict[str, Any]) -> Answer:
        mine = self.orders.setdefault(key, [])
        if any(order["client_order_id"] == body["client_order_id"] for order in mine):
            return 422, {"code": 40010001, "message": "client_order_id must be unique"}
        now = datetime.now(UTC).isoformat()
        order = body | {
            "id": str(uuid.uuid4()), "asset_class": "us_equity", "status": "new", "filled_qty": "0",
            "filled_avg_price": None, "created_at": now, "submitted_at": now, "order_class": "", "legs": None,
        }  # fmt: skip
        mine.append(order)
        return 200, dict(order)

    def orders_asked(self, key: str, what: str, which: list[str], query: dict[str, str]) -> Answer:
        self._fill(key)
        mine = self.orders.get(key, [])
        if what == "orders" and not which:
            since = _time(query.get("after"))
            return 200, [order for order in mine if order["submitted_at"] > since][: int(query.get("limit", 50))]
        field, value = ("id", which[0]) if which else ("client_order_id", query["client_order_id"])
        found = [order for order in mine if order[field] == value]
        return (200, found[0]) if found else _absent(f"order not found for {value}")

    def read(self, key: str, what: str, which: str = "") -> Answer:
        positions = self._positions(key)
        held = [position for position in positions if position["symbol"] == which]
        everything: dict[str, Any] = {
            "account": _ACCOUNT | {"account_number": f"PA-{key}"},
            "positions": positions if not which else held[0] if held else None,
            "assets": _ASSET | {"symbol": which},
            "clock": _CLOCK,
        }
        answer = everything.get(what)
        return _absent("position does not exist") if answer is None else (200, answer)

    def _positions(self, key: str) -> list[dict[str, Any]]:
        held = Counter[str]()
        for order in self.orders.get(key, []):
            held[order["symbol"]] += int(order["filled_qty"])
        return [
            _POSITION | {"symbol": symbol, "qty": str(quantity), "qty_available": str(quantity)}
            for symbol, quantity in held.items()
            if quantity
        ]

    def _fill(self, key: str) -> None:
        """Fill every open order. Each read calls this first."""
        for order in self.orders.get(key, []):
            order.update(status="filled", filled_qty=order["qty"], filled_avg_price=order.get("limit_price", "20"))


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, most of them correctly."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ForeignExchange

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_DELETE(self) -> None:
        self._serve(None)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _serve(self, body: dict[str, Any] | None) -> None:
        fault, before = self.server.fault()
        if fault == "silence" and before:
            return self._be_silent()
        with self.server.book.lock:
            status, answer = self._answer(body)
        text = json.dumps(answer).encode()
        match fault:
            case "drop":
                self.close_connection = True
            case "silence":
                self._be_silent()
            case "504":
                self._send(504, b"<html><body>504 Gateway Time-out</body></html>")
            case "garbage":
                self._send(200, text[: len(text) // 2] + b"\x00\xff}")
            case _:
                self._send(status, text)
        return None

    def _answer(self, body: dict[str, Any] | None) -> Answer:
        book, key = self.server.book, str(self.headers["APCA-API-KEY-ID"])
        if self.headers["APCA-API-SECRET-KEY"] != book.secret:
            return 401, {"code": 40110000, "message": "unauthorized."}
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        _, _, what, *which = url.path.split("/")
        if body is not None:
            return book.submit(key, body)
        if what.startswith("orders"):
            return book.orders_asked(key, what, which, query)
        return book.read(key, what, *map(unquote, which))

    def _be_silent(self) -> None:
        self.close_connection = True
        self.server.over.wait(60)

    def _send(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)


class ForeignExchange(ThreadingHTTPServer):
    """The server, in threads of the test. Each kind of fault happens to *percent* percent of the requests."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *, secret: str, percent: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.book = Book(secret)
        self.over = threading.Event()
        self.percent = percent
        self._chance = random.Random(seed)
        self._chance_lock = threading.Lock()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self) -> tuple[str | None, bool]:
        """Return the fault of the next request, and whether the fault prevents the request from being carried out."""
        with self._chance_lock:
            number = int(self._chance.random() * 100 / self.percent) if self.percent else len(FAULTS)
            fault = FAULTS[number] if number < len(FAULTS) else None
            self.book.faults[fault or "none"] += 1
            return fault, self._chance.random() < 0.5

    def handle_error(self, *_: object) -> None:
        """Ignore clients that close the connection early."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


def _absent(message: str) -> Answer:
    return 404, {"code": 40410000, "message": message}


def _time(text: str | None) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat() if text else ""

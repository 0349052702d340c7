"""A served web application with webhooks, and its recorded deliveries and signals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from config.schema.settings import Settings
from pipeline.store.record import Record
from tests.waiting import patience
from tests.web import LOAD, serving, web_context

SECRET = "a-secret-of-the-webhook"
#: A 503 after this time means that a busy machine was too slow to connect to PostgreSQL.
_SLOW_S = 2.0
PAYLOADS = Path(__file__).parent / "webhook_payloads"


def body_of(name: str) -> bytes:
    """Return a payload with the current time in place of each `@NOW@`."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (PAYLOADS / name).read_bytes().replace(b"@NOW@", now.encode())


class Stage:
    """Sends requests to the application as a sender of alerts does."""

    def __init__(self, client: httpx.Client, record: Record) -> None:
        self.client = client
        self.record = record
        #: The number of alerts that were sent again after a slow 503; the first request may have recorded them.
        self.sent_again = 0

    def post(self, path: str, body: bytes | str, **headers: str) -> httpx.Response:
        return self.client.post(path, content=body, headers={"content-type": "text/plain"} | headers)

    def alert_once(self, body: bytes | str, *, name: str = "tradingview") -> httpx.Response:
        return self.post(f"/webhooks/{name}/{SECRET}", body)

    def alert(self, body: bytes | str, *, name: str = "tradingview") -> httpx.Response:
        """Post an alert, and again after a slow 503, as senders do. A quick 503 has another cause, and is returned."""
        deadline = time.monotonic() + patience(2.5)
        while True:
            began = time.monotonic()
            answer = self.alert_once(body, name=name)
            if answer.status_code != 503 or time.monotonic() - began < _SLOW_S or began > deadline:
                return answer
            self.sent_again += 1

    def rows(self, statement: str) -> list[dict[str, Any]]:
        return self.record.run(lambda connection: connection.execute(statement.encode()).fetchall())

    def change(self, statement: str) -> None:
        """Run a statement that changes the database."""
        self.record.run(lambda connection: connection.execute(statement.encode()))

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        bearer = {"Authorization": "Bearer open-sesame-open-sesame"}
        answer = self.client.get("/api/v1/webhooks/deliveries", params=query, headers=bearer)
        assert answer.status_code == 200
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def wait_for(self, count: int, *, within_s: float = 5.0) -> list[dict[str, Any]]:
        """Wait until *count* deliveries were refused, or until the time limit, and return the refused ones."""
        deadline = time.monotonic() + patience(within_s)
        while True:
            items = self.deliveries(refused=True)
            if sum(item["times"] for item in items) >= count or time.monotonic() > deadline:
                return items
            time.sleep(0.05)


@contextmanager
def webhook_stage(
    database_url: str, redis_url: str, file: Path, *, retry_for_s: float = 0.5, **settings: Any
) -> Iterator[Stage]:
    """Serve the application with the webhooks of *file* and further *settings*, on a port of its own."""
    with Record(database_url, retry_for_s=retry_for_s) as record:
        context = replace(web_context(record, redis_url), settings=Settings(executors=LOAD, webhooks=file, **settings))
        with serving(context) as client:
            yield Stage(client, record)

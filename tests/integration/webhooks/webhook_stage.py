"""A web process with webhooks, served for real, and what it recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from config.schema.settings import Settings
from pipeline.entrypoints.web.app import make_app
from pipeline.store.record import Record
from tests.waiting import patience
from tests.web import LOAD, web_context

SECRET = "a-secret-of-the-webhook"
PAYLOADS = Path(__file__).parent / "webhook_payloads"


def body_of(name: str) -> bytes:
    """Return a payload with the time of now where it has one."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (PAYLOADS / name).read_bytes().replace(b"@NOW@", now.encode())


class Stage:
    """Speaks to a served application as a sender of alerts does."""

    def __init__(self, client: httpx.Client, record: Record) -> None:
        self.client = client
        self.record = record

    def post(self, path: str, body: bytes | str, **headers: str) -> httpx.Response:
        return self.client.post(path, content=body, headers={"content-type": "text/plain"} | headers)

    def alert_once(self, body: bytes | str, *, name: str = "tradingview") -> httpx.Response:
        return self.post(f"/webhooks/{name}/{SECRET}", body)

    def alert(self, body: bytes | str, *, name: str = "tradingview") -> httpx.Response:
        """Post an alert, again after a 503 as senders do, since a slow machine may not record it in time."""
        deadline = time.monotonic() + patience(2.5)
        while (answer := self.alert_once(body, name=name)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
        return answer

    def rows(self, statement: str) -> list[dict[str, Any]]:
        return self.record.run(lambda connection: connection.execute(statement.encode()).fetchall())

    def change(self, statement: str) -> None:
        """Change the database itself."""
        self.record.run(lambda connection: connection.execute(statement.encode()))

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        bearer = {"Authorization": "Bearer open-sesame"}
        answer = self.client.get("/api/v1/webhooks/deliveries", params=query, headers=bearer)
        assert answer.status_code == 200
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def wait_for(self, count: int, *, within_s: float = 5.0) -> list[dict[str, Any]]:
        """Return the refused deliveries as soon as they count so many."""
        deadline = time.monotonic() + patience(within_s)
        while True:
            items = self.deliveries(refused=True)
            if sum(item["times"] for item in items) >= count or time.monotonic() > deadline:
                return items
            time.sleep(0.05)


@contextmanager
def webhook_stage(database_url: str, redis_url: str, file: Path, *, retry_for_s: float = 0.5) -> Iterator[Stage]:
    """Serve the application with the webhooks of *file*, on a port of its own."""
    with Record(database_url, retry_for_s=retry_for_s) as record:
        context = replace(web_context(record, redis_url), settings=Settings(executors=LOAD, webhooks=file))
        server = uvicorn.Server(uvicorn.Config(make_app(context), port=0, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + patience(10)
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=patience(10)) as client:
                yield Stage(client, record)
        finally:
            server.should_exit = True
            thread.join(timeout=5)

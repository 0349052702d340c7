"""The page `/docs`."""

from __future__ import annotations

import re

from pipeline.store.record import Record
from tests.web import serving, web_context


def test_docs_shows_every_route_and_loads_nothing_from_other_hosts(record: Record, redis_url: str) -> None:
    with serving(web_context(record, redis_url)) as client:
        told = client.get("/docs")
        routes = client.get("/openapi.json").json()["paths"]

    assert told.status_code == 200
    assert len(routes) > 20
    for path, methods in routes.items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in told.text
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", told.text)
    assert "default-src 'none'" in told.headers["Content-Security-Policy"]

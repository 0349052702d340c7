"""The page `/docs`."""

from __future__ import annotations

import re
from unittest.mock import patch

from fastapi import FastAPI

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


def test_the_description_is_made_once(record: Record, redis_url: str) -> None:
    made = patch.object(FastAPI, "openapi", autospec=True, side_effect=FastAPI.openapi)
    with made as calls, serving(web_context(record, redis_url)) as client:
        answers = [client.get(path) for path in ("/openapi.json", "/docs") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.content for answer in answers}) == 2
    assert calls.call_count == 2

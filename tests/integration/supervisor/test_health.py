"""`up` trusts only answers of servers that it started itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from pipeline.entrypoints.supervisor.health import HealthWatch
from pipeline.startup.listening import NONCE_HEADER
from tests.waiting import until


@contextmanager
def answering(nonce: str | None) -> Iterator[str]:
    """Run a server whose answers have *nonce*; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if nonce is not None:
                self.send_header(NONCE_HEADER, nonce)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_with_the_number_of_this_up_is_believed() -> None:
    with answering("ours") as url, closing(HealthWatch({"web": url}, nonce="ours", report=print)) as watch:
        assert watch.missing == ["web"]

        until(lambda: not watch.missing, 10)


def test_a_server_of_another_up_is_reported_once_and_never_believed() -> None:
    said: list[str] = []
    with (
        answering("of another up") as theirs,
        answering(None) as foreign,
        closing(HealthWatch({"exchange": theirs, "web": foreign}, nonce="ours", report=said.append)) as watch,
    ):
        until(lambda: len(said) > 1, 10)

        assert [line.partition(":")[0] for line in said] == ["exchange", "web"]
        assert all("ANOTHER program answers" in line for line in said)
        assert watch.missing == ["exchange", "web"]

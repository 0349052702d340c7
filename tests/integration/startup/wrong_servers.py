"""Servers of the wrong kind or version, which answer just enough for a client to recognise them."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Returns the answer to the bytes that a client sent.
Answer = Callable[[bytes], bytes]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """Serve *answer* on a free port of this machine, one thread per connection."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            try:
                while said := connection.recv(65536):
                    connection.sendall(answer(said))
            except OSError:
                return

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join(5)
        listener.close()


def web(_said: bytes) -> bytes:
    """Answer as a web server does."""
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


def redis_that_says(**facts: str) -> Answer:
    """Answer as a Redis whose INFO has *facts*. A version before 6 does not know the command HELLO."""
    info = "".join(f"{name}:{value}\r\n" for name, value in facts.items()).encode()
    greeting = b"%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n"
    if facts["redis_version"] < "6":
        greeting = b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"

    def answer(said: bytes) -> bytes:
        asked = said.upper()
        if b"\r\nINFO\r\n" in asked:
            return b"$%d\r\n%s\r\n" % (len(info), info)
        return greeting if b"\r\nHELLO\r\n" in asked else b"+OK\r\n" * asked.count(b"*")

    return answer


def postgres_of_version(version: str) -> Answer:
    """Answer as a PostgreSQL of *version* that needs no password; it answers no statement."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">i", len(body) + 4) + body

    def answer(said: bytes) -> bytes:
        if said[4:8] in (struct.pack(">i", 80877103), struct.pack(">i", 80877104)):
            return b"N"  # neither TLS nor GSS
        status = [("server_version", version), ("client_encoding", "UTF8"), ("server_encoding", "UTF8")]
        known = b"".join(message(b"S", f"{name}\0{value}\0".encode()) for name, value in status)
        return message(b"R", struct.pack(">i", 0)) + known + message(b"Z", b"I")

    return answer

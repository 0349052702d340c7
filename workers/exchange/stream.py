"""Send each account's trade updates over its websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from workers.exchange.faults import OF_EVENTS, FaultKind, On
from workers.exchange.floor import Floor
from workers.exchange.venue import TradeUpdate

log = structlog.get_logger(__name__)

#: Sent when the account already has a connection, and when the exchange drops one on purpose.
_TRY_LATER = 1013
_POLICY = 1008


class StreamConnection:
    """One account's open connection: what is to be sent on it, in order."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, message: bytes) -> None:
        """Send *message* after those before it."""
        self._messages.put_nowait(message)

    def drop(self) -> None:
        """Close the connection after what was put before."""
        self._messages.put_nowait(None)

    async def send_to(self, websocket: WebSocket) -> None:
        """Send messages for as long as there is somebody to send them to."""
        while (message := await self._messages.get()) is not None:
            # Binary frames with UTF-8 JSON, as the paper endpoint does.
            await websocket.send_bytes(message)
        await websocket.close(_TRY_LATER)


class Hub:
    """The open connections by account; an account has one."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._lines: dict[str, StreamConnection] = {}

    def publish(self, event: TradeUpdate) -> None:
        """Send *event* to its account's connection, if it has one, with the faults that are due."""
        line = self._lines.get(event.account)
        if line is None:
            return
        message = json.dumps(event.message, separators=(",", ":")).encode()
        struck = self._floor.faults.strike(On.STREAM, event.account, OF_EVENTS | {FaultKind.DROP_BEFORE})
        kinds = {fault.kind for fault in struck}
        if FaultKind.DROP_BEFORE in kinds:
            line.drop()
            return
        if FaultKind.DROP_EVENT in kinds:
            return
        late_s = max((fault.lasts_s for fault in struck if fault.kind is FaultKind.LATE_EVENT), default=0.0)
        for _ in range(2 if FaultKind.DOUBLE_EVENT in kinds else 1):
            if late_s:
                asyncio.get_running_loop().call_later(late_s, line.put, message)
            else:
                line.put(message)

    async def serve(self, websocket: WebSocket) -> None:
        """Speak the stream's protocol with one client until it leaves."""
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            account = await self._authenticate(websocket)
            if account is None:
                await websocket.close(_POLICY)
                return
            line = self._lines[account] = StreamConnection()
            self._floor.venue.listeners.add(account)
            log.info("stream.opened", account=self._floor.venue.accounts[account].number)
            try:
                await self._talk(websocket, line)
            finally:
                del self._lines[account]
                self._floor.venue.listeners.discard(account)

    async def _authenticate(self, websocket: WebSocket) -> str | None:
        """Read the first message; return the account's key, None when it is refused."""
        message = await _receive(websocket)
        action = message.get("action")
        inner = _inner(message)
        key = message.get("key") or inner.get("key_id")
        secret = message.get("secret") or inner.get("secret_key")
        known = action in {"authenticate", "auth"} and isinstance(key, str) and isinstance(secret, str)
        if known and key and secret and self._admits(key, secret):
            await websocket.send_bytes(_said("authorization", status="authorized", action=action))
            return str(key)
        await websocket.send_bytes(_said("authorization", status="unauthorized", action=action))
        return None

    def _admits(self, key: str, secret: str) -> bool:
        floor = self._floor
        account = floor.venue.authenticate(key, secret, time.time_ns())
        refused = floor.faults.strike(On.STREAM, key, {FaultKind.UNAUTHORIZED, FaultKind.RATE_LIMITED})
        return account is not None and not refused and key not in self._lines

    async def _talk(self, websocket: WebSocket, line: StreamConnection) -> None:
        """Answer `listen`; from then on the updates go out."""
        sender: asyncio.Task[None] | None = None
        try:
            while True:
                message = await _receive(websocket)
                if message.get("action") != "listen":
                    continue
                asked = _inner(message).get("streams")
                streams = ["trade_updates"] if isinstance(asked, list) and "trade_updates" in asked else []
                await websocket.send_bytes(_said("listening", streams=streams))
                if sender is None and streams:
                    sender = asyncio.create_task(line.send_to(websocket))
        finally:
            if sender is not None:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)


def _said(stream: str, **inner: object) -> bytes:
    return json.dumps({"stream": stream, "data": inner}, separators=(",", ":")).encode()


def _inner(message: dict[str, Any]) -> dict[str, Any]:
    inner = message.get("data")
    return inner if isinstance(inner, dict) else {}


async def _receive(websocket: WebSocket) -> dict[str, Any]:
    """Read one message, text or binary; what is no JSON object counts as an empty one."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        found = json.loads(message.get("text") or message.get("bytes") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""Send each account's trade updates over its websocket."""

import asyncio
import contextlib
import json
import time
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from workers.exchange.faults import OF_EVENTS, FaultKind, FaultTarget
from workers.exchange.refusals import RequestRefused
from workers.exchange.runtime import ExchangeRuntime
from workers.exchange.tickets import read_json
from workers.exchange.venue import TradeUpdate

log = structlog.get_logger(__name__)

#: The close code when an injected fault drops a connection.
_TRY_LATER = 1013
#: The close code when the login is refused: it is not valid, the account already has a connection, or a fault says so.
_POLICY = 1008
#: Seconds for the login of a connection. Without the two limits, connections that never log in use up the descriptors.
_LOGIN_WITHIN_S = 10.0
_MOST_WITHOUT_LOGIN = 50

#: The messages that wait to be sent on a connection. None closes the connection after the messages before it.
_SendQueue = asyncio.Queue[bytes | None]


class TradeUpdateHub:
    """The open connections by account. An account has at most one."""

    def __init__(self, runtime: ExchangeRuntime) -> None:
        self._runtime = runtime
        self._connections: dict[str, _SendQueue] = {}
        self._without_login = 0

    def publish(self, event: TradeUpdate) -> None:
        """Send *event* to its account's connection, if there is one, and apply injected faults."""
        connection = self._connections.get(event.account)
        if connection is None:
            return
        message = json.dumps(event.message, separators=(",", ":")).encode()
        drawn = self._runtime.faults.draw(FaultTarget.STREAM, event.account, OF_EVENTS | {FaultKind.DROP_BEFORE})
        kinds = {fault.kind for fault in drawn}
        if FaultKind.DROP_BEFORE in kinds:
            connection.put_nowait(None)
            return
        if FaultKind.DROP_EVENT in kinds:
            return
        late_s = max((fault.lasts_s for fault in drawn if fault.kind is FaultKind.LATE_EVENT), default=0.0)
        for _ in range(2 if FaultKind.DOUBLE_EVENT in kinds else 1):
            if late_s:
                asyncio.get_running_loop().call_later(late_s, connection.put_nowait, message)
            else:
                connection.put_nowait(message)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one client until it disconnects."""
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            account = await self._log_in(websocket)
            # Two logins of one account can be answered at the same time.
            if account is None or account in self._connections:
                await websocket.close(_POLICY)
                return
            connection = self._connections[account] = _SendQueue()
            self._runtime.venue.listeners.add(account)
            log.info("stream.opened", account=self._runtime.venue.accounts[account].number)
            try:
                await self._serve_listener(websocket, connection)
            finally:
                del self._connections[account]
                self._runtime.venue.listeners.discard(account)

    async def _log_in(self, websocket: WebSocket) -> str | None:
        """Return the account's key; None if the login is refused, comes late, or too many others are awaited."""
        if self._without_login >= _MOST_WITHOUT_LOGIN:
            return None
        self._without_login += 1
        try:
            return await asyncio.wait_for(self._authenticate(websocket), _LOGIN_WITHIN_S)
        except TimeoutError:
            return None
        finally:
            self._without_login -= 1

    async def _authenticate(self, websocket: WebSocket) -> str | None:
        """Read the first message, a login, and answer it; return the account's key, or None if the login is refused."""
        message = await _receive(websocket)
        action = message.get("action")
        inner = _data(message)
        key = message.get("key") or inner.get("key_id")
        secret = message.get("secret") or inner.get("secret_key")
        known = action in {"authenticate", "auth"} and isinstance(key, str) and isinstance(secret, str)
        if known and key and secret and self._admits(key, secret):
            await websocket.send_bytes(_message("authorization", status="authorized", action=action))
            return str(key)
        await websocket.send_bytes(_message("authorization", status="unauthorized", action=action))
        return None

    def _admits(self, key: str, secret: str) -> bool:
        runtime = self._runtime
        account = runtime.venue.authenticate(key, secret, time.time_ns())
        refused = runtime.faults.draw(FaultTarget.STREAM, key, {FaultKind.UNAUTHORIZED, FaultKind.RATE_LIMITED})
        return account is not None and not refused and key not in self._connections

    async def _serve_listener(self, websocket: WebSocket, connection: _SendQueue) -> None:
        """Answer `listen` requests. After the first one for trade updates, send all updates since the login."""
        sender: asyncio.Task[None] | None = None
        try:
            while True:
                message = await _receive(websocket)
                if message.get("action") != "listen":
                    continue
                asked = _data(message).get("streams")
                streams = ["trade_updates"] if isinstance(asked, list) and "trade_updates" in asked else []
                await websocket.send_bytes(_message("listening", streams=streams))
                if sender is None and streams:
                    sender = asyncio.create_task(_send(websocket, connection))
        finally:
            if sender is not None:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)


async def _send(websocket: WebSocket, connection: _SendQueue) -> None:
    while (message := await connection.get()) is not None:
        # Like the broker's paper endpoint, send the JSON in binary frames.
        await websocket.send_bytes(message)
    await websocket.close(_TRY_LATER)


def _message(stream: str, **inner: object) -> bytes:
    return json.dumps({"stream": stream, "data": inner}, separators=(",", ":")).encode()


def _data(message: dict[str, Any]) -> dict[str, Any]:
    inner = message.get("data")
    return inner if isinstance(inner, dict) else {}


async def _receive(websocket: WebSocket) -> dict[str, Any]:
    """Read one message, text or binary. A message that is not a JSON object counts as an empty object."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        return read_json(message.get("text") or message.get("bytes") or "{}")
    except RequestRefused:
        return {}

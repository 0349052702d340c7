"""`GET /api/v1/events`: every state change of every execution as server-sent events. A client can resume."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from pipeline.entrypoints.web.api.auth import holder_of, opened_by, token_of
from pipeline.entrypoints.web.api.broadcast import Broadcast, Listener
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import ApiError
from pipeline.entrypoints.web.api.parameters import Digits
from pipeline.model.errors import RecordUnavailable
from pipeline.operations.tokens import Scope
from pipeline.views.feed_change import FeedChange
from pipeline.views.live_feed import change_json, changes_after, last_change

# After this many seconds without a change, a comment is sent, since proxies and browsers close a silent stream.
_BEAT_S = 15.0
# The token or the login is checked again after this many seconds, however often changes come.
_CHECK_EVERY_S = 5.0
# A client that missed more changes than this must read the lists again.
_MOST_MISSED = 5000
_BATCH = 500
# Seconds to wait before the missed changes are read: `changes_after` leaves out the newest changes, because a change
# with a smaller number may still be committed.
_SETTLED_S = 0.1
_AWAY = "PostgreSQL is away: try again"
_BIGINT = 2**63 - 1
_NUMBER = re.compile(r"[0-9]{1,30}")


def router(context: WebContext) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["live"])
    broadcast = Broadcast(context.record)

    # OpenAPI cannot describe an answer that never ends; `pipeline/docs/http.md` describes it.
    @routes.get("/api/v1/events", dependencies=[opened_by(context.gate, Scope.READ)], include_in_schema=False)
    async def events(
        request: Request,
        after: Annotated[int | None, Digits, Query(ge=0, le=_BIGINT)] = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """Send each state change after number `Last-Event-ID` or `after`, or else from now on, as it happens."""
        known = last_event_id if last_event_id is not None and last_event_id.isdecimal() else None
        if known is not None and not _NUMBER.fullmatch(known):
            raise ApiError(422, "invalid_request", "Last-Event-ID: no change has this number")
        began = min(int(known), _BIGINT) if known is not None else after
        name, by_token = holder_of(request).name, await token_of(request) is not None
        listener = broadcast.join(name)
        if listener is None:
            raise ApiError(
                503,
                "too_many_listeners",
                "too many clients listen already, with this token or in all",
                headers={"Retry-After": "10"},
            )
        stream = _Stream(context, broadcast, listener, session=None if by_token else request)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream.run(began), media_type="text/event-stream", headers=headers)

    return routes


class _Stream:
    def __init__(
        self, context: WebContext, broadcast: Broadcast, listener: Listener, *, session: Request | None
    ) -> None:
        """*session* is the request if its right is that of a login, which ends before its token does."""
        self._context = context
        self._broadcast = broadcast
        self._listener = listener
        self._session = session
        self._sent = 0
        self._checked_at = time.monotonic()

    async def run(self, after: int | None) -> AsyncIterator[str]:
        """Yield the missed changes, then new ones, until the client leaves, is too far behind or may no longer read."""
        try:
            yield "retry: 2000\n\n"
            async for text in self._missed(after):
                yield text
            async for text in self._live():
                yield text
        except RecordUnavailable:
            return
        finally:
            self._broadcast.leave(self._listener)

    async def _missed(self, after: int | None) -> AsyncIterator[str]:
        if not await run_in_threadpool(self._broadcast.reads, within_s=_BEAT_S):
            raise RecordUnavailable(_AWAY)
        last = await run_in_threadpool(last_change, self._context.record)
        self._sent = last if after is None else after
        # Too many changes were missed, or the number is above the last one and so comes from another database.
        if not 0 <= last - self._sent <= _MOST_MISSED:
            self._sent = last
            yield f"id: {last}\nevent: reset\ndata: {{}}\n\n"
        await asyncio.sleep(_SETTLED_S)
        while changes := await run_in_threadpool(changes_after, self._context.record, self._sent, limit=_BATCH):
            for change in changes:
                yield self._event(change)

    async def _live(self) -> AsyncIterator[str]:
        while True:
            try:
                change = await asyncio.wait_for(self._listener.changes.get(), _BEAT_S)
            except TimeoutError:
                if not await self._still_may_read():
                    return
                yield ": still here\n\n"
                continue
            if change is None or not await self._still_may_read():
                return
            if change.history_id > self._sent:
                yield self._event(change)

    def _event(self, change: FeedChange) -> str:
        self._sent = change.history_id
        return f"id: {self._sent}\nevent: move\ndata: {json.dumps(change_json(change))}\n\n"

    async def _still_may_read(self) -> bool:
        if time.monotonic() - self._checked_at < _CHECK_EVERY_S:
            return True
        self._checked_at = time.monotonic()
        return await run_in_threadpool(self._may_read)

    def _may_read(self) -> bool:
        gate, session = self._context.gate, self._session
        holder = gate.named(self._listener.name) if session is None else gate.holder_of_session(session)
        return holder is not None and Scope.READ in holder.scopes

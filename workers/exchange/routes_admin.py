"""Answer `/admin`, through which tests and drills on this machine control the exchange. Requests need the token."""

import hmac
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from config.schema.addresses import is_loopback
from pipeline.model.symbols import canonical_where_known
from workers.exchange.accounts import ExchangeAccount
from workers.exchange.admin_bodies import AccountBody, AssetsBody, BarsBody, ClockBody, Prices, RateBody
from workers.exchange.faults import FaultPlan
from workers.exchange.refusals import RequestRefused, bad_parameter, plain
from workers.exchange.runtime import ExchangeRuntime
from workers.exchange.wire import cents

_Value = TypeVar("_Value")
_Handler = Callable[[Request], Awaitable[Response]]


class Admin:
    """The admin routes of one exchange."""

    def __init__(self, runtime: ExchangeRuntime, token: str) -> None:
        self._runtime = runtime
        self._authorization = f"Bearer {token}".encode()

    def routes(self) -> list[Route]:
        """Return the routes. Each refuses callers from other machines, and callers without the token."""
        return [
            Route("/admin/prices", self._guarded(self._prices), methods=["POST"]),
            Route("/admin/bars", self._guarded(self._bars), methods=["POST"]),
            Route("/admin/clock", self._guarded(self._clock), methods=["POST"]),
            Route("/admin/accounts", self._guarded(self._accounts), methods=["POST"]),
            Route("/admin/assets", self._guarded(self._assets), methods=["POST"]),
            Route("/admin/faults", self._guarded(self._faults), methods=["GET", "POST"]),
            Route("/admin/state", self._guarded(self._state), methods=["GET"]),
            Route("/admin/orders", self._guarded(self._orders), methods=["GET"]),
            Route("/admin/rate", self._guarded(self._rate), methods=["POST"]),
            Route("/admin/requests", self._guarded(self._requests), methods=["GET"]),
            Route("/admin/reset", self._guarded(self._reset), methods=["POST"]),
        ]

    def _guarded(self, handler: _Handler) -> _Handler:
        """Refuse callers that may not control the exchange, and answer an invalid body with a list of its problems."""

        async def guarded(request: Request) -> Response:
            host = request.client.host if request.client else ""
            if not is_loopback(host):
                return JSONResponse({"message": "admin routes answer this machine only"}, 403)
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, self._authorization):
                message = "Authorization: Bearer with the exchange_token (TRADEWIRE_EXCHANGE_TOKEN) is required"
                return JSONResponse({"message": message}, 401)
            try:
                return await handler(request)
            except RequestRefused as refused:
                return JSONResponse(refused.body, refused.status)
            except ValidationError as invalid:
                problems = invalid.errors(include_url=False, include_context=False, include_input=False)
                return JSONResponse({"message": "invalid body", "problems": problems}, 422)

        return guarded

    async def _prices(self, request: Request) -> Response:
        prices = self._by_symbol(Prices.model_validate_json(await request.body()).root)
        self._runtime.pin(prices)
        await self._runtime.committed()
        return JSONResponse({symbol: _written(self._runtime.venue.price(symbol)) for symbol in prices})

    async def _bars(self, request: Request) -> Response:
        body = BarsBody.model_validate_json(await request.body())
        self._runtime.set_pace(cadence_s=body.cadence_s, playing=body.playing)
        for _ in range(body.turn):
            self._runtime.play_next_bar()
        await self._runtime.committed()
        runtime = self._runtime
        return JSONResponse({"cursor": runtime.cursor, "cadence_s": runtime.cadence_s, "playing": runtime.playing})

    async def _clock(self, request: Request) -> Response:
        body = ClockBody.model_validate_json(await request.body())
        self._runtime.set_clock(body.mode, body.now)
        await self._runtime.committed()
        return JSONResponse({"mode": body.mode, **self._runtime.venue.clock.to_json(datetime.now(UTC))})

    async def _accounts(self, request: Request) -> Response:
        body = AccountBody.model_validate_json(await request.body())
        venue = self._runtime.venue
        account = venue.accounts.get(body.key) or venue.open_account(body.key, time.time_ns())
        if body.cash is not None:
            account.last_equity += body.cash - account.cash
            account.contributed += body.cash - account.cash
            account.cash = body.cash
        for name in ("last_equity", "refused", "trading_blocked", "shorting_enabled", "liquidation_only"):
            if getattr(body, name) is not None:
                setattr(account, name, getattr(body, name))
        if body.deposit:
            at_ns = time.time_ns() if body.deposited_at is None else _nanoseconds(body.deposited_at)
            venue.move_cash(account, body.deposit, at_ns, day_only=body.deposit_day_only)
        venue.changes.accounts[account.key] = account
        await self._runtime.committed()
        shown = {"cash": cents(account.cash), "last_equity": cents(account.last_equity)}
        return JSONResponse({"key": account.key, "account_number": account.number, **shown})

    async def _assets(self, request: Request) -> Response:
        changes = self._by_symbol(AssetsBody.model_validate_json(await request.body()).root)
        for symbol, flags in changes.items():
            found = None if flags is None else flags.model_dump(exclude_unset=True)
            self._runtime.venue.assets.change(symbol, found)
        return JSONResponse({})

    async def _faults(self, request: Request) -> Response:
        if request.method == "POST":
            self._runtime.faults = FaultPlan.model_validate_json(await request.body())
        return JSONResponse(self._runtime.faults.to_json())

    async def _state(self, _request: Request) -> Response:
        runtime, venue = self._runtime, self._runtime.venue
        return JSONResponse(
            {
                "cursor": runtime.cursor,
                "cadence_s": runtime.cadence_s,
                "playing": runtime.playing,
                "clock": venue.clock.to_json(datetime.now(UTC)) | {"mode": venue.clock.mode},
                "orders": len(venue.orders),
                "open_orders": sum(len(book) for book in venue.book.values()),
                "fills": sum(len(account.fills) for account in venue.accounts.values()),
                "prices": {s: _written(venue.price(s)) for s in sorted({*venue.last, *venue.pinned})},
                "pinned": sorted(venue.pinned),
                "accounts": [_summary(account) for account in venue.accounts.values()],
            }
        )

    async def _orders(self, request: Request) -> Response:
        account = self._runtime.venue.accounts.get(request.query_params.get("key", ""))
        orders = account.orders if account is not None else []
        return JSONResponse([self._runtime.venue.order_json(order) for order in orders])

    async def _rate(self, request: Request) -> Response:
        body = RateBody.model_validate_json(await request.body())
        self._runtime.traffic.limit(body.per_minute, retry_after=body.retry_after)
        return JSONResponse(body.model_dump())

    async def _requests(self, request: Request) -> Response:
        return JSONResponse(self._runtime.traffic.to_json(request.query_params.get("key", "")))

    async def _reset(self, _request: Request) -> Response:
        self._runtime.reset()
        await self._runtime.committed()
        return JSONResponse({"cursor": self._runtime.cursor})

    def _by_symbol(self, body: dict[str, _Value]) -> dict[str, _Value]:
        """Return *body* with canonical symbols as its keys; refuse symbols that belong to no asset."""
        known = {symbol: self._runtime.venue.assets.known(canonical_where_known(symbol)) for symbol in body}
        missing = [symbol for symbol, asset in known.items() if asset is None]
        if missing:
            raise bad_parameter(f"no such asset: {', '.join(missing)}")
        return {asset.symbol: body[symbol] for symbol, asset in known.items() if asset is not None}


def _summary(account: ExchangeAccount) -> dict[str, Any]:
    return {
        "key": account.key,
        "account_number": account.number,
        "orders": len(account.orders),
        "open_orders": len(account.open_orders()),
        "fills": len(account.fills),
        "positions": {each.symbol: plain(each.qty) for each in account.positions.values()},
        "cash": cents(account.cash),
    }


def _written(price: Decimal | None) -> str | None:
    return None if price is None else plain(price)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000

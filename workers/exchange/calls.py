"""The request and the answer of the trading API's handlers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.datastructures import QueryParams

from workers.exchange.accounts import ExchangeAccount
from workers.exchange.refusals import RequestRefused
from workers.exchange.tickets import read_json
from workers.exchange.trading import NO_FAULTS, OrderFaults
from workers.exchange.venue import Venue


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authenticated request."""

    venue: Venue
    account: ExchangeAccount
    #: Nanoseconds since 1970.
    now_ns: int
    body: bytes
    query: QueryParams
    path: Mapping[str, Any] = field(default_factory=dict)
    #: Injected faults of an order that this request places.
    faults_of_order: OrderFaults = NO_FAULTS
    #: The request does not see orders that were accepted after this time (an injected fault).
    horizon_ns: int | None = None

    @cached_property
    def json(self) -> dict[str, Any]:
        """Return the body's JSON object, with fractions as `Decimal`; refuse anything else."""
        return read_json(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer: a status and a JSON body, which is empty for None."""

    status: int = 200
    json: Any = None

    def encode(self) -> bytes:
        """Return the body as bytes."""
        return b"" if self.json is None else json.dumps(self.json, separators=(",", ":")).encode()


Handler = Callable[[Call], Reply]


def refusal(refused: RequestRefused) -> Reply:
    """Return *refused* as an answer."""
    return Reply(status=refused.status, json=refused.body)

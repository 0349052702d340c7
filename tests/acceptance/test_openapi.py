"""Random requests made from the OpenAPI document break no route, and every answer is a documented one."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pipeline.entrypoints.web.app import make_app
from pipeline.intake.intake import Intake
from pipeline.store.record import Record
from tests.factories import signal
from tests.web import BEARER, LOAD, TOKEN, serving, web_context

REQUESTS = 5000
#: A fixed seed makes the same requests in each run.
SEED = 5
_OFTEN = 0.7
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
#: No worker runs in this test, so this route rightly answers 503.
MAY_BE_503 = {"/ready"}


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with Record(database_url, connections=8, retry_for_s=2.0) as record:
        yield record


@pytest.fixture
def known(record: Record) -> dict[str, list[str]]:
    """Ids that exist, so that not every request ends in 404."""
    from config.executors import load_executors
    from config.schema.settings import Settings

    intake = Intake(record, load_executors(LOAD, settings=Settings(executors=LOAD)), by="test")
    recorded = [intake.record(signal(source_id=str(number)), source="api") for number in range(3)]
    return {
        "signal_id": [str(each.signal_id) for each in recorded],
        "execution_id": [str(each.executions[0].execution_id) for each in recorded] + [str(uuid4())],
        "order_id": [str(each.executions[0].execution_id) for each in recorded],
        "symbol": ["AAPL", "ETH/USD"],
        "executor_id": ["argo", "prop_firm"],
        "name": ["tradingview"],
        "secret": [TOKEN],
    }


def sent(client: httpx.Client, case: Any) -> httpx.Response:
    """Send a generated request, with a token that has every scope."""
    if case.path.endswith(("/trading/execute", "/close")) and _is_a_wait(case.query.get("timeout")):
        case.query = {**case.query, "timeout": "0"}  # Without a worker, waiting shows nothing.
    with warnings.catch_warnings():
        # The client warns about the malformed values in the generated requests.
        warnings.simplefilter("ignore")
        answer: httpx.Response = case.call(base_url=str(client.base_url).rstrip("/"), headers=BEARER)
    return answer


def _is_a_wait(text: Any) -> bool:
    try:
        return text is None or float(text) >= 0
    except (TypeError, ValueError):
        return False


# Hypothesis mistakes a random number of another thread for one that a strategy draws. The pool of psycopg draws one for
# each new connection, in a thread of the served application.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.timeout(900)
def test_made_up_requests_get_documented_answers(record: Record, redis_url: str, known: dict[str, list[str]]) -> None:
    context = web_context(record, redis_url, per_minute=1_000_000)
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(make_app(context).openapi())))
    operations = [found.ok() for found in schema.get_all_operations()]
    statuses: Counter[tuple[str, int]] = Counter()

    with serving(context) as client:
        for operation in operations:
            run(operation, client, known, statuses, REQUESTS // len(operations) + 1)

    assert sum(statuses.values()) >= REQUESTS
    # Each operation must have understood at least one request; refusals alone would show nothing.
    understood = {label for label, status in statuses if status < 300 or status in {409, 503}}
    # Random text is not an alert, so 422 shows that a webhook understood the request.
    understood |= {label for label, status in statuses if "/webhooks/" in label and status == 422}
    assert {operation.label for operation in operations} - understood == set()


def run(
    operation: Any, client: httpx.Client, known: dict[str, list[str]], statuses: Counter[tuple[str, int]], count: int
) -> None:
    """Send *count* requests to one operation, and check each answer."""
    sent_now = 0

    @seed(SEED)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), choose=st.randoms(use_true_random=False))
    def one(case: Any, choose: Any) -> None:
        nonlocal sent_now
        for name in case.path_parameters or {}:
            if name in known and choose.random() < _OFTEN:
                case.path_parameters = {**case.path_parameters, name: choose.choice(known[name])}
        answer = sent(client, case)
        case.validate_response(answer, checks=[*CHECKS, *([] if case.path in MAY_BE_503 else [not_a_server_error])])
        statuses[operation.label, answer.status_code] += 1
        sent_now += 1

    while sent_now < count:
        one()

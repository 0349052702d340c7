"""Place orders with plain RQ in the way that its documentation recommends, for `against_plain_rq`.

It uses all that the documentation recommends for this work: retries with pauses, the scheduler that these need, JSON
instead of pickle, and one queue with several workers per executor. A job places an order and returns the order's id.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from redis import Redis
from rq import Queue, Retry, Worker
from rq.serializers import JSONSerializer

from pipeline.entrypoints.drill.sending import read_ledger
from pipeline.entrypoints.supervisor.lifeline import watch_lifeline

#: The environment variable with the URL of the exchange.
EXCHANGE = "PLAIN_RQ_EXCHANGE_URL"
#: The path of `place_order`: this module runs as `__main__`, from which RQ cannot import the function.
PLACE_ORDER = "tests.benchmarks.plain_rq.place_order"
#: The paper exchange accepts any secret.
_SECRET = "paper-exchange"
_POLL_S = 0.02
#: Longer than any drill, so that RQ keeps every result until the audit.
_RESULT_TTL_S = 24 * 3600
_RETRY_PAUSES_S = [1, 2, 4]


def place_order(executor_id: str, signal: dict[str, Any]) -> str:
    """Place the order of a signal and return its id. This function is the job."""
    client = TradingClient(executor_id, _SECRET, url_override=os.environ[EXCHANGE])
    order = client.submit_order(
        LimitOrderRequest(
            symbol=signal["symbol"],
            qty=1,
            side=OrderSide.BUY if signal["action"] == "BUY" else OrderSide.SELL,
            time_in_force=TimeInForce.DAY,
            limit_price=signal["entry_price"],
        )
    )
    return str(getattr(order, "id", ""))


def queue_of(executor_id: str, connection: Redis) -> Queue:
    """Return the queue of an executor."""
    return Queue(executor_id, connection=connection, serializer=JSONSerializer)


def worker_name(executor_id: str, pid: int) -> str:
    """Return the name of the worker with this pid."""
    return f"{executor_id}-{pid}"


def work(executor_id: str, connection: Redis) -> None:
    """Work on one queue until the process ends, as `rq worker --with-scheduler` does."""
    worker = Worker(
        [queue_of(executor_id, connection)],
        name=worker_name(executor_id, os.getpid()),
        connection=connection,
        serializer=JSONSerializer,
    )
    worker.work(with_scheduler=True, logging_level="WARNING")


def produce(ledger_path: Path, executors: list[str], connection: Redis) -> None:
    """Enqueue every signal for every executor when it is due, and write the number of enqueued signals to a file."""
    position = position_path(ledger_path)
    done = int(position.read_text()) if position.exists() else 0
    while not (ledger := list(read_ledger(ledger_path))):
        time.sleep(_POLL_S)
    for number, sent in enumerate(ledger[done:], start=done + 1):
        time.sleep(max(0.0, sent.due - time.time()))
        for executor_id in executors:
            queue_of(executor_id, connection).enqueue(
                PLACE_ORDER,
                executor_id,
                sent.body,
                retry=Retry(max=len(_RETRY_PAUSES_S), interval=_RETRY_PAUSES_S),
                result_ttl=_RESULT_TTL_S,
            )
        fresh = position.with_suffix(".new")
        fresh.write_text(str(number))
        fresh.replace(position)
    while True:
        time.sleep(1)


def position_path(ledger_path: Path) -> Path:
    """Return the file in which the producer writes how many signals it has enqueued."""
    return ledger_path.with_suffix(".position")


def main() -> None:
    """Run a worker or the producer."""
    watch_lifeline()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.plain_rq", description=__doc__)
    parser.add_argument("what", choices=["work", "produce"])
    parser.add_argument("executors", nargs="+")
    parser.add_argument("--ledger", type=Path)
    asked = parser.parse_args()
    # The URL comes from the environment, because every user of the machine can read the arguments of a process.
    connection = Redis.from_url(os.environ["REDIS_URL"])
    if asked.what == "work":
        work(asked.executors[0], connection)
    else:
        produce(asked.ledger, asked.executors, connection)


if __name__ == "__main__":
    main()

"""The same work on plain RQ, as its documentation teaches: what `drill --compare rq` drills.

Nothing is left out that the documentation recommends for this: jobs are retried with pauses, the scheduler runs for
those pauses, data is JSON and not pickle, one queue per executor and several workers on each, a supervisor that starts
again what dies. A job places an order and its return value is the order's id.
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

#: The environment variable that says where the exchange is.
EXCHANGE = "PLAIN_RQ_EXCHANGE_URL"
#: By its path: this module runs as a program, whose functions have no path.
PLACE_ORDER = "pipeline.entrypoints.drill.plain_rq.place_order"
#: Opens nothing but play money on this machine.
_SECRET = "paper-exchange"  # noqa: S105 -- see above
_POLL_S = 0.02
#: Longer than any drill, so that no answer is forgotten before the audit.
_RESULT_TTL_S = 24 * 3600
_RETRY_PAUSES_S = [1, 2, 4]


def place_order(executor_id: str, signal: dict[str, Any]) -> str:
    """Place the order of a signal and return its id: this is the job."""
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
    """Return what the worker with this pid is called."""
    return f"{executor_id}-{pid}"


def work(executor_id: str, connection: Redis) -> None:
    """Work on one queue for ever, as `rq worker --with-scheduler` does."""
    worker = Worker(
        [queue_of(executor_id, connection)],
        name=worker_name(executor_id, os.getpid()),
        connection=connection,
        serializer=JSONSerializer,
    )
    worker.work(with_scheduler=True, logging_level="WARNING")


def produce(ledger_path: Path, executors: list[str], connection: Redis) -> None:
    """Enqueue every signal for every executor when it is due, and note each time how far that is."""
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
    """Return the file in which the producer notes how many signals it has enqueued."""
    return ledger_path.with_suffix(".position")


def main() -> None:
    """Run a worker or the producer."""
    watch_lifeline()
    parser = argparse.ArgumentParser(prog="python -m pipeline.entrypoints.drill.plain_rq", description=__doc__)
    parser.add_argument("what", choices=["work", "produce"])
    parser.add_argument("executors", nargs="+")
    parser.add_argument("--ledger", type=Path)
    asked = parser.parse_args()
    # By the environment: an argument could be read by every user of the machine.
    connection = Redis.from_url(os.environ["REDIS_URL"])
    if asked.what == "work":
        work(asked.executors[0], connection)
    else:
        produce(asked.ledger, asked.executors, connection)


if __name__ == "__main__":
    main()

"""Find faults that keep jobs from workers although Redis answers; every client of Redis can cause them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rq import Queue
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.suspension import WORKERS_SUSPENDED
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY

from pipeline.queues.jobs import queue_name, text_of
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import check_writes

# Workers get through this many ids within seconds, whatever they are.
_HARMLESS = 1000
#: The consequence of a fault while Redis answers.
LATE = "workers take executions from the record, after 5 s"


@dataclass(frozen=True, kw_only=True)
class QueueFault:
    """A fault of one executor's queue or of all queues, in a sentence, and its remedy."""

    #: Stays the same while the fault lasts.
    key: str
    saw: str
    remedy: str


def queue_faults(
    queues: ExecutionQueue,
    executor_ids: Sequence[str],
    undecided: Callable[[], Mapping[str, int]],
    troubles: Callable[[], Mapping[str, str]],
) -> list[QueueFault]:
    """Return the faults.

    *undecided* returns how many executions of each executor may have a job, and *troubles* what workers report of the
    queues of their executors.

    Raises:
        QueueUnavailable: Redis is away, or refuses writes.
    """
    with queues.asked():
        # A Redis whose memory or disk is full still answers reads.
        check_writes(queues.connection)
        faults = [*_suspended(queues), *_wrong_types(queues, executor_ids)]
        wrong = {fault.key for fault in faults}
        keys = {name: queues.queue(name).key for name in executor_ids}
        depths = {name: queues.connection.llen(key) for name, key in keys.items() if key not in wrong}
    long = {name: int(depth) for name, depth in depths.items() if depth > _HARMLESS}
    known = undecided() if long else {}
    foreign = {name: depth for name, depth in long.items() if depth > 2 * known.get(name, 0) + _HARMLESS}
    faults += [_foreign(name, keys[name], depth, known.get(name, 0)) for name, depth in foreign.items()]
    # A fault of the queue explains why a worker cannot read it, so only the fault is reported.
    return faults or [_reported(name, text) for name, text in troubles().items() if name in keys]


def _suspended(queues: ExecutionQueue) -> list[QueueFault]:
    if not queues.connection.exists(WORKERS_SUSPENDED):
        return []
    saw = "the workers are suspended in Redis: entries wait, exits are sent"
    return [QueueFault(key=WORKERS_SUSPENDED, saw=saw, remedy="`rq resume`, or delete the key `rq:suspended`.")]


def _wrong_types(queues: ExecutionQueue, executor_ids: Sequence[str]) -> list[QueueFault]:
    expected = {Queue.redis_queues_keys: "set", REDIS_WORKER_KEYS: "set"}
    for name in executor_ids:
        queue = queues.queue(name)
        expected |= {queue.key: "list", queue.intermediate_queue_key: "list"}
        expected |= {each(queue=queue).key: "zset" for each in (StartedJobRegistry, FailedJobRegistry)}
        expected[WORKERS_BY_QUEUE_KEY % queue_name(name)] = "set"
    pipe = queues.connection.pipeline(transaction=False)
    for key in expected:
        pipe.type(key)
    found: list[Any] = pipe.execute()
    return [
        QueueFault(
            key=key,
            saw=f"the key {key} is a {text_of(is_)} and not a {wanted}: {LATE}",
            remedy=_delete(key),
        )
        for (key, wanted), is_ in zip(expected.items(), found, strict=True)
        if text_of(is_) not in (wanted, "none")
    ]


def _foreign(executor_id: str, key: str, depth: int, known: int) -> QueueFault:
    holds = f"the queue of {executor_id} holds {depth} ids for {known} executions"
    return QueueFault(key=f"{key}:foreign", saw=f"{holds}: {LATE}", remedy=_delete(key))


def _reported(executor_id: str, trouble: str) -> QueueFault:
    saw = f"the worker of {executor_id} {trouble}: {LATE}"
    remedy = "Let no other program use this Redis (`CLIENT LIST` names its clients), and give our user all rights."
    return QueueFault(key=f"{executor_id}:worker", saw=saw, remedy=remedy)


def _delete(key: str) -> str:
    return f"Delete the key `{key}` of Redis. The keeper enqueues what waits."

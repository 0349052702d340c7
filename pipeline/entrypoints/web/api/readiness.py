"""Check PostgreSQL, Redis, the brokers, the workers and the keeper, as `tradewire doctor` does."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.brokers import check_broker
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.entrypoints.doctor.processes import check_keeper_lag, check_processes
from pipeline.entrypoints.doctor.servers import check_postgres, check_queues, check_redis
from pipeline.model.errors import RecordUnavailable
from pipeline.store.record import Record

# Seconds between two checks of a broker: each uses requests of the account's budget, and `/ready` may be read often.
_BROKERS_EVERY_S = 5.0
# Seconds for which all calls share one result. Each check waits for servers, and `/ready` needs no token.
_SHARED_S = 1.0


class Readiness:
    """Checks each part at most once a second, with short timeouts; the brokers at most every 5 s. Thread-safe."""

    def __init__(self, record: Record, *, redis_url: str, settings: Settings, executors: Executors) -> None:
        self._record = record
        self._redis_url = redis_url
        self._settings = settings
        self._executors = executors
        self._pool = ThreadPoolExecutor(2 * len(executors) + 2, thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._brokers: list[Future[CheckResult]] = []
        self._asked_brokers_at = float("-inf")
        self._findings: list[CheckResult] = []
        self._checked_at = float("-inf")

    def check(self) -> list[CheckResult]:
        """Return one result per part, at most 1 s old. Calls that come during a check wait for its result."""
        with self._lock:
            if time.monotonic() - self._checked_at >= _SHARED_S:
                self._findings = self._check()
                # The age counts from the end: a check of a server that hangs takes longer than it is shared.
                self._checked_at = time.monotonic()
            return self._findings

    def _check(self) -> list[CheckResult]:
        brokers = self._broker_checks()
        redis = self._pool.submit(check_redis, self._redis_url)
        postgres = check_postgres(self._record)
        findings = [postgres, redis.result()]
        if postgres.status is CheckStatus.OK:
            try:
                findings += check_queues(self._redis_url, self._record, self._executors)
                findings += check_processes(self._record, tuple(self._executors))
                findings += check_keeper_lag(self._record)
            except RecordUnavailable as error:
                findings[0] = CheckResult(name=postgres.name, status=CheckStatus.CRITICAL, saw=str(error))
        return findings + [broker.result() for broker in brokers]

    def close(self) -> None:
        """End the threads without waiting for a check that runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # All checks share the broker checks of the last 5 s.
    def _broker_checks(self) -> list[Future[CheckResult]]:
        if time.monotonic() - self._asked_brokers_at >= _BROKERS_EVERY_S:
            self._asked_brokers_at = time.monotonic()
            self._brokers = [
                self._pool.submit(check_broker, executor, self._settings, self._record)
                for executor in self._executors.values()
            ]
        return self._brokers

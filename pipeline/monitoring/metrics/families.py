"""Every metric that exists: its name, kind, labels and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class MetricKind(StrEnum):
    """How Prometheus reads a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True)
class Family:
    """One metric. Its key in `FAMILIES` is the name that queries use; a counter's name ends in `_total`."""

    kind: MetricKind
    labels: tuple[str, ...]
    help: str


def _counter(meaning: str, *labels: str) -> Family:
    return Family(kind=MetricKind.COUNTER, labels=labels, help=meaning)


def _gauge(meaning: str, *labels: str) -> Family:
    return Family(kind=MetricKind.GAUGE, labels=labels, help=meaning)


#: Upper bounds of the histogram's buckets, seconds.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "tradewire_record_up": _gauge(
            "1 while PostgreSQL answers; otherwise only this and the queue metrics are shown"
        ),
        "tradewire_counted": _gauge("1 when the counters and the histogram are complete; they are absent until then"),
        "tradewire_moves_total": _counter(
            "Changes of executions to a state, with the reason if there is one", "executor", "mode", "state", "reason"
        ),
        "tradewire_decisions_total": _counter(
            "Executions that were decided; the outcome is order (it has the broker's id), skipped or no_order",
            "executor",
            "mode",
            "outcome",
        ),
        "tradewire_step_seconds": Family(
            kind=MetricKind.HISTOGRAM,
            labels=("executor", "mode", "step"),
            help="Seconds that a step took: recorded_to_taken, taken_to_sent, sent_to_answered, recorded_to_order_id",
        ),
        "tradewire_executions_unfinished": _gauge(
            "Executions that are undecided or whose order works at the broker", "executor", "mode", "state"
        ),
        "tradewire_oldest_unfinished_seconds": _gauge(
            "Age of the oldest undecided execution; 0 when there is none", "executor"
        ),
        "tradewire_queue_up": _gauge("1 while Redis answers"),
        "tradewire_queue_depth": _gauge("Jobs in the executor's queue; absent while Redis is away", "executor"),
        "tradewire_queue_age_seconds": _gauge(
            "Age of the oldest execution that no worker has claimed; 0 when there is none", "executor"
        ),
        "tradewire_dead_letters": _gauge("Open dead letters: executions that need a person", "executor"),
        "tradewire_dead_letter_age_seconds": _gauge(
            "Age of the oldest open dead letter; 0 when there is none", "executor"
        ),
        "tradewire_limit_used_ratio": _gauge(
            "Share of a limit that is used; 1 means that it is used up", "executor", "limit"
        ),
        "tradewire_limit_left": _gauge("The unused part of a limit: money or a count", "executor", "limit"),
        "tradewire_requests_spent": _gauge("Requests to the broker in about the last minute", "executor"),
        "tradewire_requests_limit": _gauge("Allowed requests a minute; absent when there is no limit", "executor"),
        "tradewire_requests_held": _gauge("1 while the account waits because the broker answered 429", "executor"),
        "tradewire_switch_on": _gauge("1 while a switch stops entries of the account", "executor", "kind", "cause"),
        "tradewire_findings": _gauge("Open differences between the account and the record", "executor"),
        "tradewire_last_reconcile_timestamp_seconds": _gauge(
            "When the account was last compared with the record; absent before the first time", "executor"
        ),
        "tradewire_account_refused": _gauge("1 while the broker refuses the account or its keys", "executor"),
        "tradewire_processes_alive": _gauge("Processes that wrote a heartbeat in the last 4 s", "kind", "name"),
        "tradewire_processes_unwell": _gauge("Living processes that report that they are not well", "kind", "name"),
        "tradewire_last_fill_timestamp_seconds": _gauge(
            "When the last fill was recorded; absent before the first", "executor"
        ),
        "tradewire_last_signal_timestamp_seconds": _gauge("When the last signal of a source was recorded", "source"),
    }
)

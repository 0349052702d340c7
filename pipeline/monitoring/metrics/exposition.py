"""Write the counts and the gauges in Prometheus' text format."""

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import QueueUnavailable, RecordUnavailable
from pipeline.monitoring.metrics.families import BOUNDS, FAMILIES, MetricKind
from pipeline.monitoring.metrics.readings import Reading, read
from pipeline.monitoring.metrics.tallies import MetricTally, Spread, Tallies
from pipeline.store.record import Record

# One scrape counts for at most this time; the next one continues.
_COUNTS_FOR_S = 2.0
_LE = [*map(str, BOUNDS), "+Inf"]

#: Returns how many jobs wait for an executor. Raises QueueUnavailable.
Depth = Callable[[str], int]


class Exposition:
    """The metrics that one web process serves at `/metrics`. Thread-safe."""

    def __init__(self, record: Record, executors: Mapping[str, ExecutorSettings], *, depth: Depth) -> None:
        self._record = record
        self._executors = executors
        self._depth = depth
        self._tallies = Tallies(record)

    def text(self) -> bytes:
        """Return all metrics in the text format; while PostgreSQL is away, only those of the servers and queues."""
        readings = self._queues()
        tally: MetricTally | None = None
        try:
            tally = self._tallies.count(within_s=_COUNTS_FOR_S)
            readings += read(self._record, self._executors)
            readings.append(("tradewire_record_up", (), 1))
            readings.append(("tradewire_counted", (), float(tally is not None)))
        except RecordUnavailable:
            # The readings that were made before PostgreSQL went away are dropped, so that no scrape mixes both states.
            tally, readings = None, [*self._queues(), ("tradewire_record_up", (), 0)]
        # With auto_describe the registry would collect everything once more, to find names that occur twice.
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected([*_gauges(readings), *([] if tally is None else _counted(tally))]))
        return generate_latest(registry)

    def _queues(self) -> list[Reading]:
        try:
            depths = [("tradewire_queue_depth", (name,), float(self._depth(name))) for name in self._executors]
        except QueueUnavailable:
            return [("tradewire_queue_up", (), 0)]
        return [("tradewire_queue_up", (), 1), *depths]


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauges(readings: Iterable[Reading]) -> list[Metric]:
    made = {
        name: GaugeMetricFamily(name, family.help, labels=family.labels)
        for name, family in FAMILIES.items()
        if family.kind is MetricKind.GAUGE
    }
    for name, labels, value in readings:
        made[name].add_metric(labels, value)
    return [metric for metric in made.values() if metric.samples]


def _counted(tally: MetricTally) -> list[Metric]:
    metrics: list[Metric] = []
    for name, counts in (("tradewire_moves_total", tally.moves), ("tradewire_decisions_total", tally.decisions)):
        counter = CounterMetricFamily(name, FAMILIES[name].help, labels=FAMILIES[name].labels)
        for labels, count in sorted(counts.items()):
            counter.add_metric(labels, count)
        metrics.append(counter)
    family = FAMILIES["tradewire_step_seconds"]
    histogram = HistogramMetricFamily("tradewire_step_seconds", family.help, labels=family.labels)
    for labels, spread in sorted(tally.steps.items()):
        histogram.add_metric(labels, buckets=_buckets(spread), sum_value=spread.seconds)
    return [*metrics, histogram]


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    # Prometheus expects cumulative counts: each bucket includes the smaller ones.
    return list(zip(_LE, map(float, accumulate(spread.counts)), strict=True))

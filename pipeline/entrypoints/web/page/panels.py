"""Read the contents of the page's parts: queue depths from Redis, everything else from the record."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_keys_of, number_among
from pipeline.accounts.limit_usage import Headroom, headroom
from pipeline.accounts.switches import active_switches
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.figures import ChartFigures, CountCache
from pipeline.model.errors import QueueUnavailable
from pipeline.model.switches import Switch
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.processes import GONE_AFTER, SETTINGS
from pipeline.store.statements import sql
from pipeline.views.count_schemas import OpenCounts
from pipeline.views.counts import nothing_open, open_counts
from pipeline.views.lists import deliveries, refusals, signals
from pipeline.views.live_feed import last_change
from pipeline.views.report import ReportTally

#: The window of the executors' rates.
_RATE_WINDOW = "24h"
_MOST_LETTERS, _MOST_REFUSALS, _MOST_SIGNALS = 50, 20, 30
# A process that was killed is shown for this long.
_SHOWN_FOR = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class ExecutorPanel:
    """One executor with its account, switches, limits and open work."""

    settings: ExecutorSettings
    #: The account's number; None before the account was read.
    account: str | None
    switches: list[Switch]
    headroom: list[Headroom]
    #: The jobs in its queue; None while Redis does not answer.
    depth: int | None
    work: OpenCounts
    tally: ReportTally | None

    @property
    def live(self) -> bool:
        """Return whether the executor trades real money."""
        return self.settings.mode == "live"


@dataclass(frozen=True, kw_only=True)
class ProcessRow:
    """A process with its last heartbeat."""

    process_id: UUID
    kind: str
    name: str
    host: str
    pid: int
    healthy: bool
    facts: dict[str, Any]
    started_at: datetime
    #: How long ago its last heartbeat was.
    silent: timedelta

    @property
    def gone(self) -> bool:
        """Return whether it has been silent long enough to count as gone."""
        return self.silent >= GONE_AFTER

    @property
    def facts_text(self) -> str:
        """Return the facts that are text or numbers, without the hashes of the settings."""
        values = ((name, value) for name, value in self.facts.items() if isinstance(value, str | int | float))
        plain = {name: value for name, value in values if name != SETTINGS}
        return ", ".join([*_leader_words(self.kind, plain), *(f"{name} {value}" for name, value in plain.items())])


def _leader_words(kind: str, facts: dict[str, Any]) -> list[str]:
    """Take the facts of a keeper or a tracker out of *facts*, and return them in words."""
    if "leads" not in facts:
        return []
    words = ["it leads" if facts.pop("leads") else f"another {kind} leads"]
    slowest, behind_s = facts.pop("slowest", None), float(facts.pop("behind_s", 0.0))
    return words if slowest is None else [*words, f"its slowest task, {slowest}, is {behind_s:.1f} s behind"]


class PageData:
    """Reads the contents of the page's parts.

    Every method raises RecordUnavailable when PostgreSQL is away.
    """

    def __init__(self, context: WebContext, queues: ExecutionQueue | None) -> None:
        self._context = context
        self._record = context.record
        self._queues = queues
        self._counted = CountCache(context.record)

    def signals(self, *, symbol: str | None, source: str | None, cursor: str | None) -> dict[str, Any]:
        """Return the newest signals, each with its executions by executor, and the executors as columns."""
        after = last_change(self._record)
        page = signals(self._record, symbol=symbol, source=source, limit=_MOST_SIGNALS, cursor=cursor)
        rows = [(one.to_json(), {each.executor_id: each.to_json() for each in one.executions}) for one in page.items]
        gone = {name for _, cells in rows for name in cells} - {*self._context.executors}
        filters = {"symbol": symbol or "", "source": source or "", "cursor": cursor}
        columns = [*self._context.executors, *sorted(gone)]
        modes = {name: executor.mode for name, executor in self._context.executors.items()}
        return {
            "after": after,
            "rows": rows,
            "columns": columns,
            "modes": modes,
            "next_cursor": page.next_cursor,
            "filters": filters,
        }

    def executors(self) -> dict[str, Any]:
        """Return every executor of the file with its account, switches, limits and open work."""
        limits: dict[str, list[Headroom]] = {}
        for each in headroom(self._record, self._context.executors):
            limits.setdefault(each.executor_id, []).append(each)
        counts, figures = open_counts(self._record), self._counted.of(_RATE_WINDOW)
        depths = self._depths()
        panels = self._record.run(lambda connection: self._panels(connection, limits, counts, depths, figures))
        return {"executors": panels, "open": _sums(counts.values()), "counted": figures is not None}

    def letters(self) -> dict[str, Any]:
        """Return the oldest open dead letters, and how many are open in all."""
        total = sum(counts.dead_letters for counts in open_counts(self._record).values())
        return {"letters": self._context.dead_letters.open(limit=_MOST_LETTERS), "total": total}

    def charts(self, window: str) -> dict[str, Any]:
        """Return the figures of a window."""
        return {"figures": self._counted.of(window), "chosen": window}

    def processes(self) -> dict[str, Any]:
        """Return the processes with a recent heartbeat, the executors without a worker, and whether a keeper runs."""
        beats = self._record.all(ProcessRow, sql("heartbeats", "living"), {"within": _SHOWN_FOR})
        working = {beat.name for beat in beats if beat.kind == "worker" and not beat.gone}
        kept = any(beat.kind == "keeper" and not beat.gone for beat in beats)
        idle = [name for name in self._context.executors if name not in working]
        last = min((beat.silent.total_seconds() for beat in beats), default=None)
        return {"beats": beats, "idle": idle, "kept": kept, "last_beat_s": last}

    def refusals(self) -> dict[str, Any]:
        """Return the last refused input, and the last refused webhook deliveries."""
        delivered = deliveries(self._record, refused=True, limit=_MOST_REFUSALS).to_json()["items"]
        return {"refusals": refusals(self._record, limit=_MOST_REFUSALS).items, "deliveries": delivered}

    def _panels(
        self,
        connection: Connection[DictRow],
        limits: Mapping[str, list[Headroom]],
        counts: Mapping[str, OpenCounts],
        depths: Mapping[str, int],
        figures: ChartFigures | None,
    ) -> list[ExecutorPanel]:
        panels = []
        for name, executor in self._context.executors.items():
            account_keys = account_keys_of(connection, name)
            number = number_among(account_keys)
            panels.append(
                ExecutorPanel(
                    settings=executor,
                    account=number,
                    switches=active_switches(connection, account_keys),
                    headroom=limits.get(name, []),
                    depth=depths.get(name),
                    work=counts.get(name, nothing_open()),
                    tally=None if figures is None else figures.rate_of(name, executor.mode),
                )
            )
        return panels

    # After the first failure no other queue is asked: each would wait for the same time limit.
    def _depths(self) -> dict[str, int]:
        depths: dict[str, int] = {}
        if self._queues is None:
            return depths
        with suppress(QueueUnavailable):
            for name in self._context.executors:
                depths[name] = self._queues.depth(name)
        return depths


def _sums(counts: Collection[OpenCounts]) -> dict[str, Any]:
    oldest = [each.oldest_unfinished_s for each in counts if each.oldest_unfinished_s is not None]
    return {
        "undecided": sum(sum(each.open.values()) for each in counts),
        "oldest_s": max(oldest, default=None),
        "dead_letters": sum(each.dead_letters for each in counts),
    }

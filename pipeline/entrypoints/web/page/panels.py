"""Gather what the parts of the page show; everything comes from the record, queue depths from Redis."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_keys_of, number_among
from pipeline.accounts.limit_usage import Headroom, headroom
from pipeline.accounts.switches import active_switches
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.figures import ChartFigures, CountCache
from pipeline.intake.webhooks.deliveries import deliveries
from pipeline.model.errors import QueueUnavailable
from pipeline.model.switches import Switch
from pipeline.monitoring.heartbeats import GONE_AFTER, SETTINGS
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.statements import sql
from pipeline.views.counts import nothing_open, open_counts
from pipeline.views.lists import refusals, signals
from pipeline.views.live_feed import last_news
from pipeline.views.report import ReportTally

#: Over which window the executors' rates are counted.
_RATE_WINDOW = "24h"
_MOST_LETTERS, _MOST_REFUSALS, _MOST_SIGNALS = 50, 20, 30
# A process that ended without a word stays in sight for so long.
_HEARD_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class ExecutorPanel:
    """One executor as it stands."""

    settings: ExecutorSettings
    #: None: nobody has read the account yet.
    account: str | None
    switches: list[Switch]
    headroom: list[Headroom]
    #: Jobs in its queue; None: Redis does not answer.
    depth: int | None
    #: As `pipeline.views.counts` counts.
    work: dict[str, Any]
    tally: ReportTally | None

    @property
    def live(self) -> bool:
        """Say whether real money is at stake."""
        return self.settings.mode == "live"


class Shown:
    """Reads what the parts show.

    Every method raises RecordUnavailable when PostgreSQL is away.
    """

    def __init__(self, context: WebContext, queues: ExecutionQueue | None) -> None:
        self._context = context
        self._record = context.record
        self._queues = queues
        self._counted = CountCache(context.record)

    def signals(self, *, symbol: str | None, source: str | None, cursor: str | None) -> dict[str, Any]:
        """Return the newest signals, each with its executions by executor, and the executors as columns."""
        after = last_news(self._record)
        page = signals(self._record, symbol=symbol, source=source, limit=_MOST_SIGNALS, cursor=cursor)
        gone = {each["executor_id"] for one in page.items for each in one["executions"]} - {*self._context.executors}
        rows = [(one, {each["executor_id"]: each for each in one["executions"]}) for one in page.items]
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
        """Return every executor of the file as it stands."""
        limits: dict[str, list[Headroom]] = {}
        for each in headroom(self._record, self._context.executors):
            limits.setdefault(each.executor_id, []).append(each)
        counts, figures = open_counts(self._record), self._counted.of(_RATE_WINDOW)
        depths = self._depths()
        stands = self._record.run(lambda connection: self._stands(connection, limits, counts, depths, figures))
        return {"executors": stands, "open": _sums(counts), "counted": figures is not None}

    def letters(self) -> dict[str, Any]:
        """Return the oldest open dead letters, and how many there are."""
        total = sum(each["dead_letters"] for each in open_counts(self._record).values())
        return {"letters": self._context.letters.open(limit=_MOST_LETTERS), "total": total}

    def charts(self, window: str) -> dict[str, Any]:
        """Return the figures of a window."""
        return {"figures": self._counted.of(window), "chosen": window}

    def processes(self) -> dict[str, Any]:
        """Return every process heard of lately, and the executors that no worker works for."""
        key = {"within": _HEARD_WITHIN}
        rows = self._record.run(lambda connection: connection.execute(sql("heartbeats", "living"), key).fetchall())
        beats = [{**row, "gone": row["silent"] >= GONE_AFTER, "healthy": row["healthy"]} for row in rows]
        working = {row["name"] for row in beats if row["kind"] == "worker" and not row["gone"]}
        kept = any(row["kind"] == "keeper" and not row["gone"] for row in beats)
        facts = {row["process_id"]: _facts(row["facts"]) for row in beats}
        idle = [name for name in self._context.executors if name not in working]
        last = min((row["silent"].total_seconds() for row in beats), default=None)
        return {"beats": beats, "facts": facts, "idle": idle, "kept": kept, "last_beat_s": last}

    def refusals(self) -> dict[str, Any]:
        """Return what came last and was no signal, and the webhook deliveries that were refused."""
        delivered, _ = deliveries(self._record, refused=True, limit=_MOST_REFUSALS)
        return {"refusals": refusals(self._record, limit=_MOST_REFUSALS).items, "deliveries": delivered}

    def _stands(
        self,
        connection: Connection[DictRow],
        limits: Mapping[str, list[Headroom]],
        counts: Mapping[str, dict[str, Any]],
        depths: Mapping[str, int],
        figures: ChartFigures | None,
    ) -> list[ExecutorPanel]:
        stands = []
        for name, executor in self._context.executors.items():
            holders = account_keys_of(connection, name)
            number = number_among(holders)
            stands.append(
                ExecutorPanel(
                    settings=executor,
                    account=number,
                    switches=active_switches(connection, holders),
                    headroom=limits.get(name, []),
                    depth=depths.get(name),
                    work=counts.get(name, nothing_open()),
                    tally=None if figures is None else figures.rate_of(name, executor.mode),
                )
            )
        return stands

    def _depths(self) -> dict[str, int]:
        """Return the jobs in each queue; nothing of those that come after Redis did not answer."""
        depths: dict[str, int] = {}
        if self._queues is None:
            return depths
        with suppress(QueueUnavailable):
            for name in self._context.executors:
                depths[name] = self._queues.depth(name)
        return depths


def _sums(counts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    oldest = [each["oldest_unfinished_s"] for each in counts.values() if each["oldest_unfinished_s"] is not None]
    return {
        "undecided": sum(sum(each["open"].values()) for each in counts.values()),
        "oldest_s": max(oldest, default=None),
        "dead_letters": sum(each["dead_letters"] for each in counts.values()),
    }


def _facts(facts: Mapping[str, Any]) -> str:
    """Return what a process says of itself, as far as it is a word or a figure."""
    plain = {name: value for name, value in facts.items() if isinstance(value, str | int | float) and name != SETTINGS}
    return ", ".join(f"{name} {value}" for name, value in plain.items())

"""Every part of the page is shown whatever figures it has: zero, below zero, missing, whole, or not a number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from pipeline.accounts.limit_usage import Headroom
from pipeline.accounts.losses import LimitStep
from pipeline.entrypoints.web.page.charts import ChartBar, Series
from pipeline.entrypoints.web.page.figures import WINDOWS, ChartFigures, ExecutionRate
from pipeline.entrypoints.web.page.panels import ExecutorPanel, ProcessRow
from pipeline.entrypoints.web.page.rendering import amount, page, percent, span
from pipeline.entrypoints.web.page.timeline import Moment
from pipeline.model.signals import Action
from pipeline.operations.dead_letters import DeadLetter
from pipeline.views.count_schemas import OpenCounts
from pipeline.views.report import ReportTally
from tests.rule_cases import executor

NOW = datetime(2026, 1, 30, 15, tzinfo=UTC)
NAN, INFINITE = float("nan"), float("inf")
VISIT = {"may_operate": True, "csrf": "c", "holder": {"name": "ann"}}
FIGURES = [0, 1, -1, 0.0, -0.5, 1e18, NAN, INFINITE, -INFINITE, *map(Decimal, ("0", "-0.00", "-133.07", "5", "NaN"))]


def shown(template: str, **values: Any) -> str:
    return bytes(page(template, visit=VISIT, **values).body).decode()


def room(used: str, allowed: str) -> Headroom:
    return Headroom(
        executor_id="argo",
        account="PA1",
        currency="USD",
        limit="daily_loss_percent",
        used=Decimal(used),
        allowed=Decimal(allowed),
        rung=LimitStep.NONE,
        read_at=NOW,
        day=None,
    )


def panel(count: int, seconds: float | None, rooms: list[Headroom], tally: ReportTally | None) -> ExecutorPanel:
    work = OpenCounts(workers=count, open={"held": count}, oldest_unfinished_s=seconds, dead_letters=count)
    depth = count or None
    return ExecutorPanel(
        settings=executor(), account=None, switches=[], headroom=rooms, depth=depth, work=work, tally=tally
    )


@pytest.mark.parametrize("figure", [None, *FIGURES])
def test_every_filter_shows_every_figure(figure: Any) -> None:
    texts = amount(figure), span(figure), percent(figure)

    assert all(texts)
    assert not any(odd in text.lower() for text in texts for odd in ("nan", "inf"))


@pytest.mark.parametrize(
    ("used", "allowed", "text"),
    [
        ("-133.07", "500", "0 of 500 USD"),
        ("-0.01", "0", "0 of 0 USD"),
        ("0", "0", "0 of 0 USD"),
        ("12.5", "-3", "12.50 of -3 USD"),
        ("999999999999.99", "0.01", "999,999,999,999.99 of 0.01 USD"),
    ],
)
def test_the_accounts_are_shown_after_a_gain_and_with_a_limit_of_zero(used: str, allowed: str, text: str) -> None:
    panels = [panel(1, -1.0, [room(used, allowed)], ReportTally())]

    assert text in shown("executors.html", executors=panels, open=opened(0, 0.0), counted=True)


def opened(count: int, seconds: float | None) -> dict[str, Any]:
    return {"undecided": count, "oldest_s": seconds, "dead_letters": count}


@pytest.mark.parametrize("seconds", [None, 0.0, -0.5, 61.0, NAN])
@pytest.mark.parametrize("count", [0, -1, 7])
def test_every_other_part_is_shown_with_every_figure(count: int, seconds: float | None) -> None:
    tally = ReportTally(executions=count, eligible=count, with_order=count + 1)
    panels = [panel(count, seconds, [], each) for each in (None, tally)]
    rates = [ExecutionRate(executor_id="argo", mode="paper", tally=tally, lines=[])]
    bar = ChartBar(x=0, y=NAN, width=count, height=-1, series=count, label="")
    figures = ChartFigures(
        window=WINDOWS["1h"],
        counted_at=NOW,
        labels=["15:00"],
        rates=rates,
        reasons=[Series(name="", number=count, counts=(count,))],
        bars=[bar],
        highest=count,
        latency=[("below 2 ms", max(count, 0)), ("more", 0)],
    )

    assert shown("executors.html", executors=panels, open=opened(count, seconds), counted=bool(count))
    assert shown("charts.html", figures=figures, windows=WINDOWS, chosen="1h")
    assert shown("letters.html", letters=[letter(count)], total=count)
    assert shown("processes.html", beats=[beat(seconds)], idle=[], kept=True, last_beat_s=seconds)
    assert shown("refusals.html", refusals=[], deliveries=[delivery(count)])


@pytest.mark.parametrize("figure", [None, "0", "-1", "NaN"])
@pytest.mark.parametrize("after_ms", [0, -0.1, NAN, 1e18])
def test_a_signal_and_its_timeline_are_shown_with_every_figure(figure: str | None, after_ms: float) -> None:
    names = ("source", "source_id", "strategy", "confidence", "entry_price", "price", "target_price", "stop_price")
    more = ("intent", "regime", "generated_at", "expires_at")
    signal: dict[str, Any] = dict.fromkeys((*names, *more))
    signal |= {"signal_id": "1", "action": "BUY", "symbol": "AAPL", "recorded_at": NOW.isoformat()}
    sizes = ("quantity", "notional", "equity_percent", "close_percent")
    signal |= {"confidence": figure, "entry_price": figure} | dict.fromkeys(sizes, figure)
    execution: dict[str, Any] = dict.fromkeys(("order_id", "reason"))
    execution |= {"execution_id": "2", "executor_id": "argo", "status": "filled", "mode": "paper"}
    execution |= {"filled_quantity": figure, "filled_average_price": figure, "settings": {"changes": None}}
    lives = [(execution, [Moment(at=NOW, after_ms=after_ms, text="recorded")])]
    filters = {"symbol": "", "source": "", "cursor": None}
    rows = [(signal, {"argo": execution})]
    columns: dict[str, Any] = {"columns": ["argo"], "modes": {"argo": "paper"}, "next_cursor": None, "filters": filters}

    assert "recorded" in shown("life.html", signal=signal, lives=lives, which="2")
    assert "AAPL" in shown("signals.html", rows=rows, **columns)


def letter(attempts: int) -> DeadLetter:
    return DeadLetter(
        execution_id=uuid4(),
        number=attempts,
        executor_id="argo",
        signal_id=uuid4(),
        symbol="AAPL",
        action=Action.BUY,
        confidence=None,
        source="manual",
        source_id=None,
        reason_code="no_answer",
        reason_facts={"attempts": attempts, "limit": None},
        attempts=attempts,
        opened_at=NOW,
        created_at=NOW,
    )


def beat(behind_s: float | None) -> ProcessRow:
    return ProcessRow(
        process_id=uuid4(),
        kind="keeper",
        name="keeper",
        host="here",
        pid=0,
        healthy=True,
        facts={"leads": True, "slowest": "exits argo", "behind_s": behind_s},
        started_at=NOW,
        silent=timedelta(seconds=-1),
    )


def delivery(times: int) -> dict[str, Any]:
    texts: dict[str, Any] = dict.fromkeys(("code", "message", "address", "payload"))
    return texts | {"delivery_id": "3", "at": NOW.isoformat(), "webhook": "?", "outcome": "refused", "times": times}

"""Plain values for tests of the rules: a signal, an executor, an account, and pending executions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from config.executors import load_executors
from config.schema.executor import ExecutorSettings
from config.schema.fields import Section
from config.schema.settings import Settings
from pipeline.accounts.exposure import Book, StrategyHolding
from pipeline.accounts.losses import EquityBaseline
from pipeline.model.account import Account, Asset, Position
from pipeline.model.signals import Action, Intent
from pipeline.store.rows import OrderUnderWay, Role, SignalRow
from tests.factories import executor_toml
from workers.rules.case import Case, Go, Hold, Recent, Skip, Verdict
from workers.rules.market_hours import Market

NOW = datetime(2026, 1, 31, 15, 0, tzinfo=UTC)
SHORT = "allow_short = true"
OPEN = Market(is_open=True, now=NOW, next_open=NOW + timedelta(days=1), next_close=NOW + timedelta(hours=5))
STANDING = EquityBaseline(
    equity=Decimal(100_000),
    balance=Decimal(100_000),
    day=NOW.date(),
    day_started_at=NOW.replace(hour=0),
    day_start_equity=Decimal(100_000),
    day_start_balance=Decimal(100_000),
    peak_equity=Decimal(100_000),
    best_day_profit=Decimal(0),
    earned=Decimal(0),
    read_at=NOW,
)


@cache
def executor(order: str = "", *, quantity: int = 10, entry_age_s: Any = 60) -> ExecutorSettings:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "executors.toml"
        path.write_text(executor_toml(order=order, quantity=quantity, entry_age_s=entry_age_s))
        return load_executors(path, settings=Settings(executors=path, home=path.parent))["argo"]


def tuned(**tables: Mapping[str, Any]) -> ExecutorSettings:
    """Return the executor with changed values in its tables: `tuned(limits={"open_positions": 3})`."""
    plain = executor()
    changed: dict[str, Any] = {}
    for name, values in tables.items():
        table = getattr(plain, name)
        if isinstance(table, Section):
            whole = {key: _as_written(value) for key, value in table.model_dump().items()}
            changed[name] = type(table).model_validate(whole | dict(values))
        else:
            changed[name] = {**table, **values}
    return plain.model_copy(update=changed)


def _as_written(value: Any) -> Any:
    """Return a float as the exact decimal that the configuration reads; return any other value unchanged."""
    return Decimal(str(value)) if isinstance(value, float) else value


def signal(action: str = "BUY", **changes: Any) -> SignalRow:
    whole: dict[str, Any] = {
        "signal_id": UUID(int=1),
        "source": "test",
        "source_id": None,
        "content_hash": "",
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "action": Action(action),
        "intent": Intent.AUTO,
        "confidence": Decimal(98),
        "entry_price": Decimal(100),
        "target_price": None,
        "stop_price": None,
        "quantity": None,
        "strategy": None,
        "volatility_percent": None,
        "regime": None,
        "executors": None,
        "generated_at": None,
        "expires_at": None,
        "recorded_at": NOW,
    }
    return SignalRow(**whole | changes)


def position(quantity: Any, symbol: str = "AAPL") -> Position:
    held = Decimal(quantity)
    return Position(
        symbol=symbol, quantity=held, available=held, average_entry_price=Decimal(90), current_price=Decimal(110)
    )


def earlier(side: str = "buy", role: Role = Role.ENTRY, order_id: str | None = "o-1", **changes: Any) -> OrderUnderWay:
    whole: dict[str, Any] = {
        "execution_id": UUID(int=2),
        "generation": 1,
        "executor_id": "argo",
        "account_number": "PA1",
        "client_order_id": "tw-2-1",
        "role": role,
        "symbol": "AAPL",
        "side": side,
        "quantity": Decimal(5),
        "limit_price": Decimal(100),
        "reference_price": Decimal(100),
        "request": {},
        "intended_at": NOW,
        "may_exist": True,
        "first_sent_at": NOW,
        "last_sent_at": NOW,
        "order_id": order_id,
        "order_status": "new",
        "filled_quantity": Decimal(0),
        "filled_average_price": None,
        "accepted_at": NOW,
        "ended_at": None,
        "strategy": "",
        "stop_price": None,
        "risk": Decimal(0),
        "filled_at": None,
    }
    return OrderUnderWay(**whole | changes)


def case(
    sent: SignalRow, *, held: Any = 0, order: str = "", settings: ExecutorSettings | None = None, **changes: Any
) -> Case:
    crypto = sent.asset_class == "crypto"
    whole: dict[str, Any] = {
        "signal": sent,
        "executor": settings or executor(order),
        "account": Account(
            number="PA1",
            currency="USD",
            equity=Decimal(100_000),
            last_equity=Decimal(100_000),
            cash=Decimal(100_000),
            buying_power=Decimal(200_000),
            non_marginable_buying_power=Decimal(100_000),
            blocked=False,
            shorting_enabled=True,
            raw={},
        ),
        "position": position(held, sent.symbol) if Decimal(held) else None,
        "asset": Asset(
            symbol=sent.symbol,
            asset_class="crypto" if crypto else "us_equity",
            tradable=True,
            fractionable=True,
            shortable=not crypto,
        ),
        "under_way": (),
        "reserved": Decimal(0),
        "now": NOW,
        "market": OPEN,
        "book": Book(positions=(position(held, sent.symbol),) if Decimal(held) else ()),
        "own": StrategyHolding(quantity=Decimal(held)),
        "baseline": STANDING,
        "switches": (),
        "recent": Recent(),
    }
    return Case(**whole | changes)


def go(verdict: Verdict) -> Go:
    assert isinstance(verdict, Go), verdict
    return verdict


def held_for(verdict: Verdict) -> str:
    assert isinstance(verdict, Hold), verdict
    return verdict.reason.code.value


def codes(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Skip), verdict
    return [reason.code.value for reason in verdict.reasons]

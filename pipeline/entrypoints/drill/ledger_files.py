"""Read the ledgers of a drill from the record and the exchange, and write them into the scratch folder."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.ledgers import (
    AuditedExecution,
    AuditedIntent,
    AuditedSignal,
    HeldQuantity,
    HistoryRow,
    Ledgers,
)
from pipeline.entrypoints.drill.sending import SOURCE, DrillSignal
from pipeline.entrypoints.drill.system import RunningSystem
from pipeline.store.statements import sql


def read_ledgers(
    system: RunningSystem, exchange: ExchangeAdmin, ledger: Sequence[DrillSignal], *, with_history: bool
) -> Ledgers:
    """Read the record and the exchange as they are now."""
    record = system.record
    accounts = [account for account in exchange.accounts() if account.key in system.executors]
    executor_of = {account.account_number: account.key for account in accounts}
    holdings: dict[str, dict[str, Decimal]] = defaultdict(dict)
    stopped: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in record.all(HeldQuantity, sql("drill", "holdings")):
        # If the exchange does not have the account number, keep the number, so that the audit reports this holding.
        executor_id = executor_of.get(row.account_number, row.account_number)
        holdings[executor_id][row.symbol] = row.quantity
        stopped[executor_id][row.symbol] = row.stopped
    return Ledgers(
        sent=[sent.source_id for sent in ledger],
        source=SOURCE,
        executors=system.executors,
        signals=record.all(AuditedSignal, sql("drill", "signals")),
        executions=record.all(AuditedExecution, sql("drill", "executions")),
        intents=record.all(AuditedIntent, sql("drill", "intents")),
        held={executor_id: exchange.orders(executor_id) for executor_id in system.executors},
        positions={account.key: account.positions for account in accounts},
        holdings=holdings,
        stopped=stopped,
        history=record.all(HistoryRow, sql("drill", "history")) if with_history else (),
    )


def write_ledgers(home: Path, system: RunningSystem, ledgers: Ledgers) -> None:
    """Write the record and the exchange's orders into the scratch folder, for the search for a finding's cause."""
    record = system.record
    files = {
        "executions": record.all(str, sql("drill", "execution_lines")),
        "orders": record.all(str, sql("drill", "intent_lines")),
        "history": record.all(str, sql("drill", "history_lines")),
    }
    for executor_id, orders in ledgers.held.items():
        files[f"exchange-{executor_id}"] = [order.model_dump_json() for order in orders]
    for name, lines in files.items():
        (home / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))

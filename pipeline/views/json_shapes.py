"""The JSON shapes that scripts rely on: every key is there, money is a string, times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Any

from pipeline.intake.intake import Recorded
from pipeline.model.json_values import number_json, time_json
from pipeline.model.reasons import sentence
from pipeline.operations.dead_letters import DeadLetter
from pipeline.store.rows import ExecutionRow, SignalRow


def execution_json(row: ExecutionRow) -> dict[str, Any]:
    """Return the contract's EXECUTION."""
    return {
        "execution_id": str(row.execution_id),
        "signal_id": str(row.signal_id),
        "executor_id": row.executor_id,
        "mode": row.mode.value,
        "symbol": row.symbol,
        "action": row.action.value,
        "status": row.state.value,
        "order_id": row.order_id,
        "client_order_id": row.client_order_id,
        "reason_code": row.reason_code,
        "reason": sentence(row.reason_code, row.reason_facts) if row.reason_code else None,
        "attempts": row.attempts,
        "created_at": time_json(row.created_at),
        "submitted_at": time_json(row.submitted_at),
        "ended_at": time_json(row.ended_at),
        "filled_quantity": number_json(row.filled_quantity),
        "filled_average_price": number_json(row.filled_average_price),
    }


def signal_json(signal: SignalRow) -> dict[str, Any]:
    """Return a signal as it was recorded."""
    return {
        "signal_id": str(signal.signal_id),
        "source": signal.source,
        "source_id": signal.source_id,
        "symbol": signal.symbol,
        "action": signal.action.value,
        "intent": signal.intent.value,
        "confidence": number_json(signal.confidence),
        "entry_price": number_json(signal.entry_price),
        "target_price": number_json(signal.target_price),
        "stop_price": number_json(signal.stop_price),
        "quantity": number_json(signal.quantity),
        "strategy": signal.strategy,
        "regime": signal.regime,
        "volatility_percent": number_json(signal.volatility_percent),
        "executors": signal.executors,
        "generated_at": time_json(signal.generated_at),
        "expires_at": time_json(signal.expires_at),
        "recorded_at": time_json(signal.recorded_at),
    }


def dead_letter_json(letter: DeadLetter) -> dict[str, Any]:
    """Return an open dead letter."""
    return {
        "execution_id": str(letter.execution_id),
        "number": letter.number,
        "signal_id": str(letter.signal_id),
        "executor_id": letter.executor_id,
        "symbol": letter.symbol,
        "action": letter.action.value,
        "confidence": number_json(letter.confidence),
        "reason_code": letter.reason_code,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "opened_at": time_json(letter.opened_at),
        "created_at": time_json(letter.created_at),
    }


def recorded_json(recorded: Recorded) -> dict[str, Any]:
    """Return what `signal send` prints for a signal that is recorded."""
    return {
        "signal_id": str(recorded.signal_id),
        "duplicate": recorded.duplicate,
        "executions": [execution_json(row) for row in recorded.executions],
    }


def error_json(line: int, code: str, message: str) -> dict[str, Any]:
    """Return what `signal send` prints for a line that is not a signal."""
    return {"line": line, "error": {"code": code, "message": message}}

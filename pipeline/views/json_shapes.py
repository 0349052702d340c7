"""Write the JSON shapes of `pipeline.views.schemas`."""

from typing import Any

from pipeline.intake.intake import Recorded
from pipeline.store.rows import ExecutionRow
from pipeline.views.schemas import ExecutionView, RecordedView


def execution_json(row: ExecutionRow) -> dict[str, Any]:
    """Return an execution."""
    return ExecutionView.model_validate(row).to_json()


def recorded_json(recorded: Recorded) -> dict[str, Any]:
    """Return the line that `signal send` prints for a signal that is recorded."""
    return RecordedView.model_validate(recorded).to_json()


def error_json(line: int, code: str, message: str) -> dict[str, Any]:
    """Return the line that `signal send` prints for a line that is not a signal."""
    return {"line": line, "error": {"code": code, "message": message}}

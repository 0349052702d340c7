"""Read one signal from a request's body and record it, for every route that accepts signals."""

from typing import Any, NoReturn

from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import ApiError
from pipeline.intake.intake import Intake, Recorded
from pipeline.intake.sources.strict_json import NotJson, decode
from pipeline.model.errors import InvalidSignal, SourceIdConflict
from pipeline.model.signals import Signal
from pipeline.operations.tokens import Holder, Scope


def receive(context: WebContext, body: bytes, holder: Holder, *, executor_id: str | None = None) -> Recorded:
    """Record the signal in *body* and enqueue its executions; *executor_id*, if given, must be configured.

    The source is the name of the request's token. A source in the body is not used. A token with the scope `operate`
    counts as a person.

    Raises:
        ApiError: *body* is not a signal (422), or another signal has its source_id (409). The refusal is recorded.
        RecordUnavailable: PostgreSQL is away; the signal is perhaps not recorded.
    """
    source, by_person = holder.name, Scope.OPERATE in holder.scopes
    try:
        if executor_id is not None and executor_id not in context.executors:
            message = f"executor: {executor_id} is not configured; there is {', '.join(context.executors)}"
            _refuse(context.intake, body, source, "unknown_executor", message)
        raw = _signal_of(context.intake, body, source)
        recorded = context.intake.record(raw, source=source, by_person=by_person)
    except SourceIdConflict as error:
        raise ApiError(409, error.code, str(error)) from None
    except InvalidSignal as error:
        raise ApiError(422, error.code, str(error)) from None
    if not recorded.duplicate:
        context.dispatcher.enqueue(recorded.executions)
    return recorded


def _signal_of(intake: Intake, body: bytes, source: str) -> dict[str, Any]:
    try:
        elements = decode(body.decode("utf-8").strip())
        problem = elements[0].error if len(elements) == 1 else "one request carries one signal"
        value = elements[0].value if len(elements) == 1 else None
    except (NotJson, UnicodeDecodeError) as error:
        problem, value = (str(error) if isinstance(error, NotJson) else "not UTF-8"), None
    if value is None:
        _refuse(intake, body, source, "invalid_json", problem or "not a signal")
    return value | {"source": source}


def _refuse(intake: Intake, body: bytes, source: str, code: str, message: str) -> NoReturn:
    intake.refuse(body.decode("utf-8", "replace"), source=source, code=code, message=message)
    raise InvalidSignal(code, message)


# Replaces references to the schema's own parts by these parts: the OpenAPI document would not resolve such references.
def _schema() -> dict[str, Any]:
    schema = Signal.model_json_schema()
    parts = schema.pop("$defs", {})
    for value in schema["properties"].values():
        reference = value.pop("$ref", None)
        if reference is not None:
            value.update(parts[reference.rpartition("/")[2]])
    schema["properties"]["source"] = {"description": "Not used: the source is the token's name."}
    return schema


_EXAMPLES = {
    "entry": {
        "summary": "An entry",
        "value": {
            "source_id": "2026-01-30-AAPL-1",
            "symbol": "AAPL",
            "action": "BUY",
            "confidence": 91.5,
            "entry_price": 190.1,
            "stop_price": 184.4,
            "target_price": 201.5,
            "strategy": "momentum",
        },
    },
    "close": {
        "summary": "An exit, to one executor",
        "value": {
            "source_id": "2026-01-30-AAPL-2",
            "symbol": "AAPL",
            "action": "SELL",
            "intent": "close",
            "executors": ["argo"],
        },
    },
    "half": {
        "summary": "An exit of half of the position",
        "value": {"symbol": "AAPL", "action": "SELL", "intent": "close", "close_percent": 50},
    },
    "flat": {"summary": "An exit, whatever the side", "value": {"symbol": "AAPL", "action": "FLAT"}},
    "dollars": {
        "summary": "An entry of a size in dollars",
        "value": {"symbol": "AAPL", "action": "BUY", "confidence": 91.5, "entry_price": 190.1, "notional": 1500},
    },
}

#: The body as OpenAPI shows it. The framework does not parse it, since the strict reader of signals does.
SIGNAL_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One signal, as `tradewire signal send` reads it. `source` is always the token's name.",
        "content": {"application/json": {"schema": _schema(), "examples": _EXAMPLES}},
    }
}

"""The JSON shape of an event, which the receiver, HTTP and the command line get. Every key is always present."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from pipeline.model.findings import FindingKind, FindingState
from pipeline.model.json_model import Id, JsonModel, Number, Time
from pipeline.model.reasons import sentence
from pipeline.store.rows import Mode
from pipeline.views.schemas import ExecutionView


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """A published event as the record has it."""

    event_id: int
    kind: str
    at: datetime
    executor_id: str | None
    mode: Mode | None
    symbol: str | None
    execution_id: UUID | None
    signal_id: UUID | None
    data: dict[str, Any]


class FillData(JsonModel):
    """The data of an event of the kind `fill`."""

    fill_id: str
    status: Annotated[str, Field(examples=["recorded"])]
    order_id: str | None
    client_order_id: str | None
    side: str
    quantity: Number
    price: Number | None
    filled_at: Time
    source: str
    corrected_by: str | None


class SwitchData(JsonModel):
    """The data of an event of the kind `switch`."""

    switch: Annotated[str, Field(examples=["halted"])]
    turned: Annotated[str, Field(examples=["on"])]
    cause: str
    flatten: bool
    by: str
    why: str | None


class FindingData(JsonModel):
    """The data of an event of the kind `finding`."""

    finding_id: Id
    finding: Annotated[FindingKind, Field(examples=["foreign_position"])]
    status: Annotated[FindingState, Field(examples=["open"])]
    facts: dict[str, Any]
    #: Who adopted it, or the process that saw its end.
    by: str | None
    why: str | None


class EventView(JsonModel):
    """Something that happened, in the order of `event_id`."""

    event_id: Annotated[int, Field(description="It grows from event to event, and never changes.", examples=[17])]
    kind: Annotated[
        str, Field(description="decision, order, fill, switch, finding; ignore others.", examples=["decision"])
    ]
    at: Time
    executor_id: Annotated[str | None, Field(examples=["argo"])]
    mode: Mode | None
    symbol: Annotated[str | None, Field(examples=["AAPL"])]
    execution_id: Id | None
    signal_id: Id | None
    data: Annotated[dict[str, Any], Field(description="An execution, a fill, a switch or a finding, by the kind.")]

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """Return the event of a row."""
        read = _READERS.get(row.kind)
        return cls.model_validate({**vars(row), "data": row.data if read is None else read(row.data)})


def _execution(data: Mapping[str, Any]) -> dict[str, Any]:
    code = data["reason_code"]
    reason = sentence(code, data["reason_facts"]) if code else None
    return ExecutionView.model_validate({**data, "reason": reason}).to_json()


# By kind, the function that returns the data as the JSON that other commands print. Other kinds are passed on as they
# are recorded.
_READERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "decision": _execution,
    "order": _execution,
    "fill": lambda data: FillData.model_validate(data).to_json(),
    "switch": lambda data: SwitchData.model_validate(data).to_json(),
    "finding": lambda data: FindingData.model_validate(data).to_json(),
}

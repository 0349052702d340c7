"""The base of the JSON shapes that programs read: decimals are plain strings and times are RFC 3339 in UTC."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from pipeline.model.json_values import number_json, time_json

EXAMPLE_ID = "0b9f6f0e-6c1f-4e3c-9d62-1c58a1f2f0aa"

Id = Annotated[UUID, Field(examples=[EXAMPLE_ID])]
Time = Annotated[
    datetime,
    PlainSerializer(time_json, return_type=str),
    Field(description="RFC 3339 in UTC.", examples=["2026-01-30T14:31:07.123456Z"]),
]
Number = Annotated[
    Decimal,
    PlainSerializer(number_json, return_type=str),
    Field(description="A decimal number, exact.", examples=["190.10"]),
]


class JsonModel(BaseModel):
    """A JSON object with its keys in the order of the fields. It can be made from any object with these attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    def to_json(self) -> dict[str, Any]:
        """Return the object for `json.dumps`. A key that has its default because no value was given is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

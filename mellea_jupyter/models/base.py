"""What all models share: frozen values, strict about unknown fields, timestamps with `Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer


def format_timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`: `2026-01-15T10:30:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
]


VALUE_CONFIG = ConfigDict(extra="forbid", ser_json_inf_nan="null")


class Model(BaseModel):
    """A value: frozen, and refusing fields it does not know."""

    model_config = ConfigDict(**VALUE_CONFIG, frozen=True)

    def to_json(self) -> dict[str, Any]:
        """The value as JSON-ready Python objects, spelled as in the API."""
        return self.model_dump(mode="json")

"""Find a key of a configuration file in the models: its description, and the keys that its table may hold."""

from __future__ import annotations

from config.schema.fields import Section
from config.schema.problems import Location


def description_at(model: type[Section], location: Location) -> str | None:
    """Return the description of the key at *location* below *model*, on one line; None when there is no such key."""
    description = None
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            break
        description, model = field.description, _table(field.annotation)
    return " ".join(description.split()) if description else None


def keys_at(model: type[Section], location: Location) -> list[str]:
    """Return the keys that the table at *location* below *model* may hold."""
    for part in location:
        field = model.model_fields.get(str(part))
        model = _table(field.annotation if field else None)
    return [name for name in model.model_fields if name != "id"]


def _table(annotation: object) -> type[Section]:
    # A key that is not a table counts as a table without keys, so that callers need no special case.
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else Section

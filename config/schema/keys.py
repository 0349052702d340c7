"""Add to the problems of a table what its model knows: the description of the key, and the keys that are allowed."""

from collections.abc import Callable

from pydantic import ValidationError

from config.schema.fields import Section
from config.schema.problems import Location, problems_of
from pipeline.model.errors import Problem


def description_at(model: type[Section], location: Location) -> str | None:
    """Return the description of the key at *location* below *model*, on one line; None when there is no such key."""
    description = None
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            break
        description, model = field.description, _table(field.annotation)
    return " ".join(description.split()) if description else None


def model_problems(
    error: ValidationError,
    model: type[Section],
    *,
    key: Callable[[Location], str],
    named: str = "id",
    secret: Callable[[Location], bool] = lambda _location: False,
) -> list[Problem]:
    """Return the problems of a table that *model* refused with *error*.

    *key* and *secret* are as for `problems_of`. *named* is the field that holds the table's name; it is
    not a key of the table.
    """
    return problems_of(
        error,
        key=key,
        describe=lambda location: description_at(model, location),
        known=lambda location: [name for name in _keys_at(model, location[:-1]) if name != named],
        secret=secret,
    )


def _keys_at(model: type[Section], location: Location) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        model = _table(field.annotation if field else None)
    return list(model.model_fields)


def _table(annotation: object) -> type[Section]:
    # A key that is not a table counts as an empty table, so that callers need no special case.
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else Section

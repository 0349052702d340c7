"""Read rule packs: TOML files with some of an executor's rules, checked as in executors.toml."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model

from config.schema.fields import Section, Word
from config.schema.firm import Firm
from config.schema.keys import model_problems
from config.schema.problems import did_you_mean
from config.schema.route import Route
from config.schema.sections import HoursSettings, LimitSettings, SizeSettings
from config.schema.toml_tables import parsed_toml
from pipeline.model.errors import ConfigInvalid, Problem

_SHIPPED = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Pack:
    """The rules of one pack file."""

    name: str
    #: The pack's requirements, on one line.
    description: str
    #: Values of TOML by table and key: `rules["limits"]["drawdown_percent"]`.
    rules: Mapping[str, Mapping[str, Any]]


@cache
def parts() -> Mapping[str, type[Section]]:
    """Return the tables that a pack may have. Each has the keys of the executor's table, but none is required.

    Rules that concern several keys are checked only after the pack was joined with the executor's table.
    """
    tables: dict[str, type[Section]] = {
        "route": Route,
        "size": SizeSettings,
        "limits": LimitSettings,
        "hours": HoursSettings,
        "firm": Firm,
    }
    return {name: _without_required(table) for name, table in tables.items()}


@cache
def _file() -> type[Section]:
    keys: dict[str, Any] = {
        "name": (Word, Field(description="The pack's name. Required.")),
        "description": (Word, Field(description="The pack's requirements, on one line. Required.")),
    }
    for name, part in parts().items():
        keys[name] = (part, Field(default=None, description=f"The rules of the table `.{name}`."))
    return create_model("PackFile", __base__=Section, **keys)


def _without_required(table: type[Section]) -> type[Section]:
    keys: dict[str, Any] = {}
    for name, field in table.model_fields.items():
        kind = operator.getitem(Annotated, (field.annotation, *field.metadata)) if field.metadata else field.annotation
        keys[name] = (kind, Field(default=None, description=field.description))
    return create_model(f"Pack{table.__name__}", __base__=Section, **keys)


def shipped_packs() -> dict[str, Path]:
    """Return the files of the packs that ship with tradewire, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}


def pack_file(named: str, *, beside: Path) -> Path:
    """Return the file of the pack *named* in the executors file *beside*.

    Raises:
        ValueError: There is no such file, or no such pack ships with tradewire; the message lists the packs that do.
    """
    if named.endswith(".toml"):
        path = beside.parent / named
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        return path
    shipped = shipped_packs()
    if named not in shipped:
        known = f"use {', '.join(shipped)}, or the path of a .toml file"
        raise ValueError(f'"{named}" does not ship with tradewire: {known}{did_you_mean(named, shipped)}')
    return shipped[named]


def read_pack(path: Path) -> Pack:
    """Return the pack of the file at *path*.

    Raises:
        ConfigInvalid: The file has problems; their keys begin with its path.
    """
    parsed, file = parsed_toml(path), _file()
    try:
        file.model_validate(parsed)
    except ValidationError as error:
        problems = model_problems(error, file, key=lambda location: f"{path}: {'.'.join(map(str, location))}")
        raise ConfigInvalid(problems) from None
    rules = {name: parsed[name] for name in parts() if name in parsed}
    if not any(rules.values()):
        known = ", ".join(parts())
        raise ConfigInvalid([Problem(key=str(path), message=f"has no rule; a pack has one of the tables {known}")])
    return Pack(name=parsed["name"], description=parsed["description"], rules=rules)

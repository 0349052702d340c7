"""Join a rule pack to an executor's own rules: the tighter figure holds, lists shrink, and some keys bind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from config.checks.strictness import DIRECTIONS, differing, looser, same, shorter, wider
from config.packs.reading import Pack, parts
from config.schema.problems import echo
from pipeline.model.errors import Problem

#: The table that binds as a whole: a firm counts in its way and in no other.
_BINDING = "firm"


@dataclass(frozen=True, kw_only=True)
class Merged:
    """An executor's table with a pack's rules in it.

    Attributes:
        table: As executors.toml could have it.
        overruled: The keys whose value is the pack's, such as `limits.drawdown_percent`; with what the executor's
            own table says, as JSON has it; None when it says nothing.
        problems: Where the two cannot both hold; a key is relative to the executor.
    """

    table: Mapping[str, Any]
    overruled: Mapping[str, Any]
    problems: list[Problem]


def merged(table: Mapping[str, Any], pack: Pack) -> Merged:
    """Return the executor's *table*, as it stands in the file, joined with *pack*.

    What is wrong in *table* stays in it, for whoever judges the whole of it.
    """
    result = dict(table)
    overruled: dict[str, Any] = {}
    problems: list[Problem] = []
    for section, rules in pack.rules.items():
        own = table.get(section, {})
        if not isinstance(own, Mapping):
            continue
        joined = dict(own)
        for name, rule in rules.items():
            try:
                value, said = _joined(section, name, own, rule, pack)
            except ValueError as error:
                problems.append(Problem(key=f"{section}.{name}", message=str(error)))
                # What follows from the pack's value is told at once, not after this is mended.
                joined[name] = rule
                continue
            if value is not own.get(name):
                joined[name] = value
                overruled[f"{section}.{name}"] = said
        result[section] = joined
    return Merged(table=result, overruled=overruled, problems=problems)


def _joined(section: str, name: str, own: Mapping[str, Any], rule: Any, pack: Pack) -> tuple[Any, Any]:
    """Return the value that holds, and what the executor says of it.

    Raises:
        ValueError: The two cannot both hold.
    """
    if name not in own:
        return rule, None
    ours, theirs = _as_json(section, name, own[name]), _as_json(section, name, rule)
    if ours is _WRONG or same(ours, theirs):
        return own[name], ours
    key = f"{section}.{name}"
    if section == _BINDING or DIRECTIONS[key] is differing:
        binds = f'pack "{pack.name}" has {echo(theirs)}, which binds; leave the key out'
        raise ValueError(f"{echo(ours)} cannot be: {binds}")
    if DIRECTIONS[key] is wider:
        both = [word for word in ours if word in theirs]
        if not both:
            raise ValueError(f'allows nothing that pack "{pack.name}" allows: {", ".join(theirs)}')
        return (own[name] if both == ours else both), ours
    if DIRECTIONS[key] is shorter:
        more = [word for word in theirs if word not in ours]
        return ([*own[name], *more] if more else own[name]), ours
    return (rule if looser(key, theirs, ours) else own[name]), "off" if ours is None else ours


_WRONG = object()


def _as_json(section: str, name: str, value: Any) -> Any:
    """Return *value* as the models read it; `_WRONG` when they would refuse it."""
    try:
        return parts()[section].model_validate({name: value}).model_dump(mode="json", include={name})[name]
    except ValidationError:
        return _WRONG

"""Join a rule pack to an executor's rules: the tighter value applies, and some keys of the pack cannot be changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from config.checks.strictness import DIRECTIONS, differing, looser, shorter, wider
from config.packs.reading import Pack, parts
from config.schema.problems import echo
from pipeline.model.errors import Problem

#: The table whose keys an executor cannot change: losses are counted as the firm counts them.
_BINDING = "firm"


@dataclass(frozen=True, kw_only=True)
class Merged:
    """An executor's table joined with the rules of a pack."""

    #: In the form of executors.toml.
    table: Mapping[str, Any]
    #: The keys whose value comes from the pack, such as `limits.drawdown_percent`. Each has the executor's own value as
    #: JSON; None if the executor leaves the key out.
    overruled: Mapping[str, Any]
    #: The contradictions between the executor and the pack. Keys are relative to the executor.
    problems: list[Problem]


def merged(table: Mapping[str, Any], pack: Pack) -> Merged:
    """Return the executor's *table*, as it is in the file, joined with *pack*.

    Faults of *table* stay in it; the models report them when they read the whole table.
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
                value, own_value = _joined(section, name, own, rule, pack)
            except ValueError as error:
                problems.append(Problem(key=f"{section}.{name}", message=str(error)))
                # With the pack's value in the table, further problems of that value are reported in the same run.
                joined[name] = rule
                continue
            if value is not own.get(name):
                joined[name] = value
                overruled[f"{section}.{name}"] = own_value
        result[section] = joined
    return Merged(table=result, overruled=overruled, problems=problems)


def _joined(section: str, name: str, own: Mapping[str, Any], rule: Any, pack: Pack) -> tuple[Any, Any]:
    """Return the value that applies, and the executor's own as JSON. Raise ValueError if the two exclude each other."""
    if name not in own:
        return rule, None
    ours, theirs = _as_json(section, name, own[name]), _as_json(section, name, rule)
    if ours is _WRONG or ours == theirs:
        return own[name], ours
    key = f"{section}.{name}"
    if section == _BINDING or DIRECTIONS[key] is differing:
        binds = f'pack "{pack.name}" requires {echo(theirs)}; leave the key out'
        raise ValueError(f"{echo(ours)} is not allowed: {binds}")
    if DIRECTIONS[key] is wider:
        both = [word for word in ours if word in theirs]
        if not both:
            raise ValueError(f'has no entry that pack "{pack.name}" allows: {", ".join(theirs)}')
        return (own[name] if both == ours else both), ours
    if DIRECTIONS[key] is shorter:
        more = [word for word in theirs if word not in ours]
        return ([*own[name], *more] if more else own[name]), ours
    return (rule if looser(key, theirs, ours) else own[name]), "off" if ours is None else ours


_WRONG = object()


def _as_json(section: str, name: str, value: Any) -> Any:
    """Return *value* as the models read it, as JSON; `_WRONG` when they refuse it."""
    try:
        return parts()[section].model_validate({name: value}).model_dump(mode="json", include={name})[name]
    except ValidationError:
        return _WRONG

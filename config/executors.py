"""Read executors.toml into frozen settings, one per executor, or report every problem with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.checks.accounts import account_problems
from config.checks.live import live_problems
from config.packs.joining import with_packs
from config.schema.executor import Executors, ExecutorSettings
from config.schema.keys import description_at, keys_at
from config.schema.problems import problems_of
from config.schema.settings import Settings, load_settings
from config.schema.toml_tables import executor_tables, parsed_toml
from pipeline.model.errors import ConfigInvalid

_ID_KEY = "id, as a key"


def load_executors(path: str | Path, *, settings: Settings | None = None) -> Executors:
    """Read the executors of the file at *path*, each joined with its rule pack.

    Args:
        path: The TOML file.
        settings: The source of keys and of the sentence of mode live. Default: the environment as it is now.

    Raises:
        ConfigInvalid: The file, its packs, the keys or the sentence have problems; the error lists all of them.
    """
    path = Path(path)
    if settings is None:
        settings = load_settings()
    tables, problems = executor_tables(parsed_toml(path))
    packed = with_packs(tables, path)
    problems += packed.problems
    by_id = {}
    for executor_id, table in packed.tables.items():
        try:
            by_id[executor_id] = _executor(executor_id, table)
        except ConfigInvalid as error:
            # The pack that cannot be read may hold the limits.
            lacking = f"executors.{executor_id}.limits" if executor_id in packed.unusable else None
            problems += [problem for problem in error.problems if problem.key != lacking]
    problems += account_problems(tables, settings)
    problems += [problem for executor in by_id.values() for problem in live_problems(executor)]
    if problems:
        raise ConfigInvalid(problems)
    return Executors(path, by_id, overruled=packed.overruled)


def _executor(executor_id: str, table: Mapping[str, Any]) -> ExecutorSettings:
    # The id is the table's name, so a key `id` in the table is unknown.
    unknown = {_ID_KEY: table["id"]} if "id" in table else {}
    try:
        return ExecutorSettings.model_validate({**table, **unknown, "id": executor_id})
    except ValidationError as error:
        problems = problems_of(
            error,
            key=lambda location: ".".join(["executors", executor_id, *(_written(part) for part in location)]),
            describe=lambda location: description_at(ExecutorSettings, location),
            known=lambda location: keys_at(ExecutorSettings, location[:-1]),
        )
        raise ConfigInvalid(problems) from None


def _written(part: int | str) -> str:
    return "id" if part == _ID_KEY else str(part)

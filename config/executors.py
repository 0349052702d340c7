"""Read executors.toml into frozen settings, one per executor, or report every problem with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.checks.accounts import account_problems
from config.checks.live import live_problems
from config.packs.joining import with_packs
from config.schema.executor import Executors, ExecutorSettings
from config.schema.keys import model_problems
from config.schema.settings import Settings, load_settings
from config.schema.toml_tables import named_tables, parsed_toml
from pipeline.model.errors import ConfigInvalid, Problem

_ID_KEY = "id, as a key"

# Names of tradewire's other processes and servers. An executor with such a name would be ambiguous in lists.
_TAKEN = frozenset(
    ["all", "exchange", "keeper", "postgresql", "producer", "rq_dashboard", "tracker", "up", "valkey", "web"]
)


def load_executors(path: str | Path, *, settings: Settings | None = None) -> Executors:
    """Read the executors of the file at *path*, each joined with its rule pack. *settings* default to the environment.

    Raises:
        ConfigInvalid: The file, its packs, the keys or TRADEWIRE_LIVE have problems; the error lists all of them.
    """
    path = Path(path)
    if settings is None:
        settings = load_settings()
    parsed = parsed_toml(path)
    tables, problems = named_tables(
        parsed, "executors", kind="an executor", example="argo", longest=32, taken=_TAKEN, taken_by="another process"
    )
    if parsed.get("executors", {}) == {}:
        problems.append(Problem(key="executors", message="is missing: begin an executor with [executors.argo]"))
    packed = with_packs(tables, path)
    problems += packed.problems
    by_id = {}
    for executor_id, table in packed.tables.items():
        try:
            by_id[executor_id] = _executor(executor_id, table)
        except ConfigInvalid as error:
            # The limits may be in the pack that could not be read, so their absence is not reported.
            lacking = f"executors.{executor_id}.limits" if executor_id in packed.unusable else None
            problems += [problem for problem in error.problems if problem.key != lacking]
    problems += account_problems(tables, settings)
    problems += [problem for executor in by_id.values() for problem in live_problems(executor)]
    if problems:
        raise ConfigInvalid(problems)
    return Executors(path, by_id, overruled=packed.overruled)


def _executor(executor_id: str, table: Mapping[str, Any]) -> ExecutorSettings:
    # The id is the table's name. A key `id` in the table is reported as an unknown key.
    unknown = {_ID_KEY: table["id"]} if "id" in table else {}
    try:
        return ExecutorSettings.model_validate({**table, **unknown, "id": executor_id})
    except ValidationError as error:
        path = ["executors", executor_id]
        problems = model_problems(error, ExecutorSettings, key=lambda at: ".".join([*path, *map(_written, at)]))
        raise ConfigInvalid(problems) from None


def _written(part: int | str) -> str:
    return "id" if part == _ID_KEY else str(part)

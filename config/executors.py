"""Read executors.toml into frozen settings, one per executor, or say everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from config.accounts import account_problems, base_url_faults
from config.fields import Section, Symbol, Word, Words
from config.firm import Firm
from config.keys import description_at, keys_at
from config.live import live_problems
from config.packs.joining import with_packs
from config.problems import did_you_mean, problems_of
from config.route import Route
from config.sections import Hours, Limits, Order, Retry, Size
from config.settings import Settings, load_settings
from config.tables import executor_tables, parsed_toml
from pipeline.errors import ConfigInvalid

_ID_KEY = "id, as a key"


def _broker(value: str) -> str:
    known = {"alpaca"} | {entry.name for entry in entry_points(group="tradewire.brokers")}
    if value not in known:
        raise ValueError(f"the brokers here are: {', '.join(sorted(known))}{did_you_mean(value, known)}")
    return value


def _base_url(value: str) -> str:
    faults = base_url_faults(value)
    if faults:
        raise ValueError("; ".join(faults))
    return value.rstrip("/")


class ExecutorSettings(Section):
    """One executor: a broker account with its own queue, rules, limits and workers."""

    id: str
    """The name of its table: a lower-case letter, then up to 31 more, digits or underscores."""

    broker: Annotated[Word, AfterValidator(_broker)] = "alpaca"
    """The broker's adapter. Default: alpaca."""

    mode: Literal["exchange", "paper", "live"]
    """exchange (our paper exchange), paper (the broker's), or live (real money). Required."""

    base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    """The address of the broker's API; http:// to this machine only. In mode exchange by default our own."""

    account: Word | None = None
    """The account's number, in quotes; the executor trades no other. Default: the one that the keys open."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 1
    """Worker processes of this executor, 1 to 64. Default: 1."""

    pack: Word | None = None
    """A rule pack whose rules hold too: the name of one that ships, or the path of a .toml file, relative to this
    one. Default: none."""

    route: Route = Route()
    """Which entries it takes."""

    size: Size
    """How much one entry buys or sells. Required."""

    order: Order = Order()
    """Which orders it sends."""

    limits: Limits
    """What it never exceeds. Required, with one limit on risk at least: an executor without limits does not start."""

    retry: Retry = Retry()
    """How patient it is with its broker."""

    hours: Hours = Hours()
    """What happens outside regular trading hours."""

    groups: Mapping[Word, Words[Symbol]] = Field(default_factory=dict)
    """Symbols that move together, by a name of yours: tech = ["AAPL", "MSFT"]; `limits.group_positions` and
    `limits.group_exposure_percent` hold for each. Default: no group."""

    firm: Firm = Firm()
    """How a firm that lends the account counts losses, and what it asks for besides."""


class Executors(Mapping[str, ExecutorSettings]):
    """The executors of one file, by id, in the file's order.

    Attributes:
        path: The file.
        overruled: By id, the keys whose value is a pack's, such as `limits.drawdown_percent`, each with what the file
            says of it, as JSON has it; None when it says nothing.
    """

    def __init__(
        self,
        path: Path,
        by_id: Mapping[str, ExecutorSettings],
        *,
        overruled: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self.overruled = overruled
        self._by_id = dict(by_id)

    def __getitem__(self, executor_id: str) -> ExecutorSettings:
        return self._by_id[executor_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"Executors({str(self.path)!r}, {', '.join(self._by_id)})"


def load_executors(path: str | Path, *, settings: Settings | None = None) -> Executors:
    """Read the executors of the file at *path*, each joined with its rule pack.

    Args:
        path: The TOML file.
        settings: Where keys and the live sentence come from; the environment as it is now when left out.

    Raises:
        ConfigInvalid: With every problem of the file, its packs, the keys and the live sentence at once.
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
            # Without its pack nobody knows what an executor lacks.
            lacking = f"executors.{executor_id}.limits" if executor_id in packed.unusable else None
            problems += [problem for problem in error.problems if problem.key != lacking]
    problems += account_problems(tables, settings)
    problems += [problem for executor in by_id.values() for problem in live_problems(executor)]
    if problems:
        raise ConfigInvalid(problems)
    return Executors(path, by_id, overruled=packed.overruled)


def settings_hash(executor: ExecutorSettings) -> str:
    """Return the SHA-256 of an executor's settings in hex; equal values, equal hash, in every process."""
    body = json.dumps(executor.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def _executor(executor_id: str, table: Mapping[str, Any]) -> ExecutorSettings:
    # The id is the table's name; a key of that name in the table is as unknown as any other.
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

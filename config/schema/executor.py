"""Define the settings of one executor, and the executors of one file. Both are frozen."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from config.schema.addresses import host_of, normal_address, normal_host
from config.schema.fields import Section, Symbols, Word
from config.schema.firm import Firm
from config.schema.problems import did_you_mean
from config.schema.route import Route
from config.schema.sections import HoursSettings, LimitSettings, OrderSettings, RetrySettings, SizeSettings
from pipeline.model.plugins import installed_plugins


def _broker(value: str) -> str:
    known = {"alpaca"} | installed_plugins("tradewire.brokers").keys()
    if value not in known:
        raise ValueError(f"an installed broker is expected: {', '.join(sorted(known))}{did_you_mean(value, known)}")
    return value


def _host(value: str) -> str:
    host = host_of(value) or normal_host(value)
    if not host:
        raise ValueError("a host like broker.example.org is expected")
    return host


class ExecutorSettings(Section):
    """One executor: a broker account with its own queue, rules, limits and workers."""

    id: str
    """The name of its table: a lower-case letter, then up to 31 letters, digits or underscores."""

    broker: Annotated[Word, AfterValidator(_broker)] = "alpaca"
    """The adapter of its broker. Default: alpaca."""

    mode: Literal["exchange", "paper", "live"]
    """exchange (tradewire's paper exchange), paper (the broker's paper trading), or live (real money). Required."""

    base_url: Annotated[str, AfterValidator(normal_address)] | None = None
    """The address of the broker's API; http:// only for this machine. Default: in mode exchange tradewire's
    paper exchange; modes paper and live need an address."""

    base_url_allowed: Annotated[str, AfterValidator(_host)] | None = None
    """The host of its base_url, or of TRADEWIRE_EXCHANGE_URL, where tradewire does not know it: another broker's, or
    another machine's exchange. It never admits a host of another mode. Default: none."""

    account: Word | None = None
    """The account's number, in quotes. The executor trades only this account. Mode live needs it.
    Default: the account that the keys belong to."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 1
    """The number of its worker processes, 1 to 64. Default: 1."""

    pack: Word | None = None
    """A rule pack whose rules hold too: the name of a pack that ships with tradewire, or the path of a .toml file,
    relative to executors.toml. Default: none."""

    route: Route = Route()
    """Which entries the executor takes. Exits always pass."""

    size: SizeSettings
    """The size of an entry. Required."""

    order: OrderSettings = OrderSettings()
    """The orders that the executor sends."""

    limits: LimitSettings
    """The limits that the executor never exceeds. Required, with at least one limit on risk: an executor without one
    does not start."""

    retry: RetrySettings = RetrySettings()
    """How long and how often the executor tries to reach its broker."""

    hours: HoursSettings = HoursSettings()
    """The behaviour outside regular trading hours."""

    groups: Mapping[Word, Symbols] = Field(default_factory=dict)
    """Symbols that move together, under a name of your choice: tech = ["AAPL", "MSFT"]. `limits.group_positions` and
    `limits.group_exposure_percent` hold for each group. Default: no group."""

    firm: Firm = Firm()
    """How a firm that lends the account counts losses, and its further rules."""

    @property
    def limits_equity(self) -> bool:
        """Return whether a limit depends on the account's equity over time, so that the keeper monitors it."""
        limits = (self.limits.daily_loss_percent, self.limits.drawdown_percent, self.firm.consistency_percent)
        return any(limit is not None for limit in limits)


class Executors(Mapping[str, ExecutorSettings]):
    """The executors of one file, by id, in the file's order."""

    def __init__(
        self,
        path: Path,
        by_id: Mapping[str, ExecutorSettings],
        *,
        overruled: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.path = path
        #: By executor id: the keys whose value comes from a rule pack, such as `limits.drawdown_percent`. Each has the
        #: value of executors.toml as JSON; None if the key is not in that file.
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


def settings_hash(executor: ExecutorSettings) -> str:
    """Return the SHA-256 of an executor's settings in hex. Equal settings have equal hashes in every process."""
    body = json.dumps(executor.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()

"""Join the tables of executors.toml with the rule packs that they name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.packs.merging import merged
from config.packs.reading import Pack, pack_file, read_pack
from pipeline.model.errors import ConfigInvalid, Problem

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The executors' tables with the rules of their packs, and the problems."""

    #: By executor. A table whose pack cannot be read stays as it is in the file.
    tables: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: By executor; see `Merged.overruled`.
    overruled: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: The executors whose pack cannot be read.
    unusable: set[str] = field(default_factory=set)
    #: The faults of the packs' files, and the contradictions between executors and packs.
    problems: list[Problem] = field(default_factory=list)


def with_packs(tables: Tables, path: Path) -> Packed:
    """Return the *tables* of the file at *path*, each joined with the rules of the pack that it names."""
    packed, files = Packed(), _PackFiles(path)
    for executor_id, table in tables.items():
        packed.tables[executor_id] = table
        named = table.get("pack")
        # A value that is not text is skipped here; the models refuse it.
        if not isinstance(named, str) or not named:
            continue
        key = f"executors.{executor_id}"
        try:
            pack = files.pack(named)
        except ValueError as error:
            packed.problems.append(Problem(key=f"{key}.pack", message=str(error)))
            pack = None
        if pack is None:
            packed.unusable.add(executor_id)
            continue
        result = merged(table, pack)
        packed.tables[executor_id] = result.table
        packed.overruled[executor_id] = result.overruled
        packed.problems.extend(Problem(key=f"{key}.{fault.key}", message=fault.message) for fault in result.problems)
    packed.problems.extend(files.problems)
    return packed


class _PackFiles:
    """The packs that one file of executors names. Each is read once."""

    def __init__(self, path: Path) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._read: dict[Path, Pack | None] = {}

    def pack(self, named: str) -> Pack | None:
        """Return the pack; None when its file has faults, which are then among `problems`."""
        path = pack_file(named, beside=self._path)
        if path not in self._read:
            # If the file has faults, None stays here: they are reported once, even if several executors name the pack.
            self._read[path] = None
            try:
                self._read[path] = read_pack(path)
            except ConfigInvalid as error:
                self.problems.extend(error.problems)
        return self._read[path]

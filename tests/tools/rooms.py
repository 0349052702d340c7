"""Print the layers of the import contract and the imports between folders: `make rooms`.

Exits with 1 when a folder imports from a higher layer, or when folders import each other in a circle.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.tools.sources import PACKAGES, ROOT, Source, sources


@dataclass(frozen=True, kw_only=True)
class Import:
    """One module that imports from a module of another folder."""

    by: str
    of: str

    def __str__(self) -> str:
        return f"{self.by} imports {self.of}"


@dataclass(kw_only=True)
class Map:
    """The layers, top first, and the arrows. An arrow is a pair, importing and imported folder, with its imports."""

    layers: list[list[str]]
    arrows: dict[tuple[str, str], list[Import]] = field(default_factory=lambda: defaultdict(list))

    @property
    def folders(self) -> list[str]:
        """All folders that import from another folder, or from which another folder imports."""
        return sorted({folder for arrow in self.arrows for folder in arrow})

    def layer(self, folder: str) -> int:
        """Return the number of the layer of *folder*, 0 for the top; the longest matching name decides."""
        found = [
            (len(name), number) for number, layer in enumerate(self.layers) for name in layer if _within(folder, name)
        ]
        if not found:
            raise LookupError(f"{folder} is in no layer of the import contract")
        return max(found)[1]

    def upward(self) -> list[str]:
        """Return the imports from a higher layer, or from an independent part of the same layer."""
        return [
            f"{old} -> {new}: {', '.join(map(str, imports))}"
            for (old, new), imports in sorted(self.arrows.items())
            if self.layer(new) < self.layer(old) or self._neighbours(old, new)
        ]

    def circles(self) -> list[str]:
        """Return the arrows that are part of a circle of imports, each with its imports."""
        reached = {folder: self._reached(folder) for folder in self.folders}
        return [
            f"{old} -> {new}: {', '.join(map(str, imports))}"
            for (old, new), imports in sorted(self.arrows.items())
            if old in reached[new]
        ]

    def _neighbours(self, old: str, new: str) -> bool:
        """Return whether the two folders are in independent parts of one layer."""
        parts = [name for name in self.layers[self.layer(old)] for folder in (old, new) if _within(folder, name)]
        return self.layer(old) == self.layer(new) and len(set(parts)) > 1

    def _reached(self, folder: str) -> set[str]:
        reached: set[str] = set()
        ahead = [folder]
        while ahead:
            here = ahead.pop()
            found = {new for old, new in self.arrows if old == here} - reached
            reached |= found
            ahead += found
        return reached


def _within(folder: str, name: str) -> bool:
    return folder == name or folder.startswith(f"{name}.")


def read_map() -> Map:
    """Return the layers of pyproject.toml and the arrows of the code."""
    files = {source.module: source for source in sources()}
    drawn = Map(layers=layers())
    for source in sources():
        for module in _imported(source, files):
            if files[module].folder != source.folder:
                drawn.arrows[source.folder, files[module].folder].append(Import(by=source.module, of=module))
    return drawn


def layers() -> list[list[str]]:
    """Return the layers of the import contract, top first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = {contract["id"]: contract for contract in project["tool"]["importlinter"]["contracts"]}
    return [re.findall(r"[\w.]+", layer) for layer in contracts["layers"]["layers"]]


def _imported(source: Source, files: dict[str, Source]) -> Iterator[str]:
    """Yield the modules of the product that a file imports, including imports inside functions."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield from (name for name in [inside if inside in files else node.module] if name in files)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)


def report(drawn: Map) -> str:
    """Return the layers, the arrows and their faults as text."""
    lines = ["Layers: an upper one may import a lower one. Parts between | do not import each other.", ""]
    lines += [f"  {number}  {' | '.join(layer)}" for number, layer in enumerate(drawn.layers, 1)]
    lines += ["", f"Arrows between folders: {len(drawn.folders)} folders, {len(drawn.arrows)} arrows", ""]
    for folder in sorted(drawn.folders, key=lambda name: (drawn.layer(name), name)):
        targets = sorted(
            {new for old, new in drawn.arrows if old == folder}, key=lambda name: (drawn.layer(name), name)
        )
        lines.append(f"  {drawn.layer(folder) + 1}  {folder} -> {', '.join(targets) or 'nothing'}")
    for title, faults in (("Arrows upward", drawn.upward()), ("Arrows in circles", drawn.circles())):
        lines += ["", f"{title}: {len(faults)}", *(f"  {fault}" for fault in faults)]
    return "\n".join(lines)


def main() -> int:
    """Print the map, and return 1 when it has a fault."""
    drawn = read_map()
    sys.stdout.write(f"{report(drawn)}\n")
    return 1 if drawn.upward() or drawn.circles() else 0


if __name__ == "__main__":
    sys.exit(main())

"""Break one guard of the product at a time in a copy, and show whether its tests fail: `make defects`.

`defects.toml` lists the guards. The copy has all files that git does not ignore, and the working tree stays unchanged.
When no test fails for a defect, a test is missing: the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tools.sources import ROOT

#: The exit code of pytest when tests ran and some failed.
_TESTS_FAILED = 1
_LONGEST_RUN_S = 600


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A guard that is broken on purpose, and the tests that must fail then."""

    guarantee: str
    #: The fault that the product has while the guard is broken.
    fault: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def problems(self) -> Iterator[str]:
        """Yield each reason why this defect cannot be tried: *old* is not once in *file*, or a test does not exist."""
        found = (ROOT / self.file).read_text("utf-8").count(self.old) if (ROOT / self.file).is_file() else 0
        if found != 1:
            yield f"{self.fault}: {self.file} has the text to break {found} times, and must have it once"
        for test in self.tests:
            path, _, name = test.partition("::")
            if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text("utf-8"):
                yield f"{self.fault}: {test} does not exist"


def defects() -> tuple[Defect, ...]:
    """Return the defects of `defects.toml`, in its order."""
    rows = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["defect"]
    return tuple(Defect(**row) for row in rows)


def run(chosen: Sequence[Defect]) -> int:
    """Try each defect, print a line for it, and return how many no test noticed, or how many cannot be tried."""
    problems = [problem for defect in chosen for problem in defect.problems()]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return len(problems)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="tradewire-defects-") as folder:
        copy = Path(folder)
        _copy_to(copy)
        for defect in chosen:
            noticed = _is_noticed(defect, copy)
            missed += not noticed
            print(f"| {defect.guarantee} | {defect.fault} | {'red' if noticed else 'GREEN'} |", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} defects were noticed")
    return missed


def _copy_to(copy: Path) -> None:
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def _is_noticed(defect: Defect, copy: Path) -> bool:
    """Break the guard in *copy*, run its tests, and restore it; return whether a test failed."""
    path = copy / defect.file
    whole = path.read_text("utf-8")
    path.write_text(whole.replace(defect.old, defect.new), "utf-8")
    # The tests must import the copy, not the installed project.
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "no:cacheprovider", *defect.tests]
    try:
        ended = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=_LONGEST_RUN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return True  # A test that never ends counts as failed.
    finally:
        path.write_text(whole, "utf-8")
    if ended.returncode not in (0, _TESTS_FAILED):
        raise SystemExit(f"the tests of {defect.fault!r} could not run:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.returncode == _TESTS_FAILED


def main() -> int:
    """Run the defects whose guarantee is the given word or whose fault contains it; without a word, run all."""
    parser = argparse.ArgumentParser(prog="make defects", description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="a guarantee, as G12, or a word of the fault")
    word = parser.parse_args().word
    chosen = [each for each in defects() if word in (each.guarantee, "") or word in each.fault]
    if not chosen:
        print(f"no defect has {word!r} in its guarantee or fault", file=sys.stderr)
        return 2
    return 1 if run(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())

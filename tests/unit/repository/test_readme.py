"""Everything that README.md names exists, and each guarantee names its tests."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import typer

from config.schema.settings import BETWEEN_PROCESSES, Settings
from pipeline.intake.sources.bars import load_bars
from pipeline.model.reasons import Code
from pipeline.model.signals import Signal
from pipeline.model.states import State
from tests.command import app
from tests.faults import assert_none

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "README.md").read_text("utf-8")
PROSE = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
GUARANTEES = re.findall(r"^- \*\*G(\d+)\b(.*?)(?=^- \*\*G|^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
BACKING = sorted(set(NAMED_TEST.findall(TEXT)))


def collectable(path: Path) -> set[str]:
    """Return the names that pytest collects from the top level of a file, or none when the file does not exist."""
    if not path.is_file():
        return set()
    body = ast.parse(path.read_text("utf-8")).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    models = {
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {name for name in functions | models if name.lower().startswith("test")}


def commands(group: typer.core.TyperGroup, before: str = "") -> set[str]:
    found = set()
    for name, command in group.commands.items():
        found.add(f"{before}{name}")
        if isinstance(command, typer.core.TyperGroup):
            found |= commands(command, f"{before}{name} ")
    return found


def test_the_guarantees_are_numbered_without_a_gap() -> None:
    assert [int(number) for number, _ in GUARANTEES] == list(range(1, len(GUARANTEES) + 1))
    assert len(GUARANTEES) >= 10


def test_every_guarantee_names_a_test_and_every_test_that_is_named_exists() -> None:
    assert BACKING
    unbacked = [f"G{number} names no test" for number, text in GUARANTEES if not NAMED_TEST.search(text)]
    missing = [f"{path}::{name} does not exist" for path, name in BACKING if name not in collectable(ROOT / path)]

    assert_none([*unbacked, *missing])


def test_the_first_screen_says_which_brokers_it_works_with() -> None:
    first_screen = "\n".join(TEXT.splitlines()[:24])
    brokers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][
        "tradewire.brokers"
    ]

    assert "make up" in first_screen
    assert [name for name in brokers if name not in first_screen.lower()] == []


def test_every_command_in_it_exists() -> None:
    known = commands(typer.main.get_command(app))  # type: ignore[arg-type]
    named = re.findall(r"\btradewire ((?:config|dead|signal) [a-z]+|[a-z]+)", TEXT)
    listed = [
        one for line in re.findall(r"`tradewire (?:produce)`[^)]*", TEXT) for one in re.findall(r"`([a-z]+)", line)
    ]

    assert len(named) > 15
    assert sorted({*named, *listed} - known - {"is", "goes", "tradewire"}) == []


def test_the_make_targets_in_it_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert set(re.findall(r"^make ([a-z]+)", TEXT, re.MULTILINE)) <= targets


def test_the_line_without_make_installs_as_the_makefile_does() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")

    # The Makefile also installs the tools for development.
    assert "--require-hashes -r requirements.lock" in TEXT
    assert "--require-hashes -r requirements-dev.lock" in makefile
    for text in (TEXT, makefile):
        assert "--no-deps --no-build-isolation" in text


def test_the_files_it_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_variables_in_it_are_read() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    read = {f"TRADEWIRE_{name.upper()}" for name in Settings.model_fields} | BETWEEN_PROCESSES

    for variable in set(re.findall(r"\bTRADEWIRE_[A-Z_]+\b", TEXT)):
        assert variable in read or variable in example


def test_the_signals_keys_in_it_are_all_that_there_are() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", TEXT.split("## Sending your own signals")[1].split("\n## ")[0], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert named == set(Signal.model_fields)


def test_the_states_and_reasons_in_it_exist() -> None:
    chapter = TEXT.split("## What the reasons mean")[1].split("\n## ")[0]
    codes = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", chapter))

    assert codes
    assert codes <= set(Code)
    assert set(re.findall(r"\*\*([a-z_]+)\*\*", chapter)) <= set(State)


def test_the_symbols_that_have_prices_at_the_paper_exchange_are_named() -> None:
    [sentence] = re.findall(r"^The paper exchange plays (.*?)\. ", TEXT, re.MULTILINE | re.DOTALL)
    bars = load_bars()
    first = next(day for day in bars.days if any(bar.symbol == "FB" for bar in day.bars))

    assert sorted(re.findall(r"\b[A-Z]{2,}\b", sentence)) == sorted(bars.symbols)
    assert f"from {bars.days[bars.first_played].date.year} on" in sentence
    assert f"from {first.date.year}, FB" in sentence


def test_a_shell_that_took_the_addresses_is_told_how_to_drop_them() -> None:
    after = TEXT.split('eval "$(tradewire config env)"')[1].split("\n## ")[0]

    assert "new shell" in after
    assert "`unset " in after


def test_the_exercises_are_linked_beside_dead_letters_and_at_the_end() -> None:
    for title in ("Dead letters", "Where to go next"):
        assert "(pipeline/docs/practice.md)" in TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]

"""Every command, key, variable and link in the pages for users exists, and every example works."""

from __future__ import annotations

import ast
import json
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from typer.exceptions import TyperException

from config.alerts import AlertSettings
from config.checks.strictness import DIRECTIONS
from config.executors import load_executors
from config.packs.reading import read_pack
from config.schema.executor import ExecutorSettings
from config.schema.settings import BETWEEN_PROCESSES, Settings, load_settings
from config.show import shown_executors
from config.webhooks import WebhookSettings
from pipeline.entrypoints.mcp.operating import OPERATING
from pipeline.entrypoints.mcp.reading import READING
from pipeline.intake.sources.protocol import SourceContext, Unreadable
from pipeline.model.signals import Signal
from tests.faults import assert_none
from tests.pages import DOCS, PAGES, ROOT, blocks, leaf, mentioned, options, prose, typed
from tests.tools.events import logged_events
from workers.brokers.protocol import Broker

SECTIONS = {key.partition(".")[0] for key in DIRECTIONS if "." in key}


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_index_links_every_page() -> None:
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (DOCS / "README.md").read_text("utf-8")))

    assert linked == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


def test_the_pages_are_installed_with_the_package() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]

    assert "*.md" in data["*"]


def test_every_link_leads_to_a_file() -> None:
    assert_none(
        f"{shown(page)}: {link} does not exist"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose(page))
        if not (page.parent / link).exists()
    )


def test_every_command_in_a_block_is_understood() -> None:
    assert_none(f"{shown(page)}: {fault}" for page in PAGES for words in typed(page) for fault in faults_of(words))


def faults_of(words: list[str]) -> Iterator[str]:
    """Yield the faults of a command that a reader may type."""
    try:
        command, rest = leaf(words)
        command.make_context(command.name, rest).close()
    except (LookupError, TyperException) as error:
        yield f"{' '.join(words)}: {error}"


def test_every_command_in_the_prose_exists_with_its_options() -> None:
    assert_none(f"{shown(page)}: {fault}" for page in PAGES for words in mentioned(page) for fault in unknown_in(words))


def unknown_in(words: list[str]) -> Iterator[str]:
    """Yield the names in a mentioned command that the program does not have."""
    try:
        command, rest = leaf(words)
    except LookupError as error:
        yield str(error)
        return
    named = {word.partition("=")[0].strip("[],.…") for word in rest if word.strip("[").startswith("--")}
    yield from (f"{' '.join(words)}: there is no option {option}" for option in sorted(named - options(command)))


def test_every_make_target_variable_and_key_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    variables = {f"TRADEWIRE_{name.upper()}" for name in Settings.model_fields} | BETWEEN_PROCESSES
    known = {*targets, *variables, *DIRECTIONS, *logged_events(), "config.toml"}

    assert_none(f"{shown(page)}: {name} does not exist" for page in PAGES for name in sorted(named_in(page) - known))


def named_in(page: Path) -> set[str]:
    """Return the make targets, the environment variables and the keys of the files that a page names."""
    return {
        *re.findall(r"^make ([a-z]+)", "\n".join(blocks(page, "", "sh")), re.MULTILINE),
        *re.findall(r"\bTRADEWIRE_[A-Z_]+\b", page.read_text("utf-8")),
        *re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[a-z_0-9]+)\b", prose(page)),
    }


def test_every_example_can_be_read_by_the_program() -> None:
    readers: dict[str, Callable[[str], object]] = {"toml": check_toml, "json": json.loads, "python": ast.parse}

    assert_none(
        f"{shown(page)}: {error}\n{body}"
        for page in PAGES
        for language, reader in readers.items()
        for body in blocks(page, language)
        for error in errors_of(reader, body)
    )


def errors_of(reader: Callable[[str], object], body: str) -> Iterator[Exception]:
    try:
        reader(body)
    except (ValueError, SyntaxError) as error:
        yield error


def check_toml(body: str) -> None:
    """Check each value of an example by itself, because an example need not be complete."""
    parsed = tomllib.loads(body, parse_float=Decimal)
    for table in parsed.get("executors", {}).values():
        check_values(ExecutorSettings, table)
    for table in parsed.get("webhooks", {}).values():
        check_values(WebhookSettings, table)
    if set(parsed) & set(AlertSettings.model_fields):
        check_values(AlertSettings, parsed)


def check_values(model: type[BaseModel], table: dict[str, Any]) -> None:
    if unknown := set(table) - set(model.model_fields) | set(table) & {"id"}:
        raise ValueError(f"{model.__name__} has no {sorted(unknown)}")
    for name, value in table.items():
        field = model.model_fields[name]
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            check_values(field.annotation, value)
            continue
        kind: Any = field.annotation
        for metadata in field.metadata:
            kind = Annotated[kind, metadata]
        TypeAdapter(kind).validate_python(value)


def test_the_page_on_packs_has_a_whole_pack_and_tells_how_it_joins(tmp_path: Path) -> None:
    pack, executors = blocks(DOCS / "writing-a-rule-pack.md", "toml")
    (tmp_path / "evaluation.toml").write_text(pack)
    (tmp_path / "executors.toml").write_text(executors)

    settings = load_settings(env_file=None)
    loaded = load_executors(tmp_path / "executors.toml", settings=settings)

    assert read_pack(tmp_path / "evaluation.toml").name == "evaluation"
    executor = loaded["test_account"]
    assert executor.limits.open_positions == 2
    assert executor.limits.daily_loss_percent == 1
    assert executor.route.minimum_confidence == 85
    assert executor.firm.flat_before_close_s == 900
    shown = shown_executors(loaded, settings)["test_account"]
    assert shown["limits.open_positions"] == {"value": 2, "origin": "pack evaluation.toml", "file": 10}


def test_the_source_of_its_page_gives_signals_and_keeps_what_is_none(tmp_path: Path) -> None:
    [body] = blocks(DOCS / "writing-a-source.md", "python")
    module: dict[str, Any] = {"__name__": "folder"}
    exec(compile(body, "writing-a-source.md", "exec", dont_inherit=True), module)
    (tmp_path / "one.txt").write_text("BUY AAPL 190.50 87\nnonsense\n")

    source = module["open_source"](SourceContext(path=str(tmp_path)))
    first, again = source.poll(threading.Event()), source.poll(threading.Event())
    source.close()

    signal, refusal = first
    read = Signal.model_validate(signal)
    assert (read.symbol, read.entry_price, read.confidence) == ("AAPL", Decimal("190.50"), Decimal(87))
    assert isinstance(refusal, Unreadable)
    assert (signal["source_id"], refusal.raw["source_id"], again) == ("one.txt:1", "one.txt:2", [])


def test_the_page_on_brokers_names_every_method() -> None:
    chapter = (DOCS / "writing-a-broker.md").read_text("utf-8").split("## The methods")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", chapter, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert named == {name for name in vars(Broker) if not name.startswith("_")}


def test_the_page_on_mcp_names_every_tool() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", (DOCS / "mcp.md").read_text("utf-8"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(named) == sorted(tool.__name__ for tool in (*READING, *OPERATING))


def test_the_exercises_begin_with_an_empty_record_in_a_folder_of_their_own() -> None:
    before, *exercises = (DOCS / "practice.md").read_text("utf-8").split("\n## ")

    assert re.findall(r"^tradewire .*", before, re.MULTILINE) == [
        "tradewire init",
        "tradewire reset --yes",
        "tradewire up --source none",
    ]
    assert len(exercises) == 4

"""The pages for users keep their word: every command, key, variable and link in them exists, and examples work."""

from __future__ import annotations

import ast
import json
import re
import threading
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
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
from tests.pages import DOCS, PAGES, ROOT, blocks, leaf, mentioned, options, prose, typed
from workers.brokers.protocol import Broker

PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
SECTIONS = {key.partition(".")[0] for key in DIRECTIONS if "." in key}


def test_the_index_links_every_page() -> None:
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (DOCS / "README.md").read_text("utf-8")))

    assert linked == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


def test_the_pages_are_installed_with_the_package() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]

    assert "*.md" in data["*"]


@PAGE
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose(page))

    assert [link for link in links if not (page.parent / link).exists()] == []


@PAGE
def test_commands_to_type_are_understood(page: Path) -> None:
    for words in typed(page):
        command, rest = leaf(words)
        try:
            command.make_context(command.name, rest).close()
        except TyperException as error:
            pytest.fail(f"{words}: {error}")


@PAGE
def test_commands_in_the_prose_exist_with_their_options(page: Path) -> None:
    for words in mentioned(page):
        command, rest = leaf(words)
        named = {word.partition("=")[0].strip("[],.…") for word in rest if word.strip("[").startswith("--")}
        assert named <= options(command), f"{words}"


@PAGE
def test_the_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert set(re.findall(r"^make ([a-z]+)", "\n".join(blocks(page, "", "sh")), re.MULTILINE)) <= targets


@PAGE
def test_the_variables_are_read(page: Path) -> None:
    read = {f"TRADEWIRE_{name.upper()}" for name in Settings.model_fields} | BETWEEN_PROCESSES

    assert set(re.findall(r"\bTRADEWIRE_[A-Z_]+\b", page.read_text("utf-8"))) <= read


@PAGE
def test_the_keys_exist(page: Path) -> None:
    named = set(re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[a-z_0-9]+)\b", prose(page)))

    assert named - {"config.toml"} <= set(DIRECTIONS)


@PAGE
def test_examples_are_what_their_readers_take(page: Path) -> None:
    for body in blocks(page, "toml"):
        check_toml(tomllib.loads(body, parse_float=Decimal))
    for body in blocks(page, "json"):
        json.loads(body)
    for body in blocks(page, "python"):
        ast.parse(body)


def check_toml(parsed: dict[str, Any]) -> None:
    """Judge each value of an example by itself: an example need not be whole."""
    for table in parsed.get("executors", {}).values():
        check_values(ExecutorSettings, table)
    for table in parsed.get("webhooks", {}).values():
        check_values(WebhookSettings, table)
    if set(parsed) & set(AlertSettings.model_fields):
        check_values(AlertSettings, parsed)


def check_values(model: type[BaseModel], table: dict[str, Any]) -> None:
    assert set(table) <= set(model.model_fields) - {"id"}
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

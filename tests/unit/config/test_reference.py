"""The page of the configuration contains all keys of the models, and equals the output of the command."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from config.alerts import AlertSettings, EventSettings, ExecutionRateAlert
from config.checks.strictness import DIRECTIONS
from config.reference import page
from config.schema.settings import Settings, variable
from config.webhooks import Template, WebhookSettings
from tests.command import app

PAGE = Path(__file__).parents[3] / "pipeline" / "docs" / "configuration.md"
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page().splitlines() if line[:3] == "| `"]


def test_the_page_is_the_configuration_of_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: make reference"


def test_the_command_prints_the_page() -> None:
    printed = CliRunner().invoke(app, ["config", "reference"])

    assert (printed.exit_code, printed.stdout) == (0, page())


def test_every_key_and_variable_has_its_row() -> None:
    chapters = re.split(r"^### \[executors\.NAME\.(\w+)\]$", page().split("## webhooks.toml")[0], flags=re.MULTILINE)
    tables = dict(zip(chapters[1::2], chapters[2::2], strict=True))
    keys = {f"{name}.{key}" for name, text in tables.items() for key in re.findall(r"^\| `(\w+)`", text, re.MULTILINE)}
    first = {row[0].strip("`") for row in ROWS}

    assert keys == {key for key in DIRECTIONS if "." in key}
    assert {key for key in DIRECTIONS if "." not in key} - {"id"} <= first
    assert {variable(name) for name in Settings.model_fields} <= first
    others = (WebhookSettings, Template, AlertSettings, ExecutionRateAlert, EventSettings)
    tables_of_alerts = {"execution_rate", "events"}
    assert {name for model in others for name in model.model_fields} - {"name"} - tables_of_alerts <= first


def test_every_key_has_its_description_in_one_row() -> None:
    assert [row for row in ROWS if len(row) not in {4, 5} or len(row[-1]) < 10] == []
    assert not re.search(r"Default:|Required\.", page())

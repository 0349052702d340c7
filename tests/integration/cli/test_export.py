"""`export` writes whole lists row by row, for spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.store.record import Record
from pipeline.views.exports import Export, export
from tests.command import app
from tests.integration.accounts.fill_rows import FillRows
from tests.integration.execution_states import Rows
from tests.unit.accounts.books.fills import START, fill

Written = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def fills(record: Record, database_url: str) -> FillRows:
    rows = FillRows(record, database_url)
    rows.add(fill(0, "a =x entry buy 1 100"), fill(1, "b y exit sell 2 101.50"))
    return rows


def written(record: Record, what: Export, **options: Any) -> list[dict[str, str]]:
    texts: list[str] = []
    count = export(record, what, texts.append, **options)
    text = "".join(texts)
    rows = [json.loads(line) for line in text.splitlines()] if options else list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == count
    return rows


@pytest.mark.parametrize("what", Export)
def test_both_forms_have_the_same_rows_oldest_first_and_an_empty_list_has_a_header(
    fills: FillRows, record: Record, rows: Rows, what: Export
) -> None:
    as_csv, as_json = written(record, what), written(record, what, as_json=True)

    assert len(as_csv) == 2
    assert [list(row) for row in as_csv] == [list(row) for row in as_json]
    for one, same in zip(as_csv, as_json, strict=True):
        assert {name: one[name].removeprefix("'") for name in one} == {
            name: "" if value is None else str(value) for name, value in same.items()
        }
    nothing: list[str] = []
    assert export(record, what, nothing.append, executor_id="nobody") == 0
    assert "".join(nothing) == f"{','.join(as_json[0])}\n"


def test_a_text_that_is_a_formula_is_escaped_and_a_number_below_zero_is_not(fills: FillRows, record: Record) -> None:
    unknown, long = sorted(written(record, Export.TRADES), key=lambda row: row["realised"])
    fills.add(replace(fill(2, "c z entry sell 3 9"), executor_id="-argo"), fill(3, "d z exit buy 3 10"))

    assert (long["strategy"], long["realised"], unknown["entry_price"]) == ("'=x", "1.5", "")
    short = written(record, Export.TRADES)[-1]
    assert (short["quantity"], short["realised"]) == ("-3", "-3")
    assert written(record, Export.FILLS)[2]["executor_id"] == "'-argo"


def test_a_span_contains_its_beginning_and_not_its_end(fills: FillRows, record: Record) -> None:
    [only] = written(record, Export.FILLS, as_json=True, since=START, until=fill(1, "b y exit sell 1 1").filled_at)

    assert (only["fill_id"], Decimal(only["price"])) == ("0000", 100)


def test_rows_are_read_in_batches(fills: FillRows, record: Record, rows: Rows) -> None:
    rows(
        "INSERT INTO signal (signal_id, source, content_hash, symbol, asset_class, action, intent)"
        " SELECT gen_random_uuid(), 'many', '', 'AAPL', 'us_equity', 'BUY', 'auto' FROM generate_series(1, 1200)"
    )
    texts: list[str] = []

    count = export(record, Export.SIGNALS, texts.append)

    assert count == 1202
    assert [text.count("\n") for text in texts] == [1, 500, 500, 202]


def test_a_full_disk_is_named(fills: FillRows, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.entrypoints.cli", "export", "trades"]
    env = {"DATABASE_URL": fills.url, "TRADEWIRE_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr == "tradewire: the output cannot be written: No space left on device\n"


def test_the_command_writes_csv_by_default(fills: FillRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", fills.url)
    monkeypatch.setenv("TRADEWIRE_HOME", str(tmp_path))

    header, *lines = CliRunner().invoke(app, ["export", "trades", "--since", "2026-01-01T00:00Z"]).stdout.splitlines()
    [as_json] = (
        CliRunner().invoke(app, ["export", "fills", "--json", "--until", "2026-11-30T15:01Z"]).stdout.splitlines()
    )

    assert header.startswith("trade_id,executor_id,symbol,strategy,signal_id")
    assert len(lines) == 2
    assert json.loads(as_json)["fill_id"] == "0000"

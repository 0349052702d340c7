"""Control characters in foreign text never reach a terminal, a log line or a message."""

from __future__ import annotations

import ast
import io
import json
import logging
from contextlib import closing
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rich.console import Console

from config.logs import configure_logs
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.supervisor.console import print_line
from pipeline.entrypoints.terminal.screen import View, draw
from pipeline.model.reasons import sentence
from pipeline.model.texts import json_text, printable
from pipeline.monitoring.alerts.channels import send
from pipeline.monitoring.alerts.kinds import Severity
from pipeline.monitoring.alerts.messages import Message, UnreportedAlert, compose
from tests.integration.monitoring.receivers import Receiver
from tests.tools.sources import sources

# An escape sequence that clears the screen, a title for the window, C1, bidirectional marks, line ends, a tag.
HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\u202ee\u2066f\u200fg\r\nCRITICAL faked\x00\x7f\u2028h\U000e0041"


def acting(written: str) -> str:
    """Return the characters of some lines that a terminal does not print."""
    return "".join(mark for mark in written if not mark.isprintable() and mark != "\n")


@given(st.text())
def test_a_text_of_any_characters_prints_on_one_line(text: str) -> None:
    assert printable(text).isprintable()
    assert acting(printable(text, lines=True)).strip("\t") == ""
    assert json.loads(json_text({"text": text}, indent=2)) == {"text": text}
    assert acting(json_text({"text": text}, indent=2)) == ""


def test_words_of_other_languages_stay_as_they_are() -> None:
    assert printable("Überraschung → 株式 № 5") == "Überraschung → 株式 № 5"
    assert printable("12\u202f000\xa0€") == "12 000 €"


def test_a_command_prints_no_character_that_acts(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE, HOSTILE)
    echo(HOSTILE, err=True)
    echo_json({HOSTILE: HOSTILE})

    printed = capsys.readouterr()
    assert acting(printed.out + printed.err) == ""
    assert (printed.out.count("\n"), printed.err.count("\n")) == (2 + 3, 1)


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_log_line_has_no_character_that_acts(style: str) -> None:
    stream = io.StringIO()
    configure_logs(style, process="argo", stream=stream)  # type: ignore[arg-type]

    structlog.get_logger("x").warning(HOSTILE, job_id=HOSTILE, deep={"ids": [HOSTILE]})
    logging.getLogger("library").warning("job %s", HOSTILE)

    assert acting(stream.getvalue()) == ""
    assert stream.getvalue().count("\n") == 2


def test_a_traceback_has_no_character_that_acts() -> None:
    stream = io.StringIO()
    configure_logs("console", process="argo", stream=stream)

    def fail() -> None:
        raise ValueError(HOSTILE)

    try:
        fail()
    except ValueError:
        structlog.get_logger("x").exception("job.failed")

    assert acting(stream.getvalue()) == ""
    assert "Traceback" in stream.getvalue()


def test_the_lines_of_up_have_no_character_that_acts(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(HOSTILE)

    printed = capsys.readouterr().out
    assert (acting(printed), printed.count("\n")) == ("", 1)


def test_the_screen_of_top_has_no_character_that_acts() -> None:
    console = Console(file=io.StringIO(), width=300, force_terminal=False)

    console.print(draw(None, View(message=HOSTILE), width=300, height=20))

    assert isinstance(console.file, io.StringIO)
    assert acting(console.file.getvalue()) == ""


def test_a_message_about_an_alert_has_no_character_that_acts() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    alert = UnreportedAlert(
        kind="x", severity=Severity.CRITICAL, subject=HOSTILE, opened_at=now, over_at=None, opened_in=None
    )

    message = compose([alert])

    assert acting(message.title + message.body) == ""
    assert len(message.body.splitlines()) == 2


def test_a_message_is_sent_as_plain_text_without_a_character_that_acts() -> None:
    with closing(Receiver()) as receiver:
        sent = send(SecretStr(receiver.url), Message(title=HOSTILE, body=f"<b>\n{HOSTILE}", severity="critical"))

    assert sent
    (message,) = receiver.messages
    assert (acting(message["title"]), acting(message["message"])) == ("", "")


def test_a_reason_has_no_character_that_acts() -> None:
    assert acting(sentence("rejected_by_broker", {"message": HOSTILE})) == ""


def test_commands_print_through_one_module() -> None:
    others = [
        f"{source.name}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "typer.echo", "typer.secho", "click.echo", "rich.print")
    ]

    # `doctor --watch` clears the terminal.
    assert [where.partition(":")[0] for where in others] == [
        "pipeline/entrypoints/cli/doctor.py",
        *["pipeline/entrypoints/cli/output.py"] * 3,
    ]

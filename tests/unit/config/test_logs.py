from __future__ import annotations

import io
import json
import logging
import re
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from config.logs import MASK, configure_logs, masked, register_secret


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_process_and_event(stream: io.StringIO) -> None:
    configure_logs("json", process="argo", stream=stream)

    structlog.get_logger("workers.execution.runner").info("order.submitted", order_id="o-1", took_ms=1.5)

    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {
        "event": "order.submitted",
        "level": "info",
        "logger": "workers.execution.runner",
        "process": "argo",
        "order_id": "o-1",
        "took_ms": 1.5,
    }


def test_the_console_form_names_the_event_and_its_figures(stream: io.StringIO) -> None:
    configure_logs("console", process="argo", stream=stream)

    structlog.get_logger("x").warning("broker.lost", attempt=2)

    assert "broker.lost" in stream.getvalue()
    assert "attempt=2" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_librarys_logger_comes_through_the_same_form_once(stream: io.StringIO) -> None:
    library = logging.getLogger("rq.worker")
    library.addHandler(logging.StreamHandler(io.StringIO()))
    configure_logs("json", process="argo", stream=stream)

    library.warning("job %s stopped", "j-1", extra={"queue": "executor-argo"})

    (line,) = lines(stream)
    assert line["event"] == "job j-1 stopped"
    assert (line["logger"], line["level"], line["process"]) == ("rq.worker", "warning", "argo")
    assert line["queue"] == "executor-argo"


def test_lines_below_the_level_and_of_http_clients_are_not_written(stream: io.StringIO) -> None:
    configure_logs("json", process="argo", stream=stream)

    structlog.get_logger("x").debug("step.taken")
    logging.getLogger("httpx").info("HTTP Request: GET http://h/?key=x")

    assert stream.getvalue() == ""


def test_a_registered_secret_is_masked_in_every_place_of_a_line(stream: io.StringIO) -> None:
    configure_logs("json", process="argo", stream=stream)
    register_secret(SecretStr("hunter2"))

    try:
        int("hunter2")
    except ValueError:
        structlog.get_logger("x").exception("login with hunter2", at=["hunter2"], deep={"why": "is hunter2"})
    logging.getLogger("library").error("sent %s", "hunter2")

    assert "hunter2" not in stream.getvalue()
    assert "ValueError: invalid literal for int() with base 10: '***'" in lines(stream)[0]["exception"]


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_shows_no_local_variables(stream: io.StringIO, style: Any) -> None:
    configure_logs(style, process="argo", stream=stream)
    password = "correct-horse"

    try:
        int(password[:7])
    except ValueError:
        structlog.get_logger("x").exception("job.failed")

    assert "ValueError" in stream.getvalue()
    assert "correct-horse" not in stream.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "ARGO_API_KEY",
        "apikey",
        "APCA-API-SECRET-KEY",
        "password",
        "token",
        "api_token",
        "Authorization",
    ],
)
def test_a_value_named_like_a_secret_is_masked_whole(name: str) -> None:
    assert masked({name: "value"}) == {name: MASK}


@pytest.mark.parametrize("name", ["key", "order_id", "source_id", "client_order_id", "took_ms", "tokenizer"])
def test_a_value_with_an_ordinary_name_is_not_masked(name: str) -> None:
    assert masked({name: "value"}) == {name: "value"}


def test_the_password_of_an_address_is_masked_and_the_rest_stays() -> None:
    text = "cannot reach postgresql://user:pw@db.example:5432/name"

    assert masked(text) == "cannot reach postgresql://user:***@db.example:5432/name"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://h/d?user=u&password=pw&sslpassword=p2", "postgresql://h/d?user=u&password=***&sslpassword=***"),
        ("redis://h/0?password=pw&db=1", "redis://h/0?password=***&db=1"),
        ("postgresql://u:p[w]?#@h/d", "postgresql://u:***@h/d"),
    ],
)
def test_the_passwords_in_the_query_of_an_address_are_masked(address: str, shown: str) -> None:
    assert masked(f"record {address} is away") == f"record {shown} is away"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:ge#he?im[n]is@h/d",
        "postgresql://h/d?password=ge#he?im[n]is",
        "redis://h?pass%77ord=ge#he?im[n]is",
    ],
)
def test_registering_an_address_masks_every_password_in_it(address: str) -> None:
    register_secret(address)

    assert masked("it says ge#he?im[n]is here") == "it says *** here"


def test_registering_an_address_masks_its_password_alone_in_both_spellings() -> None:
    register_secret("postgresql://user:p%40ssword@db.example/name")

    assert masked("p%40ssword or p@ssword at db.example") == "*** or *** at db.example"


def test_a_longer_secret_is_masked_whole_even_when_it_holds_a_shorter_one() -> None:
    register_secret("abcd")
    register_secret("abcd-efgh")

    assert masked("abcd-efgh") == MASK


def test_a_value_too_short_to_be_told_from_words_is_not_registered() -> None:
    register_secret("a")
    register_secret(None)

    assert masked("a cat") == "a cat"


def test_bound_context_is_on_every_line(stream: io.StringIO) -> None:
    configure_logs("json", process="argo", stream=stream)

    with structlog.contextvars.bound_contextvars(execution_id="e-1"):
        structlog.get_logger("x").info("execution.taken")

    assert lines(stream)[0]["execution_id"] == "e-1"


def test_a_long_text_is_cut_and_no_part_of_a_secret_is_left_where_it_was_cut() -> None:
    secret = "s3cr3t-" * 40
    register_secret(secret)

    for before in range(9_700, 10_001, 60):
        text = masked("a" * before + secret + "b" * 200_000 + secret + "c" * before)

        assert len(text) < 21_000
        assert "s3cr3t" not in text
        assert text.startswith("aaa")
        assert text.endswith("ccc")

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.intake.sources import reading
from pipeline.intake.sources.reading import ParsedLine, bounded_lines, read_signals

BUY = {"symbol": "AAPL", "action": "BUY"}
SELL = {"symbol": "MSFT", "action": "SELL"}


def read(text: str | bytes) -> list[ParsedLine]:
    content = text.encode() if isinstance(text, str) else text
    return list(read_signals(content.splitlines(keepends=True)))


def good(line: int, value: dict[str, Any]) -> ParsedLine:
    return ParsedLine(line=line, value=value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(json.dumps(BUY), [good(1, BUY)], id="one object"),
        pytest.param(f"{json.dumps(BUY)}\n{json.dumps(SELL)}\n", [good(1, BUY), good(2, SELL)], id="lines"),
        pytest.param(f"\n{json.dumps(BUY)}\r\n \n{json.dumps(SELL)}", [good(2, BUY), good(4, SELL)], id="gaps"),
        pytest.param(json.dumps([BUY, SELL]), [good(1, BUY), good(1, SELL)], id="array on a line"),
        pytest.param(json.dumps(BUY, indent=2), [good(1, BUY)], id="object over lines"),
        pytest.param(json.dumps([BUY, SELL], indent=2), [good(2, BUY), good(6, SELL)], id="array over lines"),
        pytest.param(f"[\n{json.dumps(BUY)},\n\n{json.dumps(SELL)}\n]", [good(2, BUY), good(4, SELL)], id="rows"),
        pytest.param(f"\ufeff{json.dumps(BUY)}", [good(1, BUY)], id="byte order mark"),
        pytest.param('{"strategy": "a } in [ a \\" text"\n}', [good(1, {"strategy": 'a } in [ a " text'})], id="text"),
        pytest.param("[]", [], id="empty array"),
        pytest.param("[\n]\n", [], id="empty array over lines"),
        pytest.param(" \n\n", [], id="nothing"),
    ],
)
def test_an_object_an_array_and_lines_are_understood(text: str, expected: list[ParsedLine]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "bad",
    [
        "not json",
        '{"symbol": "AAPL", "act',
        '{"symbol": "AAPL", ',
        '{"symbol":',
        '[{"symbol": "AAPL"},',
        "{",
        "[",
        "}",
        "]",
        '{"a": 1}]',
        '{"a": 1} {"b": 2}',
        "[1 2]",
        "'single'",
        '"text"',
        "17",
        "null",
        "true",
        '[["nested"]]',
        '{"entry_price": NaN}',
        '{"entry_price": -Infinity}',
        '{"entry_price": 1e99999999999999999999}',
        '{"confidence": ' + "9" * 5000 + "}",
        '{"action": "BUY", "action": "SELL"}',
        '{"executors": {"a": 1, "a": 2}}',
        '{"strategy": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_a_bad_line_is_one_error_and_the_lines_around_it_count(bad: str) -> None:
    before, result, *after = read(f"{json.dumps(BUY)}\n{bad}\n{json.dumps(SELL)}\n{json.dumps(BUY)}\n")

    assert before == good(1, BUY)
    assert (result.line, result.value) == (2, None)
    assert result.error
    assert after == [good(3, SELL), good(4, BUY)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense", "not JSON: Expecting value"),
        ('{"a": 1} x', "not JSON: more text after the end of the value"),
        ("[{}] x", "not JSON: more text after the end of the array"),
        ("[{} {}]", "not JSON: expecting ',' or ']' after an element"),
        ('"x"', "a signal is a JSON object, not a text"),
        ("1.5", "a signal is a JSON object, not a number"),
        ('{"a": NaN}', "NaN is not a number that JSON or a price can be"),
        ('{"a": [-Infinity]}', "-Infinity is not a number that JSON or a price can be"),
        ('{"a": 1, "a": 1}', "'a' is given more than once"),
        ('{"a": {"b": "\\udc00"}}', "a text holds half of a character (a lone surrogate)"),
        ('{"a": "\n"}', "not JSON: Unterminated string starting at"),
        ('{\n"a": 1,\n"b": x\n}', "not JSON: Expecting value (line 3)"),
        ('{\n"a": 1,\n', "not JSON: it ends too early (line 2)"),
        ("[", "not JSON: it ends too early"),
        ("[" * 100_000 + "]" * 100_000, "not a signal: nested too deeply"),
    ],
)
def test_an_error_says_what_is_wrong(text: str, error: str) -> None:
    assert error == read(text)[0].error


def test_invalid_utf8_is_an_error_of_its_line() -> None:
    results = read(b'{"symbol": "AAPL\xff"}\n' + json.dumps(BUY).encode())

    assert results == [ParsedLine(line=1, error="not UTF-8: byte 17 cannot be read"), good(2, BUY)]


def test_a_document_that_is_cut_off_is_one_error_and_none_of_it_counts() -> None:
    text = f"[\n{json.dumps(BUY)},\n{json.dumps(SELL)}\n"

    assert read(text) == [ParsedLine(line=1, error="not JSON: it ends too early (line 3)")]


@pytest.mark.parametrize("cut", ['{"symbol": "MSFT", "action":', "{", '{"symbol": "MSFT",'])
def test_a_first_line_that_is_cut_off_hides_no_line_after_it(cut: str) -> None:
    bad, *after = read(f"{cut}\n{json.dumps(SELL)}\n{json.dumps(BUY)}\n")

    assert (bad.line, bad.value) == (1, None)
    assert bad.error
    assert after == [good(2, SELL), good(3, BUY)]


def test_an_array_that_is_cut_off_in_a_stream_hides_only_its_own_line() -> None:
    bad, *after = read(f'[{{"symbol":\n{json.dumps(SELL)}\n{json.dumps(BUY)}\n{json.dumps(SELL)}\n')

    assert bad.error
    assert after == [good(2, SELL), good(3, BUY), good(4, SELL)]


@pytest.mark.parametrize("cut", ['[{"symbol":', '[{"symbol": "AAPL",', '[{"symbol": "AAPL"}, {'])
def test_an_array_that_is_cut_off_in_an_element_does_not_hide_the_only_line_after_it(cut: str) -> None:
    bad, *after = read(f"{cut}\n{json.dumps(SELL)}\n")

    assert bad == ParsedLine(line=1, error="not JSON: it ends too early")
    assert after == [good(2, SELL)]


def test_blank_lines_between_the_lines_after_an_array_that_is_cut_off_hide_none() -> None:
    bad, *after = read(f'[{{"symbol": "AAPL"}},\n{json.dumps(SELL)}\n\n{json.dumps(BUY)}\n \n{json.dumps(SELL)}\n')

    assert bad.error
    assert after == [good(2, SELL), good(4, BUY), good(6, SELL)]


def test_lines_after_a_first_line_that_is_cut_off_are_given_while_the_stream_is_open() -> None:
    def stream() -> Iterator[bytes]:
        yield b'{"symbol": "MSFT", "action":\n'
        yield json.dumps(SELL).encode() + b"\n"
        pytest.fail("the exit was not given before the next line was read")

    signals = read_signals(stream())
    bad, exit_ = next(signals), next(signals)

    assert bad.error
    assert exit_ == good(2, SELL)


def test_lines_after_a_document_are_read() -> None:
    assert read(f"{json.dumps(BUY, indent=2)}\n{json.dumps(SELL)}\n{json.dumps(BUY)}\n")[1:] == [
        good(len(BUY) + 3, SELL),
        good(len(BUY) + 4, BUY),
    ]


def test_one_line_after_an_array_is_a_signal_of_its_own() -> None:
    array = f"[\n{json.dumps(BUY)},\n{json.dumps(SELL)}\n]\n"

    assert read(array + json.dumps(SELL)) == [good(2, BUY), good(3, SELL), good(5, SELL)]


def test_documents_over_lines_may_follow_each_other() -> None:
    documents = [json.dumps(each, indent=2) for each in (BUY, [SELL, BUY], SELL)]

    assert [each.value for each in read("\n".join(documents))] == [BUY, SELL, BUY, SELL]
    assert [each.value for each in read(f"{json.dumps(BUY)}\n\n{documents[1]}\n{json.dumps(SELL)}")] == [
        BUY,
        SELL,
        BUY,
        SELL,
    ]


@pytest.mark.parametrize("before", ["", json.dumps(BUY) + "\n"])
@pytest.mark.parametrize("cut", ['{"symbol": "MSFT", "action":', "{", '  {"symbol": "MSFT",'])
@pytest.mark.parametrize("after", [[SELL], [SELL, BUY, SELL]])
def test_indented_lines_after_one_that_is_cut_off_are_not_hidden(before: str, cut: str, after: list[Any]) -> None:
    rows = "".join(f"  {json.dumps(each)}\n" for each in after)

    *_, bad = read(f"{before}{cut}\n{rows}")[: -len(after)]

    assert bad.value is None
    assert [each.value for each in read(f"{before}{cut}\n{rows}")[-len(after) :]] == after


@pytest.mark.parametrize(
    "text",
    [
        f'{{"legs": [\n  {json.dumps(BUY)},\n  {json.dumps(SELL)}\n]}}',
        f'{{"legs": [\n  {json.dumps(SELL)}\n]}}\n',
        f'{{"x":\n  {json.dumps(SELL)}\n}}',
        f'{{"legs": [\n  {json.dumps(BUY)},\n  {json.dumps(SELL)}\n',
    ],
)
def test_the_objects_in_a_document_are_no_signals_of_their_own(text: str) -> None:
    (only,) = read(text)

    assert only.value not in (BUY, SELL)


def test_what_cannot_be_read_is_given_with_its_text() -> None:
    cut, twice, other = read('{"action": "SELL",\n}\n[{"a": 1, "a": 1}, 5]\n')
    strange = read(b'{"action": "SELL\xff"}\n' + '{"action": "CLOSE"}'.encode("utf-16"))

    assert (cut.text, twice.text, other.text) == ('{"action": "SELL",\n}', '{"a": 1, "a": 1}, ', "5]")
    assert [("SELL" in str(each.text), "CLOSE" in str(each.text)) for each in strange] == [(True, False), (False, True)]
    assert read(json.dumps(BUY))[0].text is None


@pytest.mark.parametrize("document", [SELL, [SELL], SELL | {"strategy": "a } in [ a text"}])
def test_a_document_over_lines_is_given_while_the_stream_is_open(document: Any) -> None:
    def stream() -> Iterator[bytes]:
        yield from json.dumps(document, indent=2).encode().splitlines(keepends=True)
        pytest.fail("the exit was not given before the next line was read")

    exit_ = next(read_signals(stream())).value
    assert exit_ is not None
    assert exit_["action"] == "SELL"


def test_lines_after_a_document_that_is_too_long_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.intake.sources.reading.LONGEST", 200)
    results = read("[\n" + "1,\n" * 150 + json.dumps(SELL) + "\n")

    assert "longer than 200 bytes" in str(results[0].error)
    assert results[-1].value == good(1, SELL).value


def test_an_element_that_is_no_object_does_not_spoil_its_neighbours() -> None:
    first, second, third = read(f'[{json.dumps(BUY)},\n7,\n{{"a": NaN}}]')

    assert first == good(1, BUY)
    assert second == ParsedLine(line=2, error="a signal is a JSON object, not a number")
    assert third.line == 3


def test_decimals_are_kept_as_written() -> None:
    (result,) = read('{"entry_price": 0.10, "confidence": 98, "quantity": 1e-3}')

    assert result.value == {"entry_price": Decimal("0.10"), "confidence": 98, "quantity": Decimal("0.001")}
    assert str(result.value["entry_price"]) == "0.10"


def test_a_line_is_given_as_soon_as_it_is_complete() -> None:
    def lines() -> Any:
        yield json.dumps(BUY).encode()
        pytest.fail("a second line was asked for")

    assert next(read_signals(lines())) == good(1, BUY)


def test_an_overlong_line_is_an_error_and_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 64)
    stream = io.BytesIO(b'{"strategy": "' + b"x" * 1000 + b'"}\n' + json.dumps(BUY).encode() + b"\n")

    lines = list(bounded_lines(stream))

    assert max(map(len, lines)) == 65
    assert list(read_signals(lines)) == [ParsedLine(line=1, error="longer than 64 bytes"), good(2, BUY)]


def test_an_overlong_document_over_lines_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 64)

    first, *_ = read(json.dumps([BUY] * 20, indent=2))

    assert first == ParsedLine(line=1, error="longer than 64 bytes")


def test_an_overlong_last_line_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 64)

    lines = list(bounded_lines(io.BytesIO(b"x" * 200)))

    assert list(read_signals(lines)) == [ParsedLine(line=1, error="longer than 64 bytes")]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_to_the_end_without_an_exception(content: bytes) -> None:
    for result in read(content):
        assert (result.value is None) != (result.error is None)


@given(st.text(alphabet='[]{},:"\\ \nab1.e-', max_size=80))
def test_any_brackets_and_quotes_are_read_without_an_exception(text: str) -> None:
    assert all(result.line <= text.count("\n") + 1 for result in read(text))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=4)


@given(signals=st.lists(objects, max_size=5), indent=st.sampled_from([None, 0, 2]))
def test_an_array_that_json_writes_is_read_back(signals: list[dict[str, Any]], indent: int | None) -> None:
    assert [result.value for result in read(json.dumps(signals, indent=indent))] == signals


@given(signals=st.lists(objects, max_size=5))
def test_lines_that_json_writes_are_read_back(signals: list[dict[str, Any]]) -> None:
    assert [result.value for result in read("\n".join(map(json.dumps, signals)))] == signals


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_price_written_by_python_is_read_back_exactly(price: float) -> None:
    (result,) = read(json.dumps({"entry_price": price}))

    assert result.value is not None
    assert math.isclose(float(result.value["entry_price"]), price, rel_tol=0)

"""Read signals out of lines of bytes: JSON lines, an object or an array, going on after what is bad."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.intake.sources.strict_json import BLANK, NotJson, decode

#: Bytes of one line, or of one document over several. A signal has a few hundred; an array holds many.
LONGEST = 8 * 1024 * 1024

_BLANK = BLANK.encode()
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[\]{}]")


@dataclass(frozen=True, kw_only=True)
class ParsedLine:
    """What stood on a line: a JSON object in *value*, or in *error* a sentence about what is wrong.

    *line* counts from 1; for an element of an array it is where the element begins.
    """

    line: int
    value: dict[str, Any] | None = None
    error: str | None = None


def read_signals(lines: Iterable[bytes]) -> Iterator[ParsedLine]:
    """Yield what *lines* hold, each as soon as it is complete; blank lines hold nothing.

    A document may go over several lines; one that is cut off is one error, and none of it counts.
    """
    return _Reader().read(lines)


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*, an overlong one cut off just beyond `LONGEST`, so that memory holds it."""
    while line := stream.readline(LONGEST + 1):
        yield line
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST + 1)


@dataclass(frozen=True, kw_only=True)
class _Line:
    number: int
    content: bytes


class _Document:
    """Lines of a document that has begun and may not be complete."""

    def __init__(self, first: _Line) -> None:
        self.lines: list[_Line] = []
        self.size = 0
        self._open = bytearray()
        self._last = b""
        self.add(first)

    @property
    def complete(self) -> bool:
        """Whether every bracket is closed. Counted, so that a long document is decoded once only."""
        return not self._open

    def add(self, line: _Line) -> None:
        self.lines.append(line)
        self.size += len(line.content)
        # No string of JSON goes over the end of a line.
        bare = _STRING.sub(b'""', line.content).strip(_BLANK)
        for bracket in _BRACKET.findall(bare):
            if bracket in b"[{":
                self._open += bracket
            elif self._open:
                self._open.pop()
        self._last = bare[-1:]

    def goes_on_with(self, line: _Line) -> bool:
        """Say whether *line* can belong to this document.

        An object all on a line of its own can be an element of an open array, after a bracket or a comma.
        Anywhere else it shows that this was a broken line among JSON lines.
        """
        text = line.content.strip(_BLANK)
        if text.startswith(b"{") and text.endswith(b"}"):
            return self._open.endswith(b"[") and self._last in {b"[", b","}
        return True


class _Reader:
    def __init__(self) -> None:
        self._document: _Document | None = None

    def read(self, lines: Iterable[bytes]) -> Iterator[ParsedLine]:
        for number, content in enumerate(lines, start=1):
            whole = content.removeprefix(_BYTE_ORDER_MARK) if number == 1 else content
            yield from self._take(_Line(number=number, content=whole.rstrip(b"\r\n")))
        if self._document is not None:
            yield _cut_off(self._document)

    def _take(self, line: _Line) -> Iterator[ParsedLine]:
        document, self._document = self._document, None
        if not line.content.strip(_BLANK):
            self._document = document
        elif document is None:
            yield from self._begin(line)
        elif not document.goes_on_with(line):
            for earlier in document.lines:
                yield from _alone(earlier)
            yield from self._begin(line)
        else:
            document.add(line)
            yield from self._go_on(document)

    def _begin(self, line: _Line) -> Iterator[ParsedLine]:
        document = _Document(line)
        if document.size > LONGEST:
            yield _too_long(document)
            return
        try:
            yield from _decode(document)
        except NotJson as fault:
            if fault.unfinished:
                self._document = document
            else:
                yield ParsedLine(line=line.number, error=str(fault))

    def _go_on(self, document: _Document) -> Iterator[ParsedLine]:
        if document.size > LONGEST:
            yield _too_long(document)
        elif document.complete:
            try:
                yield from _decode(document)
            except NotJson as fault:
                yield ParsedLine(line=document.lines[0].number, error=str(fault))
        else:
            self._document = document


def _alone(line: _Line) -> Iterator[ParsedLine]:
    """Yield what *line* holds when no other belongs to it."""
    document = _Document(line)
    try:
        yield from _decode(document)
    except NotJson as fault:
        yield _cut_off(document) if fault.unfinished else ParsedLine(line=line.number, error=str(fault))


def _decode(document: _Document) -> Iterator[ParsedLine]:
    """Yield what *document* holds.

    Raises:
        NotJson: Before anything is yielded; the message names the line when there are several.
    """
    first = document.lines[0].number
    try:
        text = b"\n".join(line.content for line in document.lines).decode()
    except UnicodeDecodeError as exc:
        yield ParsedLine(line=first, error=f"not UTF-8: byte {exc.start + 1} cannot be read")
        return
    body = text.strip(BLANK)
    margin = text.index(body)

    def line_at(offset: int) -> int:
        return document.lines[text.count("\n", 0, margin + offset)].number

    try:
        elements = decode(body)
    except NotJson as fault:
        where = f" (line {line_at(fault.offset)})" if len(document.lines) > 1 else ""
        message = f"{fault}{where}"
        raise NotJson(message, offset=fault.offset, unfinished=fault.unfinished) from None
    for element in elements:
        yield ParsedLine(line=line_at(element.offset), value=element.value, error=element.error)


def _cut_off(document: _Document) -> ParsedLine:
    count = len(document.lines)
    span = "the line" if count == 1 else f"the document of {count} lines"
    return ParsedLine(line=document.lines[0].number, error=f"not JSON: {span} ends too early")


def _too_long(document: _Document) -> ParsedLine:
    return ParsedLine(line=document.lines[0].number, error=f"longer than {LONGEST} bytes")

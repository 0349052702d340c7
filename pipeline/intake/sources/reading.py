"""Read signals from lines of bytes: one JSON document, or JSON lines."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.intake.sources.strict_json import BLANK, NotJson, decode

#: Bytes of one line, or of one document over several. A signal has a few hundred; an array holds many.
LONGEST = 8 * 1024 * 1024

_BLANK = BLANK.encode()
# Some editors write it at the beginning of a file; JSON does not allow it.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A text that does not end is matched to the end of the line: a search would begin anew at each of its quotes.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class ParsedLine:
    """One JSON object in *value*, or in *error* a sentence about what is wrong.

    *line* counts from 1. For an element of an array it is the line on which the element begins.
    """

    line: int
    value: dict[str, Any] | None = None
    error: str | None = None


def read_signals(lines: Iterable[bytes]) -> Iterator[ParsedLine]:
    """Yield the objects of *lines*, and an error for each line or array element that is none; skip blank lines.

    Each line is an object or an array of its own and is yielded before the next one is read. When the first line is
    the beginning of an object or an array that goes on, the lines up to its end are one document. A first line that
    was cut off does not hide the lines after it: whole objects show that they are lines of their own.
    """
    numbered = _numbered(lines)
    first = True
    for number, line in numbered:
        if not line.strip(_BLANK):
            continue
        parsed, unfinished = _parse(number, line)
        if first and unfinished:
            yield from _document(number, line, numbered)
        else:
            yield from parsed
        first = False


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*, an overlong one cut off just beyond `LONGEST`, so that memory holds it."""
    while line := stream.readline(LONGEST + 1):
        yield line
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST + 1)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=1):
        yield number, (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")


def _document(first_line: int, content: bytes, numbered: Iterator[tuple[int, bytes]]) -> Iterator[ParsedLine]:
    """Yield the document that begins with *content*, and the lines that show that it had ended before them."""
    parts, size, after, depth = [content], len(content), list[ParsedLine](), _depth(content)
    # An element of an array may be a line of its own, but two of them in a row would need a comma.
    enough = 2 if content.lstrip(_BLANK).startswith(b"[") and depth == 1 else 1
    end = len(parts)
    for number, line in numbered:
        whole = _parse(number, line)[0] if line.startswith(b"{") else []
        if whole and whole[0].error is None:
            after += whole
        elif line.strip(_BLANK):
            after = []
        parts.append(line)
        size += len(line)
        depth += _depth(line)
        end = end if after else len(parts)
        # The document ends with its last bracket. A longer one is refused. The text after it is read line by line.
        if (depth <= 0 and not after) or len(after) == enough or size > LONGEST:
            break
    if len(after) < enough:
        end, after = len(parts), []
    yield from _parse(first_line, b"\n".join(parts[:end]))[0]
    yield from after


def _depth(line: bytes) -> int:
    """Return how many brackets *line* opens minus those that it closes. A text of JSON never spans two lines."""
    bare = _STRING.sub(b"", line)
    return sum(bare.count(opened) for opened in (b"[", b"{")) - sum(bare.count(closed) for closed in (b"]", b"}"))


def _parse(first_line: int, content: bytes) -> tuple[list[ParsedLine], bool]:
    """Return the objects and errors in *content*, and whether it is JSON that ends too early."""
    if len(content) > LONGEST:
        return [ParsedLine(line=first_line, error=f"longer than {LONGEST} bytes")], False
    try:
        text = content.decode()
        elements = decode(text)
    except UnicodeDecodeError as exc:
        return [ParsedLine(line=first_line, error=f"not UTF-8: byte {exc.start + 1} cannot be read")], False
    except NotJson as fault:
        inner = text.count("\n", 0, fault.offset)
        where = f" (line {first_line + inner})" if inner else ""
        return [ParsedLine(line=first_line, error=f"{fault}{where}")], fault.unfinished
    return [
        ParsedLine(line=first_line + text.count("\n", 0, each.offset), value=each.value, error=each.error)
        for each in elements
    ], False

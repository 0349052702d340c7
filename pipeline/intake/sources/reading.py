"""Read signals from lines of bytes: one JSON document, or JSON lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.intake.sources.strict_json import BLANK, NotJson, decode

#: Bytes of one line, or of one document over several. A signal has a few hundred; an array holds many.
LONGEST = 8 * 1024 * 1024

_BLANK = BLANK.encode()
# Some editors write it at the beginning of a file; JSON does not allow it.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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

    Each line is an object or an array of its own and is yielded before the next one is read. Only when the first
    line is the beginning of an object or an array that goes on, all lines together are one document.
    """
    numbered = enumerate(lines, start=1)
    first = True
    for number, line in numbered:
        content = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")
        if not content.strip(_BLANK):
            continue
        parsed, unfinished = _parse(number, content)
        if first and unfinished:
            yield from _parse(number, _joined(content, (rest for _, rest in numbered)))[0]
            return
        yield from parsed
        first = False


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*, an overlong one cut off just beyond `LONGEST`, so that memory holds it."""
    while line := stream.readline(LONGEST + 1):
        yield line
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST + 1)


# Stops beyond the limit: a document that is too long is refused anyway.
def _joined(content: bytes, lines: Iterable[bytes]) -> bytes:
    parts, size = [content], len(content)
    for line in lines:
        parts.append(line.rstrip(b"\r\n"))
        size += len(line)
        if size > LONGEST:
            break
    return b"\n".join(parts)


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

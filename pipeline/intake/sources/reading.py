"""Read signals from lines of bytes: one JSON document, or JSON lines."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pipeline.intake.sources.strict_json import BLANK, NotJson, decode

#: The most bytes of one line, or of one document over several lines. A signal has a few hundred, an array far more.
LONGEST = 8 * 1024 * 1024

_MOST_TEXT = 64 * 1024

_BLANK = BLANK.encode()
# Some editors write it at the beginning of a file; JSON does not allow it.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A string without a closing quote is matched to the end of the line; otherwise the search would begin again at each
# quote.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class ParsedLine:
    """One JSON object in *value*, or a sentence in *error* that says why there is none.

    *line* counts from 1. For an element of an array it is the line on which the element begins. Beside an *error*,
    *text* is the text that was read, at most the first 65,536 characters or bytes.
    """

    line: int
    value: dict[str, Any] | None = None
    error: str | None = None
    text: str | None = field(default=None, compare=False)


def read_signals(lines: Iterable[bytes]) -> Iterator[ParsedLine]:
    """Yield the objects of *lines*, and an error for each line or array element that is not an object.

    Blank lines are skipped. A line that is a whole object or array is yielded before the next line is read. If one
    begins on a line and goes on, the lines up to its end are one document. A line that was cut off does not swallow the
    lines after it: whole objects on them are recognised as lines of their own.
    """
    numbered = _numbered(lines)
    first = True
    for number, line in numbered:
        if not line.strip(_BLANK):
            continue
        parsed, unfinished = _parse(number, line)
        yield from _document(number, line, numbered, first=first) if unfinished else parsed
        first = False


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*. A line longer than `LONGEST` is cut off just beyond it, to limit the memory."""
    while line := stream.readline(LONGEST + 1):
        yield line
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST + 1)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=1):
        yield number, (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")


def _document(
    first_line: int, content: bytes, numbered: Iterator[tuple[int, bytes]], *, first: bool
) -> Iterator[ParsedLine]:
    """Yield the document that begins with *content*, and then the lines which show that it ended before them.

    *first* is True if no line was read before the document.
    """
    parts, size, after, depth = [content], len(content), list[ParsedLine](), _depth(content)
    of_rows = content.lstrip(_BLANK).startswith(b"[") and depth == 1
    end, needed, mixed = len(parts), 1, False
    for number, line in numbered:
        whole = _whole_object(number, line)
        if whole is not None:
            after.append(whole)
            # A whole object may be a part of the document if it is a row of an array, or indented. Two such lines in a
            # row are not a part of it, since a comma would have to separate them.
            needed = 2 if (first and of_rows) or line[:1] in _BLANK else 1
        elif line.strip(_BLANK):
            after, mixed = [], True
        parts.append(line)
        size += len(line)
        depth += _depth(line)
        end = end if after else len(parts)
        # The document ends with its last bracket; one longer than `LONGEST` is refused. The text after the document is
        # read line by line.
        if (depth <= 0 and not after) or len(after) >= needed or size > LONGEST:
            break
    else:
        # The input ended before the document did. If only whole objects follow its first line, even a single one shows
        # that the first line was cut off.
        needed = 2 if mixed or of_rows else 1
    if len(after) < needed:
        end, after = len(parts), []
    yield from _parse(first_line, b"\n".join(parts[:end]))[0]
    yield from after


def _whole_object(number: int, line: bytes) -> ParsedLine | None:
    """Return the object if *line* is exactly one object, else None."""
    if not line.lstrip(_BLANK).startswith(b"{"):
        return None
    (parsed, *_), _ = _parse(number, line)
    return parsed if parsed.error is None else None


def _depth(line: bytes) -> int:
    """Return how many brackets *line* opens minus those that it closes. A JSON string never spans two lines."""
    bare = _STRING.sub(b"", line)
    return sum(bare.count(opened) for opened in (b"[", b"{")) - sum(bare.count(closed) for closed in (b"]", b"}"))


def _parse(first_line: int, content: bytes) -> tuple[list[ParsedLine], bool]:
    """Return the objects and errors in *content*, and whether it is JSON that ends too early."""
    if len(content) > LONGEST:
        return [_error(first_line, f"longer than {LONGEST} bytes", content)], False
    try:
        text = content.decode()
        elements = decode(text)
    except UnicodeDecodeError as exc:
        return [_error(first_line, f"not UTF-8: byte {exc.start + 1} cannot be read", content)], False
    except NotJson as fault:
        inner = text.count("\n", 0, fault.offset)
        where = f" (line {first_line + inner})" if inner else ""
        return [_error(first_line, f"{fault}{where}", content)], fault.unfinished
    ends = [*(each.offset for each in elements[1:]), len(text)]
    return [
        ParsedLine(
            line=first_line + text.count("\n", 0, each.offset),
            value=each.value,
            error=each.error,
            text=None if each.error is None else text[each.offset : end][:_MOST_TEXT],
        )
        for each, end in zip(elements, ends, strict=False)
    ], False


def _error(line: int, error: str, content: bytes) -> ParsedLine:
    # Without its zero bytes, the text of a UTF-16 file is readable, too.
    text = content[:_MOST_TEXT].decode("utf-8", "replace").replace("\x00", "")
    return ParsedLine(line=line, error=error, text=text)

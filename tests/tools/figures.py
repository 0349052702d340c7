"""Print figures about the product's code: `make figures`. `--check` exits with 1 if one is beyond its limit."""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from tests.tools.sources import Function, Source, sources

FILE_MEDIAN = 100
FILE_MAXIMUM = 250
FUNCTION_P90 = 15
FUNCTION_MAXIMUM = 40
COMMENTS_PER_100 = (3.0, 6.0)


@dataclass(frozen=True, kw_only=True)
class Size:
    """The number of lines of a file or function, and its place."""

    lines: int
    where: str

    def __str__(self) -> str:
        return f"{self.where} has {self.lines} lines"


class Figures:
    """The figures of config, pipeline and workers."""

    def __init__(self, files: tuple[Source, ...]) -> None:
        self._files = files

    @cached_property
    def files(self) -> list[Size]:
        """The lines of each file, without empty files, which only mark packages."""
        return [Size(lines=len(file.text.splitlines()), where=file.name) for file in self._files if file.text.strip()]

    @cached_property
    def functions(self) -> list[Size]:
        """The lines of each function's body, without its docstring."""
        return [
            Size(lines=body_lines(function), where=_place(file, function))
            for file in self._files
            for function in file.functions()
        ]

    @cached_property
    def untyped(self) -> list[str]:
        """The functions that have an argument or a result without a type."""
        return [_place(file, one) for file in self._files for one in file.functions() if not fully_typed(one)]

    @property
    def typed_percent(self) -> float:
        """The share of functions whose arguments and result all have types."""
        return 100 * (1 - len(self.untyped) / len(self.functions))

    @property
    def total_lines(self) -> int:
        """The lines of all files."""
        return sum(size.lines for size in self.files)

    @cached_property
    def comments_per_100(self) -> float:
        """The lines with a comment, per 100 lines."""
        return 100 * sum(map(comment_lines, self._files)) / self.total_lines

    @cached_property
    def repeated_classes(self) -> dict[str, list[str]]:
        """The public class names with more than one definition, and their places."""
        places: dict[str, list[str]] = defaultdict(list)
        for file in self._files:
            for node in ast.walk(file.tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{file.name}:{node.lineno}")
        return {name: found for name, found in sorted(places.items()) if len(found) > 1}

    @cached_property
    def row_reads(self) -> list[str]:
        """The reads of `row["..."]` outside pipeline/store."""
        return [
            f"{file.name}:{node.lineno}"
            for file in self._files
            if not file.name.startswith("pipeline/store/")
            for node in ast.walk(file.tree)
            if _reads_row(node)
        ]

    def beyond_limits(self) -> list[str]:
        """Return every figure that is beyond its limit, with the places to look at."""
        low, high = COMMENTS_PER_100
        faults = [f"file: {size}, at most {FILE_MAXIMUM}" for size in self.files if size.lines > FILE_MAXIMUM]
        faults += [
            f"function: {size}, at most {FUNCTION_MAXIMUM}" for size in self.functions if size.lines > FUNCTION_MAXIMUM
        ]
        faults += [f"untyped function: {place}" for place in self.untyped]
        faults += [f"class {name}: {', '.join(found)}" for name, found in self.repeated_classes.items()]
        if (median := statistics.median(size.lines for size in self.files)) > FILE_MEDIAN:
            faults.append(f"the median file has {median:g} lines, at most {FILE_MEDIAN}")
        if (p90 := percentile(self.functions, 90)) > FUNCTION_P90:
            faults.append(f"of ten functions one has a body of more than {p90} lines, at most {FUNCTION_P90}")
        if not low <= self.comments_per_100 <= high:
            faults.append(f"{self.comments_per_100:.2f} comment lines per 100 lines, {low:g} to {high:g}")
        return faults

    def report(self) -> str:
        """Return all figures as text."""
        rows = [
            ("total lines", f"{self.total_lines} in {len(self.files)} files"),
            ("file lines", _spread(self.files)),
            ("function body lines", _spread(self.functions)),
            ("functions fully typed", f"{self.typed_percent:.2f} % of {len(self.functions)}"),
            ("comment lines per 100", f"{self.comments_per_100:.2f}"),
            ("public class names twice", ", ".join(self.repeated_classes) or "none"),
            ('row["..."] outside store', f"{len(self.row_reads)}"),
        ]
        return "\n".join(f"{name:26}{value}" for name, value in rows)


def figures() -> Figures:
    """Return the figures of the product as it is now."""
    return Figures(sources())


def body_lines(function: Function) -> int:
    """Return the lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def fully_typed(function: Function) -> bool:
    """Return whether every argument, apart from self and cls, and the result have a type."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    if named and named[0].arg in ("self", "cls"):
        named = named[1:]
    extra = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return function.returns is not None and all(one.annotation for one in [*named, *arguments.kwonlyargs, *extra])


def comment_lines(file: Source) -> int:
    """Return the number of lines with a comment; comments for tools (noqa, type, fmt) do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(file.text).readline)
    comments = [token.string.lstrip("#: ") for token in tokens if token.type == tokenize.COMMENT]
    return sum(not text.startswith(("noqa", "type: ", "fmt: ", "pragma: ")) for text in comments)


def percentile(sizes: list[Size], percent: int) -> int:
    """Return the number of lines that *percent* of the sizes do not exceed."""
    ordered = sorted(size.lines for size in sizes)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _spread(sizes: list[Size]) -> str:
    median = statistics.median(size.lines for size in sizes)
    largest = max(sizes, key=lambda size: size.lines)
    return f"median {median:g}, p90 {percentile(sizes, 90)}, max {largest.lines} ({largest.where})"


def _place(file: Source, function: Function) -> str:
    return f"{file.name}:{function.lineno} {function.name}"


def _reads_row(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(value=ast.Name(id="row"), slice=ast.Constant(value=str())):
            return True
    return False


def main(arguments: list[str]) -> int:
    """Print the figures; with --check, also print those beyond a limit, and return 1 if there are any."""
    found = figures()
    beyond = found.beyond_limits() if "--check" in arguments else []
    sys.stdout.write("\n".join([found.report(), *beyond, ""]))
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

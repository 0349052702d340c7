"""The command `export`: whole lists as CSV or JSON lines."""

from typing import Annotated

import typer

from pipeline.entrypoints.cli.options import Since
from pipeline.entrypoints.cli.output import echo_lines
from pipeline.entrypoints.cli.tables import end_if_books_failed
from pipeline.model.times import moment_of
from pipeline.startup.arguments import check_name, parsed
from pipeline.startup.context import open_record, settings_for_a_person, since
from pipeline.views.exports import Export
from pipeline.views.exports import export as write_export


def export(
    what: Annotated[Export, typer.Argument(help="The list.")],
    *,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    after: Since = None,
    until: Annotated[
        str | None, typer.Option(metavar="T", help="Only before then: RFC 3339, or 90s, 15m, 2h, 3d ago.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json/--csv", help="JSON lines, or CSV with a header.")] = False,
) -> None:
    """Write all trades, fills, executions, orders or signals to standard output, oldest first.

    In CSV, a text that a spreadsheet would take for a formula begins with an apostrophe. Numbers are exact, times are
    RFC 3339 in UTC.
    """
    settings = settings_for_a_person("export", anywhere=True)
    with open_record(settings) as record:
        count = write_export(
            record,
            what,
            echo_lines,
            as_json=as_json,
            executor_id=executor,
            since=since(after),
            until=parsed("--until", until, moment_of),
        )
    if not count:
        check_name(settings, executor)
    end_if_books_failed()

"""Print the reasons: as a list, as JSON, and as the page `pipeline/docs/reasons.md`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code


class ReasonGroup(StrEnum):
    """The groups of reasons: the headings of the page, in their order."""

    ROUTING = "Routing"
    RULES = "Rules"
    HOURS = "Hours and prices"
    LIMITS = "Limits"
    SWITCHES = "Switches"
    HOLDS = "Holds"
    BROKER = "Broker"
    UNKNOWN = "Unknown"
    DEAD_LETTERS = "Dead letters"
    PERSON = "People"


#: The introduction to each group: the common property of its reasons.
LEADS: Mapping[ReasonGroup, str] = {
    ReasonGroup.ROUTING: "The executor does not take these entries. They are `skipped` when the signal is recorded.",
    ReasonGroup.RULES: "Entries that are `skipped` just before they would be sent, and exits without a position.",
    ReasonGroup.HOURS: "Market hours and prices. While the market is closed, exits are held too, until it opens.",
    ReasonGroup.LIMITS: "Entries that would break a limit are `skipped`. The figures show by how much.",
    ReasonGroup.SWITCHES: "Entries are `skipped` while the account is closing only or halted. Exits are sent.",
    ReasonGroup.HOLDS: "The execution is `held` and continues by itself, unless the remedy asks you to do something.",
    ReasonGroup.BROKER: "The order ended at the broker, or the broker has an order of an execution that had ended.",
    ReasonGroup.UNKNOWN: "The order may be at the broker. It is looked up, and nothing is sent meanwhile.",
    ReasonGroup.DEAD_LETTERS: "These executions need you: `tradewire dead`.",
    ReasonGroup.PERSON: "A person decided so; the history keeps who and why.",
}

#: The codes of each group, in the order of the page. Each code occurs once.
CODES: Mapping[ReasonGroup, tuple[Code, ...]] = {
    ReasonGroup.ROUTING: (
        Code.NOT_ADDRESSED,
        Code.CONFIDENCE_BELOW_MINIMUM,
        Code.SYMBOL_NOT_ROUTED,
        Code.SYMBOL_DENIED,
        Code.ASSET_CLASS_NOT_ROUTED,
        Code.STRATEGY_NOT_ROUTED,
        Code.REGIME_NOT_ROUTED,
        Code.ACTION_NOT_ROUTED,
        Code.PRACTICE_SOURCE,
    ),
    ReasonGroup.RULES: (
        Code.EXECUTOR_GONE,
        Code.TOO_OLD,
        Code.EXPIRED_SIGNAL,
        Code.SUPERSEDED,
        Code.NO_POSITION,
        Code.NO_SHORTING,
        Code.NO_FLIP,
        Code.POSITION_AGAINST,
        Code.STOP_RESTS,
        Code.BELOW_ONE_SHARE,
        Code.BELOW_MINIMUM_QUANTITY,
        Code.DUST,
        Code.ASSET_NOT_TRADABLE,
        Code.QUOTED_IN_ANOTHER_CURRENCY,
        Code.ENTRY_WITHOUT_PRICE,
    ),
    ReasonGroup.HOURS: (
        Code.MARKET_CLOSED,
        Code.CLOCK_UNREADABLE,
        Code.HELD_TOO_LONG,
        Code.PRICE_DRIFTED,
        Code.PRICE_UNKNOWN,
        Code.SPREAD_TOO_WIDE,
        Code.LEVEL_REACHED,
        Code.FLAT_BY_TIME,
    ),
    ReasonGroup.LIMITS: (
        Code.REPEATED_IDEA,
        Code.REPEATED_CONTENT,
        Code.PYRAMIDING_LIMIT,
        Code.OPEN_POSITIONS_LIMIT,
        Code.POSITION_SIZE_LIMIT,
        Code.GROSS_EXPOSURE_LIMIT,
        Code.SYMBOL_EXPOSURE_LIMIT,
        Code.GROUP_POSITIONS_LIMIT,
        Code.GROUP_EXPOSURE_LIMIT,
        Code.BUYING_POWER_USED_UP,
        Code.CASH_USED_UP,
        Code.ORDERS_PER_DAY_LIMIT,
        Code.DAILY_LOSS_LIMIT,
        Code.DRAWDOWN_LIMIT,
        Code.ENTRY_WITHOUT_STOP,
        Code.STOP_TOO_FAR,
        Code.CONSISTENCY_LIMIT,
    ),
    ReasonGroup.SWITCHES: (
        Code.REDUCING,
        Code.REDUCING_DAILY_LOSS,
        Code.REDUCING_DRAWDOWN,
        Code.REDUCING_UNREADABLE,
        Code.HALTED,
        Code.HALTED_DAILY_LOSS,
        Code.HALTED_DRAWDOWN,
    ),
    ReasonGroup.HOLDS: (
        Code.PAUSED,
        Code.BROKER_AWAY,
        Code.RATE_BUDGET,
        Code.RATE_LIMITED,
        Code.BROKER_REFUSES_ACCOUNT,
        Code.ENTRIES_REFUSED,
        Code.ACCOUNT_BLOCKED,
        Code.ACCOUNT_UNREADABLE,
        Code.ACCOUNT_UNWATCHED,
        Code.NOT_RECONCILED,
        Code.QUARANTINED,
        Code.REJECTIONS_IN_A_ROW,
        Code.ORDER_UNDER_WAY,
        Code.MINIMUM_HOLD,
        Code.EXIT_NOT_DONE,
        Code.QUANTITY_HELD,
        Code.FOREIGN_CANCELED,
        Code.LEASE_TOO_SHORT,
        Code.SEND_AGAIN,
    ),
    ReasonGroup.BROKER: (
        Code.REJECTED_BY_BROKER,
        Code.CANCELED_AT_BROKER,
        Code.ENTRY_TIMEOUT,
        Code.PARTLY_FILLED,
        Code.STOP_MISSING,
        Code.EXPIRED_AT_BROKER,
        Code.LATE_ORDER,
    ),
    ReasonGroup.UNKNOWN: (Code.NO_ANSWER, Code.LEASE_RAN_OUT, Code.DUPLICATE_ID),
    ReasonGroup.DEAD_LETTERS: (
        Code.ATTEMPTS_USED_UP,
        Code.UNKNOWN_TOO_LONG,
        Code.ORDER_MISMATCH,
        Code.ORDER_VANISHED,
        Code.ACCOUNT_CHANGED,
        Code.INTERNAL_ERROR,
    ),
    ReasonGroup.PERSON: (Code.REQUEUED, Code.DISCARDED, Code.ENDED_BY_PERSON, Code.CANCELED_BY_PERSON),
}

_INTRODUCTION = """# Reasons

A reason explains the state of an execution: a code and its figures, as in
`confidence_below_minimum minimum=82 was=75.3`.
`tradewire why ID` prints the code, the figures, the meaning and the remedy of one execution; `tradewire report` counts
them. When several reasons apply, the first one is the code, and the figure `also` lists the others.

`tradewire reasons --markdown` prints this page. The codes are in `pipeline/model/reasons.py`, the texts in
`pipeline/model/reason_catalogue.py`.
"""


def reasons(
    *,
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page pipeline/docs/reasons.md.")] = False,
) -> None:
    """Print all reason codes, each with its meaning and what you can do."""
    if as_json:
        body = {code.value: {"says": entry.says, "remedy": entry.remedy} for code, entry in CATALOGUE.items()}
        echo_json(body)
    elif as_markdown:
        echo(*page().splitlines())
    else:
        for kind, codes in CODES.items():
            echo(f"# {kind}")
            for code in codes:
                echo(code.value, f"    {CATALOGUE[code].says}", f"    {CATALOGUE[code].remedy}")


def page() -> str:
    """Return the catalogue as a page of Markdown."""
    return "\n".join([_INTRODUCTION, *(_part(kind) for kind in ReasonGroup)])


def _part(kind: ReasonGroup) -> str:
    rows = [f"| `{code}` | {CATALOGUE[code].says} | {CATALOGUE[code].remedy} |" for code in CODES[kind]]
    return "\n".join(
        [f"## {kind}", "", LEADS[kind], "", "| code | meaning | what you can do |", "| --- | --- | --- |", *rows, ""]
    )

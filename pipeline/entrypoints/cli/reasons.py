"""The reasons that there are: as a list, as JSON, and as the page `pipeline/docs/reasons.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code


class ReasonGroup(StrEnum):
    """What says a reason: the headings of the page, in their order."""

    ROUTING = "Routing"
    RULES = "Rules"
    HOURS = "Hours and prices"
    LIMITS = "Limits"
    SWITCHES = "Switches"
    HOLDS = "Holds"
    BROKER = "The broker's word"
    UNKNOWN = "Unknown"
    DEAD_LETTERS = "Dead letters"
    PERSON = "A person's word"


#: What is common to the reasons of a kind.
LEADS: Mapping[ReasonGroup, str] = {
    ReasonGroup.ROUTING: "Entries that an executor does not take. They end as `skipped` when the signal is recorded.",
    ReasonGroup.RULES: "Entries that are `skipped` at the broker's door, and exits that have nothing to close.",
    ReasonGroup.HOURS: "What the market's hours and prices say to an entry; the hours hold exits too, until the open.",
    ReasonGroup.LIMITS: "Entries that would break a limit are `skipped`, and the figures say by how much.",
    ReasonGroup.SWITCHES: "Entries are `skipped` while the account is stopped. Exits go.",
    ReasonGroup.HOLDS: "The execution is `held` and goes on by itself, unless the remedy says what you can do.",
    ReasonGroup.BROKER: "The order ended at the broker, or the broker has one that nobody waits for.",
    ReasonGroup.UNKNOWN: "The broker may or may not have the order. It is looked up, and nothing is sent meanwhile.",
    ReasonGroup.DEAD_LETTERS: "Only a person moves these on: `tradewire dead`.",
    ReasonGroup.PERSON: "Somebody said so; the history keeps who and why.",
}

#: In the order of the page. Each code stands once.
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
        Code.POSITION_AGAINST,
        Code.BELOW_ONE_SHARE,
        Code.BELOW_MINIMUM_QUANTITY,
        Code.ASSET_NOT_TRADABLE,
        Code.ENTRY_WITHOUT_PRICE,
    ),
    ReasonGroup.HOURS: (
        Code.MARKET_CLOSED,
        Code.CLOCK_UNREADABLE,
        Code.HELD_TOO_LONG,
        Code.PRICE_DRIFTED,
        Code.PRICE_UNKNOWN,
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
        Code.ACCOUNT_BLOCKED,
        Code.ACCOUNT_UNREADABLE,
        Code.ACCOUNT_UNWATCHED,
        Code.REJECTIONS_IN_A_ROW,
        Code.ORDER_UNDER_WAY,
        Code.MINIMUM_HOLD,
        Code.EXIT_NOT_DONE,
        Code.LEASE_TOO_SHORT,
        Code.SEND_AGAIN,
    ),
    ReasonGroup.BROKER: (
        Code.REJECTED_BY_BROKER,
        Code.CANCELED_AT_BROKER,
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
    ReasonGroup.PERSON: (Code.REQUEUED, Code.DISCARDED, Code.ENDED_BY_PERSON),
}

_INTRODUCTION = """# Reasons

Why an execution is where it is: a code and its figures, as in `confidence_below_minimum minimum=82 was=75.3`.
`tradewire why ID` prints the code, the figures, the meaning and the remedy of one execution; `tradewire report` counts
them. When several apply, the first is the code and the others stand beside it under `also`.

This page is printed by `tradewire reasons --markdown`; the codes are `pipeline/model/reasons.py`, the words
`pipeline/model/reason_catalogue.py`.
"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reasons)


def reasons(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page pipeline/docs/reasons.md.")] = False,
) -> None:
    """Print the catalogue of reason codes: what each says and what you can do."""
    if as_json:
        body = {code.value: {"says": entry.says, "remedy": entry.remedy} for code, entry in CATALOGUE.items()}
        typer.echo(json.dumps(body, indent=2))
    elif as_markdown:
        typer.echo(page(), nl=False)
    else:
        for kind, codes in CODES.items():
            typer.echo(f"# {kind}")
            for code in codes:
                typer.echo(f"{code.value}\n    {CATALOGUE[code].says}\n    {CATALOGUE[code].remedy}")


def page() -> str:
    """Return the catalogue as a page of Markdown, grouped by what says the reason."""
    return "\n".join([_INTRODUCTION, *(_part(kind) for kind in ReasonGroup)])


def _part(kind: ReasonGroup) -> str:
    rows = [f"| `{code}` | {CATALOGUE[code].says} | {CATALOGUE[code].remedy} |" for code in CODES[kind]]
    return "\n".join(
        [f"## {kind}", "", LEADS[kind], "", "| code | says | what you can do |", "| --- | --- | --- |", *rows, ""]
    )

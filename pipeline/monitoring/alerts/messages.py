"""Put what happened since the last message into one: a storm is a count and some examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.monitoring.alerts.kinds import Severity

_EXAMPLES = 5
_LONGEST_TITLE = 120

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a person reads."""

    title: str
    body: str
    #: warning, critical or over.
    severity: str


def compose(rows: Sequence[Row]) -> Message:
    """Return the message about alerts that have begun, ended, or both; at least one."""
    begun = [row for row in rows if row["opened_in"] is None]
    over = [row for row in rows if row["over_at"] is not None]
    open_ = [row for row in begun if row["over_at"] is None]
    lines = [*_told("Wrong now", open_), *_told("Came and went", [row for row in begun if row not in open_])]
    lines += _told("It is over", [row for row in over if row not in begun])
    severity = max((row["severity"] for row in begun), key=list(Severity).index, default="over")
    return Message(title=_title(begun, over), body="\n".join(lines), severity=severity)


def _title(begun: Sequence[Row], over: Sequence[Row]) -> str:
    first = (begun or over)[0]["subject"]
    more = len(begun or over) - 1
    text = f"tradewire: {'' if begun else 'over: '}{first}"
    tail = f" (and {more} more)" if more else ""
    room = _LONGEST_TITLE - len(tail)
    return (text if len(text) <= room else f"{text[: room - 1]}…") + tail


def _told(title: str, rows: Sequence[Row]) -> list[str]:
    """Tell some of each kind, and how many more there are."""
    if not rows:
        return []
    lines = [f"{title}:"]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        same = [row for row in rows if row["kind"] == kind]
        lines += [f"- [{row['severity']}] {row['subject']} ({_times(row)})" for row in same[:_EXAMPLES]]
        if len(same) > _EXAMPLES:
            lines.append(f"- and {len(same) - _EXAMPLES} more of {kind}: tradewire alerts list")
    return lines


def _times(row: Row) -> str:
    opened: datetime = row["opened_at"]
    end = row["over_at"]
    return f"{opened:%Y-%m-%d %H:%M:%S}" + ("" if end is None else f" to {end:%H:%M:%S}") + " UTC"

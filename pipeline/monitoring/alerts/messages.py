"""Compose one message of all changes since the last one: many alerts of one kind become a count and some examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.model.texts import printable
from pipeline.monitoring.alerts.kinds import Severity

_EXAMPLES = 5
# Of the usual services, Pushover takes the shortest message: 1,024 characters with the title. A longer one is refused.
_LONGEST_BODY = 900
_LONGEST_SUBJECT = 160
_LONGEST_TITLE = 120  # It becomes the subject of a mail or the first line of a notification.


@dataclass(frozen=True, kw_only=True)
class UnreportedAlert:
    """An alert whose beginning or end is not in any message yet."""

    kind: str
    severity: Severity
    subject: str
    opened_at: datetime
    over_at: datetime | None
    #: The message that reported its beginning; None when there is none yet.
    opened_in: UUID | None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as a person reads it."""

    title: str
    body: str
    #: warning, critical or over.
    severity: str


def compose(alerts: Sequence[UnreportedAlert]) -> Message:
    """Return the message about at least one alert; each has begun, ended, or both."""
    # The enum lists the severities in rising order. The most severe alerts come first, because a long message is cut
    # at its end.
    alerts = sorted(alerts, key=lambda alert: list(Severity).index(alert.severity), reverse=True)
    begun = [alert for alert in alerts if alert.opened_in is None]
    open_ = [alert for alert in begun if alert.over_at is None]
    ended = [alert for alert in alerts if alert.over_at is not None]
    lines = [
        *_section("Wrong now", open_),
        *_section("Already over", [alert for alert in ended if alert.opened_in is None]),
        *_section("It is over", [alert for alert in ended if alert.opened_in is not None]),
    ]
    severity = next((alert.severity for alert in begun), "over")
    return Message(title=_title(begun, ended), body=_body(lines), severity=severity)


def _title(begun: Sequence[UnreportedAlert], ended: Sequence[UnreportedAlert]) -> str:
    alerts = begun or ended
    text = f"tradewire: {'' if begun else 'over: '}{printable(alerts[0].subject)}"
    tail = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    return _cut(text, _LONGEST_TITLE - len(tail)) + tail


def _body(lines: Sequence[str]) -> str:
    """Join as many lines as a message may have, and say when that is not all of them."""
    more = "- and more: tradewire alerts list"
    text = "\n".join(lines)
    if len(text) <= _LONGEST_BODY:
        return text
    return f"{text[: _LONGEST_BODY - len(more)].rpartition(chr(10))[0]}\n{more}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _section(title: str, alerts: Sequence[UnreportedAlert]) -> list[str]:
    if not alerts:
        return []
    lines = [f"{title}:"]
    for kind in dict.fromkeys(alert.kind for alert in alerts):
        same = [alert for alert in alerts if alert.kind == kind]
        lines += [
            f"- [{alert.severity}] {_cut(printable(alert.subject), _LONGEST_SUBJECT)} ({_times(alert)})"
            for alert in same[:_EXAMPLES]
        ]
        if len(same) > _EXAMPLES:
            lines.append(f"- and {len(same) - _EXAMPLES} more of {kind}: tradewire alerts list")
    return lines


def _times(alert: UnreportedAlert) -> str:
    until = "" if alert.over_at is None else f" to {alert.over_at:%H:%M:%S}"
    return f"{alert.opened_at:%Y-%m-%d %H:%M:%S}{until} UTC"

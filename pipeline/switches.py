"""Turn the switches of an account on and off, and say which stand; every turn is kept with who and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.reasons import Code, Reason
from pipeline.store.statements import sql
from workers.rules.switches import Kind, Switch, switch_of

#: The cause of what a person turns.
PERSON = "person"


def turn_on(
    connection: Connection[DictRow],
    *,
    holder: str,
    kind: Kind,
    cause: str,
    facts: Mapping[str, Any],
    flatten: bool = False,
    by: str,
    why: str | None = None,
) -> bool:
    """Turn a switch on in the caller's transaction; True when that is new or changes something.

    One that stands already keeps the figures, the name and the time of its first turn: calling again with other
    *facts* changes nothing. *flatten* asks once to close everything; when that was done for a limit, the same
    limit does not ask again while its halt stands. A person may.
    """
    values = {
        "switch_id": uuid4(),
        "holder": holder,
        "kind": kind.value,
        "cause": cause,
        "facts": Json(Reason(code=Code.HALTED, facts=facts).to_json()),
        "flatten": flatten,
        "by": by,
        "why": why,
    }
    return connection.execute(sql("switches", "turn_on"), values).fetchone() is not None


def turn_off(
    connection: Connection[DictRow],
    *,
    holder: str | Collection[str],
    kinds: Collection[Kind] | None,
    causes: Collection[str] | None,
    by: str,
    why: str | None = None,
) -> list[Switch]:
    """Turn off in the caller's transaction what stands of *kinds* and *causes* (None: all); return what did."""
    values = {
        "holders": [holder] if isinstance(holder, str) else list(holder),
        "kinds": None if kinds is None else [kind.value for kind in kinds],
        "causes": None if causes is None else list(causes),
        "by": by,
        "why": why,
    }
    return [switch_of(row) for row in connection.execute(sql("switches", "turn_off"), values).fetchall()]


def standing(connection: Connection[DictRow], holder: str | Collection[str]) -> list[Switch]:
    """Return the switches that stand, the oldest first."""
    holders = [holder] if isinstance(holder, str) else list(holder)
    return [switch_of(row) for row in connection.execute(sql("judging", "switches"), {"holders": holders}).fetchall()]


def release(connection: Connection[DictRow], executor_id: str, codes: Collection[Code]) -> int:
    """Let what *executor_id* holds for one of *codes* be judged anew at once; return how many."""
    values = {"executor_id": executor_id, "reason_codes": [code.value for code in codes]}
    return len(connection.execute(sql("switches", "release_paused"), values).fetchall())

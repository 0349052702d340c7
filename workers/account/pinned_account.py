"""Verify that the keys open the account that is pinned, before anything is sent with them."""

from __future__ import annotations

import threading

import structlog

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable, ConfigInvalid, Problem
from workers.account.runtime import ExecutorRuntime

log = structlog.get_logger(__name__)

# Between two looks at a broker that does not tell its account.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


def check_account(runtime: ExecutorRuntime) -> None:
    """Come back when the broker reports the pinned account, or when none is pinned.

    Raises:
        ConfigInvalid: it reports another one.
        BrokerUnavailable: it reports none now.
    """
    pinned = runtime.executor.account
    if pinned is None:
        return
    try:
        number = runtime.urgent.account().number
    except (BrokerRefusesAccount, BrokerUnreadable) as error:
        raise BrokerUnavailable(f"the account could not be verified: {error}") from error
    if number != pinned:
        raise ConfigInvalid([_mismatch(runtime.executor.id, number, pinned)])


def await_account(runtime: ExecutorRuntime, *, stop: threading.Event) -> bool:
    """Verify the account, for as long as it takes; False: asked to stop before. Nothing was sent until then.

    Raises:
        ConfigInvalid: the broker reports another account than the pinned one.
    """
    pause, said = _FIRST_PAUSE_S, ""
    while not stop.is_set():
        try:
            check_account(runtime)
        except BrokerUnavailable as error:
            if str(error) != said:
                said = str(error)
                log.warning("account.unverified", executor_id=runtime.executor.id, says=said[:300])
            stop.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        else:
            return True
    return False


def _mismatch(executor_id: str, number: str, pinned: str) -> Problem:
    return Problem(
        key=f"executors.{executor_id}.account",
        message=f"the keys open account {number}, and the pinned one is {pinned}: correct the keys, or the account",
    )

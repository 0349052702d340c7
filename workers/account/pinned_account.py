"""Verify that the keys belong to the pinned account, before they are used for anything else."""

import threading

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable, ConfigInvalid, Problem
from workers.account.runtime import ExecutorRuntime

log = structlog.get_logger(__name__)

_BACKOFF = Backoff(first_s=0.5, longest_s=5.0)


def check_account(runtime: ExecutorRuntime) -> None:
    """Check that the broker reports the pinned account. If no account is pinned, nothing is checked.

    Raises:
        ConfigInvalid: the broker reports another account.
        BrokerUnavailable: the account cannot be read now, for any reason, or the broker refuses it.
    """
    pinned = runtime.executor.account
    if pinned is None:
        return
    try:
        number = runtime.urgent.account().number
    except (BrokerRefusesAccount, BrokerUnreadable) as error:
        raise BrokerUnavailable(f"the account could not be verified: {error}") from error
    if number != pinned:
        message = f"the keys belong to account {number}, not the pinned {pinned}: correct the keys, or the account"
        raise ConfigInvalid([Problem(key=f"executors.{runtime.executor.id}.account", message=message)])


def await_account(runtime: ExecutorRuntime, *, stop: threading.Event) -> bool:
    """Repeat `check_account` until it passes, and return True; return False when *stop* is set first.

    Raises:
        ConfigInvalid: the broker reports another account than the pinned one.
    """
    failures, logged = 0, ""
    while not stop.is_set():
        try:
            check_account(runtime)
        except BrokerUnavailable as error:
            if str(error) != logged:
                logged = str(error)
                log.warning("account.unverified", executor_id=runtime.executor.id, says=logged[:300])
            failures += 1
            stop.wait(_BACKOFF.after(failures))
        else:
            return True
    return False

"""A lease is renewed while the work lasts. It is lost without the database, or when another worker claims the work."""

from __future__ import annotations

import time
from uuid import uuid4

import psycopg
import pytest

from tests.factories import Core, until
from tests.waiting import within
from workers.execution.lease import LEASE, MARGIN_S, Lease, LeaseKeeper


def test_a_lease_is_safe_to_send_until_a_margin_before_its_end() -> None:
    fresh = Lease(uuid4(), 1, asked_at=time.monotonic())
    nearly_over = Lease(uuid4(), 1, asked_at=time.monotonic() - LEASE.total_seconds() + MARGIN_S - 0.01)

    assert fresh.safe_to_send()
    assert not nearly_over.safe_to_send()


def test_a_renewal_counts_from_before_it_was_asked_for_and_never_shortens() -> None:
    lease = Lease(uuid4(), 1, asked_at=time.monotonic() - 10)
    assert not lease.safe_to_send()

    lease.renewed(asked_at=time.monotonic())
    lease.renewed(asked_at=time.monotonic() - 10)

    assert lease.safe_to_send()


def test_a_lost_lease_is_not_safe_whatever_time_it_had() -> None:
    lease = Lease(uuid4(), 1, asked_at=time.monotonic())
    lease.lost()
    assert not lease.safe_to_send()


def test_a_kept_lease_is_renewed_in_the_record(core: Core) -> None:
    execution_id = core.send()
    asked_at = time.monotonic()
    taken = core.recipe().claim(execution_id)
    assert taken is not None

    with core.leases.keep(execution_id, taken.fence, asked_at=asked_at) as lease:
        until(lambda: core.execution(execution_id)["lease_until"] > taken.lease_until)
        assert lease.safe_to_send()
    last = core.execution(execution_id)["lease_until"]
    time.sleep(1.5)

    assert core.execution(execution_id)["lease_until"] == last  # No thread renews it any more.


def test_the_end_of_an_older_lease_does_not_end_a_newer_one_of_the_same_execution(core: Core) -> None:
    execution_id = core.send()
    older = core.leases.keep(execution_id, 0, asked_at=time.monotonic())
    older.__enter__()
    taken = core.recipe().claim(execution_id)
    assert taken is not None

    with core.leases.keep(execution_id, taken.fence, asked_at=time.monotonic()):
        older.__exit__(None, None, None)
        time.sleep(1.5)

        assert core.execution(execution_id)["lease_until"] > taken.lease_until


def test_a_lease_that_somebody_else_took_over_is_lost(core: Core) -> None:
    execution_id = core.send()
    taken = core.recipe().claim(execution_id)
    assert taken is not None

    with core.leases.keep(execution_id, taken.fence, asked_at=time.monotonic()) as lease:
        core.rows("UPDATE execution SET fence = fence + 1")
        within(lambda: not lease.safe_to_send(), 1.9)  # Earlier than the lease would end by itself.


def test_a_lease_that_cannot_be_renewed_runs_out_here_before_it_does_there(core: Core) -> None:
    execution_id = core.send()
    asked_at = time.monotonic()
    taken = core.recipe().claim(execution_id)
    assert taken is not None
    with psycopg.connect(core.database_url) as blocker:
        blocker.execute("SELECT FROM execution FOR UPDATE")  # No renewal gets through.
        with core.leases.keep(execution_id, taken.fence, asked_at=asked_at) as lease:
            until(lambda: not lease.safe_to_send(), within_s=3.0)
            (row,) = core.rows("SELECT lease_until > clock_timestamp() AS still_ours FROM execution")

    assert row["still_ours"]


def test_a_keeper_of_leases_outlives_whatever_a_renewal_raises(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = LeaseKeeper(core.database_url)
    try:
        raised = []

        def broken(_lease: Lease) -> None:
            raised.append(1)
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(leases, "_renew", broken)
            with leases.keep(uuid4(), 1, asked_at=time.monotonic()):
                until(lambda: raised)
        execution_id = core.send()
        taken = core.recipe().claim(execution_id)
        assert taken is not None
        with leases.keep(execution_id, taken.fence, asked_at=time.monotonic()):
            until(lambda: core.execution(execution_id)["lease_until"] > taken.lease_until, within_s=3)
    finally:
        leases.close()

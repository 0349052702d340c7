"""Doctor reports what differs between an account and the record, however much that is."""

from __future__ import annotations

from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.reconciliation import check_reconciliation
from tests.factories import Core
from tests.integration.keeper.reconciling import reconcile, rest_by_hand


def test_of_many_findings_it_shows_some_and_counts_the_others(core: Core) -> None:
    core.prices(AAPL=100)
    for number in range(7):
        rest_by_hand(core, client_order_id=f"hand-{number}")
    reconcile(core, times=2)

    [check] = check_reconciliation(core.record, {"argo": core.executors["argo"]})

    assert check.status is CheckStatus.WARNING
    assert check.saw.count("an open order that tradewire did not place") == 5
    assert check.saw.endswith("; and 2 more")

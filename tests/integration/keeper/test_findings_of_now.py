"""Only findings that are true now are shown and adopted: of the present account, and seen by the last reconcile."""

from __future__ import annotations

from pipeline.operations.adopting import adopt
from pipeline.views.findings import findings
from tests.factories import Core
from tests.integration.keeper.reconciling import found, reconcile, trade_by_hand


def test_findings_of_an_earlier_account_number_are_neither_shown_nor_adopted(core: Core) -> None:
    trade_by_hand(core, 3)
    reconcile(core, times=2)
    assert [each.symbol for each in findings(core.record, ["argo"]).findings] == ["AAPL"]

    # The broker gave the executor another account, which is empty.
    core.rows("UPDATE finding SET account_number = 'PA-OLD'")
    trade_by_hand(core, -3)
    reconcile(core)

    shown = findings(core.record, ["argo"])
    assert (shown.findings, shown.executors[0].clean) == ([], True)
    assert adopt(core.record, ["argo"], by="ann", why=None) == []
    core.rows("UPDATE finding SET state = 'healed', closed_at = clock_timestamp()")
    assert findings(core.record, ["argo"]).findings == []
    assert found(core) == []

"""Compare the open orders at the broker with the record: report those with an id of ours that the record lacks."""

from dataclasses import dataclass

import structlog
from psycopg.types.json import Jsonb

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Found
from workers.keeper.order_updates import OrderUpdates

log = structlog.get_logger(__name__)

# The most orders that one run looks up.
_SINGLY = 3


@dataclass(frozen=True, kw_only=True)
class OpenOrderAudit:
    """Finds late orders of any age at one executor's broker. Running it twice changes nothing."""

    record: Record
    runtime: ExecutorRuntime
    who: str

    def run_once(self) -> int:
        """Read the open orders, and look up a few given-up ones that may exist; return how many executions changed."""
        try:
            return 0 if self.runtime.snapshots.refusal() is not None else self._audit()
        except BrokerRefusesAccount as error:
            self.runtime.snapshots.refused(str(error))
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("poll.failed", executor_id=self.runtime.executor.id, error=str(error))
        return 0

    def _audit(self) -> int:
        broker, key = self.runtime.broker, {"executor_id": self.runtime.executor.id}
        updates = OrderUpdates(record=self.record, broker=broker, who=self.who)
        orders = broker.orders(status="open")
        moved = updates.apply(orders, set())
        strays = [_shown(order) for order in updates.strays(orders)]
        self.record.do(sql("open_order_audit", "save"), key | {"strays": Jsonb(strays)})
        # An order that has filled meanwhile is not in the list of open orders, so a few are looked up by their ids.
        for client_order_id in self.record.all(
            str, sql("open_order_audit", "claim_unconfirmed"), key | {"limit": _SINGLY}
        ):
            lookup = broker.find(client_order_id)
            if isinstance(lookup, Found):
                moved += updates.apply([lookup.order], set(), request_id=lookup.request_id)
        return moved


def _shown(order: BrokerOrder) -> dict[str, str]:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "side": order.side.value,
        "symbol": order.symbol,
        "quantity": "" if order.quantity is None else format(order.quantity, "f"),
    }
